"""Sends the cases of both protocols in their order; the server under test is kept in the state they need."""

import json
import os
import re
import subprocess
import threading
import time

import shared_memory
from answers import check_grpc, check_http, refused
from comparing import Mismatch, brief
from peers import GrpcPeer, HttpPeer
from report import say


# areas whose requests have killed a server: it is looked after each whether it lives
RISKY = {"hostile", "shm_offset"}
# gRPC codes after which it is worth looking whether the server still lives
SUSPICIOUS = {"UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED", "DEADLINE_EXCEEDED"}


class ServerGone(Exception):
    pass


class Runner:
    def __init__(self, options):
        self.opt = options
        self.peers = {}
        if options.http:
            self.peers["http"] = HttpPeer(options.http, options.metrics, options.timeout)
        if options.grpc:
            self.peers["grpc"] = GrpcPeer(options.grpc, options.timeout)
        self.any_peer = next(iter(self.peers.values()))
        self.baselines = {}
        self.fresh = True
        self.started = False  # a case file was already run on this server process
        self.stopped = False  # a case file could not be run to its end
        self.results = []
        self.died = []

    # --- server life

    def restart(self):
        say(f"# restart: {self.opt.restart_cmd}")
        subprocess.run(self.opt.restart_cmd, shell=True, stdin=subprocess.DEVNULL, check=False)
        end = time.monotonic() + self.opt.start_timeout
        while not self.any_peer.ready():
            if time.monotonic() > end:
                raise ServerGone("the restarted server does not get ready")
            time.sleep(0.2)
        for peer in self.peers.values():
            if isinstance(peer, GrpcPeer):
                peer.connect()
        self.fresh, self.started = True, False

    def is_alive(self):
        def all_answer():
            return all(peer.alive() for peer in self.peers.values())

        for pause in (0, 0.5, 1.5):
            time.sleep(pause)
            if all_answer():
                # a dying process may still answer once: look again
                time.sleep(0.3)
                return all_answer()
        return False

    def prepare(self, peer, wanted):
        """Loads and unloads until just the wanted models are ready."""
        ready = {e.get("name") for e in peer.index() if e.get("state") == "READY"}
        if ready == set(wanted):
            return
        self.fresh = False
        for model in sorted(ready - set(wanted)):
            peer.control(model, "unload")
        for model in sorted(set(wanted) - ready):
            peer.control(model, "load")
        time.sleep(1)
        ready = {e.get("name") for e in peer.index() if e.get("state") == "READY"}
        if ready != set(wanted):
            say(f"# warning: wrong models are ready: {sorted(ready ^ set(wanted))}")

    # --- one case

    def send(self, which, case):
        peer = self.peers[which]
        for action in case.get("before", []):
            if action["do"] == "baseline":
                self.baselines[action["id"]] = peer.statistics()
            elif action["do"] == "sleep":
                time.sleep(action["s"])
            else:
                raise ValueError(f"unknown action {action['do']!r}")
        threads = []
        for job in case.get("background", []):
            thread = threading.Thread(target=peer.send, args=(job["request"],), daemon=True)
            thread.start()
            threads.append(thread)
            time.sleep(job.get("lead_ms", 0) / 1000)
        if case.get("copies"):
            replies = [None] * case["copies"]

            def one(i):
                replies[i] = peer.send(case["request"])

            racers = [threading.Thread(target=one, args=(i,)) for i in range(case["copies"])]
            for thread in racers:
                thread.start()
            for thread in racers:
                thread.join()
        else:
            replies = [peer.send(case["request"])]
        for thread in threads:
            thread.join(self.opt.timeout)
        return replies

    def judge(self, which, case, replies):
        """(result, detail): pass, text (only the wording differs) or fail."""
        kind, want = case.get("class"), case["expect"]
        if kind == "survive":
            if refused(which, replies[0]):
                return "pass", ""
            return "fail", "should be refused with an error: " + self.shown(which, replies[0])
        check = check_http if which == "http" else check_grpc
        rules = case.get("compare", {})
        first = None
        for option in [want] + want.get("alt", []):
            for reply in replies:
                try:
                    check(option, reply, rules, self.baselines)
                    shared_memory.check(option.get("shm", []))
                except Mismatch as err:
                    if first is None or (err.soft and not first.soft):
                        first = err
                    continue
                except (AttributeError, IndexError, KeyError, TypeError, ValueError) as err:
                    first = first or Mismatch(f"answer of unexpected form: {err!r}")
                    continue
                others = want.get("others")
                if others is not None:
                    strange = [r.get("status") for r in replies if r.get("status") not in others]
                    if strange:
                        return "fail", f"another copy was answered with {strange[0]}"
                return "pass", ""
        if first.soft and kind in ("text", "better"):
            return "text", str(first)
        note = "status ok, text differs: " if first.soft else ""
        return "fail", note + str(first)

    @staticmethod
    def shown(which, reply):
        if "down" in reply:
            return reply["down"]
        if which == "http":
            return f"{reply['status']} {brief(reply['body'].decode('latin-1'))}"
        return f"{reply['status']} {brief(reply['message'] or reply['responses'])}"

    def record(self, which, case, result, detail=""):
        entry = {
            "name": f"{which}/{case['name']}",
            "area": case["area"],
            "class": case.get("class", ""),
            "result": result,
            "detail": detail,
        }
        self.results.append(entry)
        if result == "fail":
            say(f"FAIL {entry['name']} [{entry['area']}] {detail}")
        elif self.opt.verbose:
            say(f"{result:4} {entry['name']} [{entry['area']}] {detail}".rstrip())

    def chosen(self, which, case):
        name = f"{which}/{case['name']}"
        if self.opt.list is not None and name not in self.opt.list:
            return False
        return not self.opt.only or bool(re.search(self.opt.only, f"{name} [{case['area']}]"))

    def run_case(self, which, case):
        name = f"{which}/{case['name']}"
        chosen = self.chosen(which, case)
        judged = bool(chosen and case.get("expect"))
        if case.get("class") == "skip":
            return self.record(which, case, "skip", case.get("reason", ""))
        if case["area"] in RISKY and not chosen:
            return self.record(which, case, "skip", "not chosen")
        if self.opt.no_shm and case["area"].startswith("shm"):
            return self.record(which, case, "skip", "--no-shm")
        if case["request"].get("port") == "metrics" and not self.opt.metrics:
            return self.record(which, case, "skip", "no --metrics given")
        if case.get("fresh") and not self.fresh:
            return self.record(which, case, "skip", "needs a freshly started server")
        replies = self.send(which, case)
        result, detail = self.judge(which, case, replies) if judged else ("sent", "")
        last = replies[-1]
        suspicious = "down" in last or last.get("status") in SUSPICIOUS
        if suspicious or case.get("class") == "survive" or case["area"] in RISKY:
            if not self.is_alive():
                self.died.append(name)
                self.record(which, case, "fail", "THE SERVER DIED OR HANGS on this request")
                if not self.opt.restart_cmd:
                    raise ServerGone(name)
                self.restart()
                self.prepare(self.peers[which], self.wanted)
                return
        self.record(which, case, result, detail)

    # --- case files

    def run_file(self, which):
        with open(os.path.join(self.opt.cases, which + ".jsonl"), encoding="utf-8") as f:
            head, *cases = [json.loads(line) for line in f if line.strip()]
        if self.opt.restart_cmd:
            self.restart()
        elif self.started:
            self.fresh = False
        self.started = True
        if not self.is_alive():
            raise ServerGone("nothing answers")
        self.wanted = head["models"]
        self.prepare(self.peers[which], self.wanted)
        if not self.fresh:
            say(f"# {which}: not a fresh server, cases that need one are left out")
        shared_memory.make(head["shm"])
        done = 0
        try:
            for case in cases:
                self.run_case(which, case)
                done += 1
        except ServerGone:
            say(f"# the server is gone, {len(cases) - done - 1} cases not sent")
            for case in cases[done + 1 :]:
                judged = self.chosen(which, case) and case.get("expect")
                if judged and case.get("class") != "skip":
                    self.record(which, case, "fail", "not sent, the server is gone")
            raise
        finally:
            shared_memory.remove(head["shm"])

    def run(self):
        for which in self.peers:
            if not os.path.exists(os.path.join(self.opt.cases, which + ".jsonl")):
                continue
            try:
                self.run_file(which)
            except ServerGone as gone:
                say(f"# {which}: stopped, {gone}")
                self.stopped = True
                if not self.opt.restart_cmd:
                    break
