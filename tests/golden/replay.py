#!/usr/bin/env python3
"""Replays the golden cases against a running inference server and judges its answers.

    replay.py --http HOST:PORT --grpc HOST:PORT [--metrics HOST:PORT] --cases DIR
              [--only REGEX] [--list FILE] [--without MODELS] [--restart-cmd CMD]
              [--json FILE] [--verbose]

README.md beside this file says how the server under test has to be started and how
the result is to be read. Needs nothing but the standard library and tritonclient[all]
(the latter only for the gRPC cases).
"""

import argparse
import base64
import collections
import glob
import gzip
import http.client
import json
import math
import os
import re
import struct
import subprocess
import sys
import threading
import time
import zlib

SHM_DIR = "/dev/shm"
DURATIONS = (
    "success",
    "fail",
    "queue",
    "compute_input",
    "compute_infer",
    "compute_output",
    "cache_hit",
    "cache_miss",
)
# areas whose requests have killed a server: it is looked after each whether it lives
RISKY = {"hostile", "shm_offset"}
# gRPC codes after which it is worth looking whether the server still lives
SUSPICIOUS = {"UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED", "DEADLINE_EXCEEDED"}


def say(*parts):
    print(*parts, flush=True)


def brief(value, limit=160):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace("\n", "\\n").replace("\r", "\\r")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def address(text):
    host, _, port = text.rpartition(":")
    return (host.strip("[]") or "127.0.0.1", int(port))


# --------------------------------------------------------------------------- requests


def build_bytes(part):
    """Bytes of a body description: text, b64, repeat, concat, gzip or deflate."""
    if part is None:
        return None
    ((kind, value),) = part.items()
    if kind == "text":
        return value.encode()
    if kind == "b64":
        return base64.b64decode(value)
    if kind == "repeat":
        unit, times = value
        return unit.encode() * times
    if kind == "concat":
        return b"".join(build_bytes(p) for p in value)
    if kind == "gzip":
        return gzip.compress(build_bytes(value), mtime=0)
    if kind == "deflate":
        return zlib.compress(build_bytes(value))
    raise ValueError(f"unknown body part {kind!r}")


class HttpPeer:
    def __init__(self, where, metrics, timeout):
        self.where, self.metrics, self.timeout = where, metrics, timeout

    def send(self, request, timeout=None):
        """One request on a connection of its own; the answer, or {"down": why}."""
        host, port = self.metrics if request.get("port") == "metrics" else self.where
        body = build_bytes(request.get("body"))
        headers = [tuple(h) for h in request.get("headers", [])]
        chunked = any(k.lower() == "transfer-encoding" for k, _ in headers)
        link = http.client.HTTPConnection(host, port, timeout=timeout or self.timeout)
        try:
            link.putrequest(request["method"], request["path"], skip_accept_encoding=True)
            link.putheader("Accept", "*/*")
            for key, value in headers:
                link.putheader(key, value)
            if body is not None and not chunked:
                link.putheader("Content-Length", str(len(body)))
            link.endheaders()
            try:
                if body is not None and chunked:
                    link.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
                elif body:
                    link.send(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # an early answer may still be readable
            reply = link.getresponse()
            data = reply.read()
            return {
                "status": reply.status,
                "headers": {k.lower(): v for k, v in reply.getheaders()},
                "body": data,
            }
        except (http.client.HTTPException, OSError) as err:
            return {"down": f"{type(err).__name__}: {err}"}
        finally:
            link.close()

    def get(self, path, timeout=None):
        return self.send({"method": "GET", "path": path}, timeout)

    def alive(self):
        return "down" not in self.get("/v2/health/live", 5)

    def ready(self):
        return self.get("/v2/health/ready", 5).get("status") == 200

    def statistics(self):
        reply = self.get("/v2/models/stats")
        if reply.get("status") != 200:
            return {}
        return flatten_all(json.loads(reply["body"]).get("model_stats", []))

    def index(self):
        reply = self.send({"method": "POST", "path": "/v2/repository/index", "body": {"text": ""}})
        return json.loads(reply["body"]) if reply.get("status") == 200 else []

    def control(self, model, action):
        path = f"/v2/repository/models/{model}/{action}"
        self.send({"method": "POST", "path": path, "body": {"text": ""}})


class GrpcPeer:
    def __init__(self, where, timeout):
        import grpc
        from google.protobuf import json_format, message_factory
        from tritonclient.grpc import service_pb2

        self.grpc, self.json_format = grpc, json_format
        self.make_class = message_factory.GetMessageClass
        self.service = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
        self.target = f"{where[0]}:{where[1]}"
        self.timeout = timeout
        self.channel = None
        self.connect()

    def connect(self):
        if self.channel is not None:
            self.channel.close()
        unlimited = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        self.channel = self.grpc.insecure_channel(self.target, unlimited)

    def to_dict(self, message):
        if isinstance(message, bytes):
            return {"raw_b64": base64.b64encode(message).decode()}
        return self.json_format.MessageToDict(message, preserving_proto_field_name=True)

    def send(self, request, timeout=None):
        rpc = request["rpc"]
        limit = timeout or request.get("timeout_s") or self.timeout
        extra = {"timeout": limit, "metadata": list(request.get("metadata", {}).items()) or None}
        if "compression" in request:
            extra["compression"] = getattr(self.grpc.Compression, request["compression"])
        bidi = False
        if rpc.startswith("/"):
            pack, unpack, path = bytes, bytes, rpc
            messages = [build_bytes(p) for p in request["raw"]]
        else:
            method = self.service.methods_by_name[rpc]
            kind = self.make_class(method.input_type)
            pack = kind.SerializeToString
            unpack = self.make_class(method.output_type).FromString
            path = f"/{self.service.full_name}/{rpc}"
            bidi = method.client_streaming
            messages = [self.json_format.ParseDict(m, kind()) for m in request["messages"]]
        got = []
        try:
            if bidi:
                call = self.channel.stream_stream(path, pack, unpack)(iter(messages), **extra)
                got.extend(call)
                code, text = call.code(), call.details()
            else:
                reply, call = self.channel.unary_unary(path, pack, unpack).with_call(
                    messages[0], **extra
                )
                got.append(reply)
                code, text = call.code(), call.details()
        except self.grpc.RpcError as err:
            code, text = err.code(), err.details()
        return {
            "status": code.name,
            "message": text or "",
            "responses": [self.to_dict(r) for r in got],
        }

    def quick(self, rpc, **fields):
        return self.send({"rpc": rpc, "messages": [fields]}, 20)

    def alive(self):
        self.connect()
        return self.send({"rpc": "ServerLive", "messages": [{}]}, 5)["status"] == "OK"

    def ready(self):
        self.connect()
        reply = self.send({"rpc": "ServerReady", "messages": [{}]}, 5)
        return reply["status"] == "OK" and reply["responses"][0].get("ready", False)

    def statistics(self):
        reply = self.quick("ModelStatistics")
        if reply["status"] != "OK":
            return {}
        return flatten_all(reply["responses"][0].get("model_stats", []))

    def index(self):
        reply = self.quick("RepositoryIndex")
        return reply["responses"][0].get("models", []) if reply["status"] == "OK" else []

    def control(self, model, action):
        self.quick("RepositoryModel" + action.capitalize(), model_name=model)


# ------------------------------------------------------------------------- comparison


class Mismatch(Exception):
    """The answer is wrong. soft: only the wording of an error or reason differs."""

    def __init__(self, text, soft=False):
        super().__init__(text)
        self.soft = soft


def neutral(text):
    """Takes out of an error text what depends on where the repository lies."""
    return re.sub(r"/[^\s'\";,]*/(\d+/model\.onnx)", r"<path>/\1", text).strip()


def parse_json(data):
    """JSON as a value; NaN and Infinity are allowed, bad UTF-8 is kept byte by byte."""
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        return json.loads(data.decode("latin-1"))


def same_number(want, got, dtype=None, tol=0.0):
    if isinstance(want, bool) or isinstance(got, bool):
        return want is got
    if want == got:
        return True
    if not (isinstance(want, float) or isinstance(got, float)):
        return False
    try:
        a, b = float(want), float(got)
    except OverflowError:
        return False
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if dtype == "FP32":
        try:
            if struct.pack("<f", a) == struct.pack("<f", b):
                return True
        except OverflowError:
            return False
    return abs(a - b) <= tol * max(abs(a), abs(b))


def sort_named(items):
    return sorted(items, key=lambda x: json.dumps(x.get("name", x), sort_keys=True))


def diff(want, got, rules, where="", dtype=None):
    """Raises Mismatch at the first difference of two JSON values."""
    spot = where or "body"
    if isinstance(want, dict) and isinstance(got, dict):
        lost, more = want.keys() - got.keys(), got.keys() - want.keys()
        if lost:
            raise Mismatch(f"{spot}: lacks {', '.join(sorted(lost))}")
        if more:
            raise Mismatch(f"{spot}: has unexpected {', '.join(sorted(more))}")
        for key in want:
            inner = want.get("datatype") if key == "data" else dtype
            diff(want[key], got[key], rules, f"{where}.{key}" if where else key, inner)
    elif isinstance(want, list) and isinstance(got, list):
        if len(want) != len(got):
            raise Mismatch(f"{spot}: {len(got)} elements instead of {len(want)}")
        if spot.rpartition(".")[2] in rules.get("unordered", ()):
            want, got = sort_named(want), sort_named(got)
        for i, (a, b) in enumerate(zip(want, got)):
            diff(a, b, rules, f"{where}[{i}]", dtype)
    elif isinstance(want, (int, float)) and isinstance(got, (int, float)):
        if not same_number(want, got, dtype, rules.get("tol", 0.0)):
            raise Mismatch(f"{spot}: {brief(got)} instead of {brief(want)}")
    elif isinstance(want, str) and isinstance(got, str):
        if neutral(want) != neutral(got):
            raise Mismatch(f"{spot}: {brief(got)!r} instead of {brief(want)!r}")
    elif type(want) is not type(got) or want != got:
        raise Mismatch(f"{spot}: {brief(got)} instead of {brief(want)}")


def check_text(want, got):
    if not isinstance(got, str) or not got:
        raise Mismatch("no error text")
    if want is not None and neutral(want) != neutral(got):
        raise Mismatch(f"text {brief(got, 300)!r} instead of {brief(want, 300)!r}", soft=True)


def flatten(entry, plain=False):
    """Counters of one model_stats entry as one flat dict, times left out.

    Raises Mismatch where a counter or a time is not a number >= 0. plain: the entry is
    real JSON, in which nothing may be missing; in a message turned into JSON zero fields
    are absent and 64 bit numbers are strings.
    """

    def number(holder, key, spot):
        value = holder.get(key, None if plain else 0)
        if not plain and isinstance(value, str) and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Mismatch(f"model_stats {spot}: {value!r} is no count")
        return value

    flat = {}
    for key in ("inference_count", "execution_count", "last_inference"):
        value = number(entry, key, key)
        if key != "last_inference":
            flat[key] = value
    groups = [("", entry.get("inference_stats"), DURATIONS)]
    for batch in entry.get("batch_stats", []):
        size = number(batch, "batch_size", "batch_size")
        groups.append((f"batch {size} ", batch, DURATIONS[3:6]))
    for prefix, group, names in groups:
        if not isinstance(group, dict):
            raise Mismatch("model_stats: inference_stats is missing")
        for name in names:
            duration = group.get(name, {})
            if not isinstance(duration, dict):
                raise Mismatch(f"model_stats {prefix}{name} is no object")
            number(duration, "ns", f"{prefix}{name}.ns")
            flat[prefix + name] = number(duration, "count", f"{prefix}{name}.count")
    return flat


def flatten_all(entries):
    flat = {}
    for entry in entries:
        try:
            flat[f"{entry.get('name')}/{entry.get('version')}"] = flatten(entry)
        except Mismatch:
            pass
    return flat


def check_statistics(want, entries, baselines, plain=False):
    if len(entries) != 1:
        raise Mismatch(f"model_stats: {len(entries)} entries instead of 1")
    key = f"{entries[0].get('name')}/{entries[0].get('version')}"
    if key != want["model"]:
        raise Mismatch(f"model_stats: {key} instead of {want['model']}")
    flat = flatten(entries[0], plain)
    before = baselines.get(want.get("since"), {}).get(key, {})
    counts = {k: v - before.get(k, 0) for k, v in flat.items()}
    counts = {k: v for k, v in counts.items() if v}
    if "keys" in want:
        counts = {k: v for k, v in counts.items() if k in want["keys"]}
    wrong = [
        f"{k} {counts.get(k, 0)} instead of {want['counts'].get(k, 0)}"
        for k in sorted(counts.keys() | want["counts"].keys())
        if counts.get(k, 0) != want["counts"].get(k, 0)
    ]
    if wrong:
        raise Mismatch("model_stats: " + ", ".join(wrong))


def check_stat_names(want, entries, plain=False):
    for entry in entries:
        flatten(entry, plain)
    got = sorted(f"{e.get('name')}/{e.get('version')}" for e in entries)
    lost, more = sorted(set(want) - set(got)), sorted(set(got) - set(want))
    if lost or more or len(got) != len(want):
        raise Mismatch(f"model_stats: lacks {brief(lost)}, has unexpected {brief(more)}")


def check_index(want, entries):
    def keyed(items):
        return {(e.get("name"), e.get("version", "")): e for e in items}

    expected, got = keyed(want), keyed(entries)
    lost = sorted(expected.keys() - got.keys())
    more = sorted(got.keys() - expected.keys())
    if lost or more or len(entries) != len(want):
        raise Mismatch(
            f"index: {len(entries)} entries instead of {len(want)},"
            f" lacks {brief(lost)}, has unexpected {brief(more)}"
        )
    late = None
    for key, entry in expected.items():
        mine = got[key]
        strange = mine.keys() - {"name", "version", "state", "reason"}
        if strange:
            raise Mismatch(f"index {key[0]}: has unexpected {', '.join(sorted(strange))}")
        state, mine_state = entry.get("state", ""), mine.get("state", "")
        if state != mine_state:
            raise Mismatch(f"index {key[0]}: state {mine_state!r} instead of {state!r}")
        if neutral(entry.get("reason", "")) != neutral(mine.get("reason", "")):
            late = f"index {key[0]}: reason {brief(mine.get('reason'))!r}"
            late += f" instead of {brief(entry.get('reason'))!r}"
    if late:
        raise Mismatch(late, soft=True)


def parse_metrics(text):
    """Metric family -> (type, set of label names) of a Prometheus text page."""
    kinds, labels = {}, collections.defaultdict(set)
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(None, 3)
            kinds[name] = kind.strip()
        elif line and not line.startswith("#"):
            found = re.match(r"([A-Za-z_:][\w:]*)(\{.*\})?\s+\S+", line)
            if not found:
                raise Mismatch(f"metrics: bad line {brief(line)!r}")
            labels[found[1]] |= set(re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', found[2] or ""))
    return {name: (kind, labels.get(name, set())) for name, kind in kinds.items()}


def check_metrics(want, text):
    got = parse_metrics(text)
    wrong = []
    for name, rule in want.items():
        if name not in got:
            if not rule.get("optional"):
                wrong.append(f"lacks {name}")
            continue
        kind, labels = got[name]
        if kind != rule["type"]:
            wrong.append(f"{name} is a {kind} instead of a {rule['type']}")
        if set(rule["labels"]) != labels:
            wrong.append(f"{name} has labels {sorted(labels)} instead of {rule['labels']}")
    if wrong:
        raise Mismatch("metrics: " + "; ".join(wrong))


def check_server(want, got):
    if not isinstance(got, dict):
        raise Mismatch("server metadata is no object")
    for key in ("name", "version"):
        if not isinstance(got.get(key), str) or not got[key]:
            raise Mismatch(f"server metadata: no {key}")
    lost = set(want["extensions"]) - set(got.get("extensions", []))
    if lost:
        raise Mismatch(f"server metadata: lacks extensions {sorted(lost)}")


def check_shm(regions):
    for region in regions:
        want = base64.b64decode(region["b64"])
        with open(os.path.join(SHM_DIR, region["key"].strip("/")), "rb") as f:
            f.seek(region["offset"])
            got = f.read(len(want))
        if got != want:
            raise Mismatch(f"shared memory {region['key']}+{region['offset']}: wrong content")


def unpack_body(reply):
    """Body after Content-Encoding."""
    body, coding = reply["body"], reply["headers"].get("content-encoding", "").lower()
    try:
        if coding == "gzip":
            return gzip.decompress(body)
        if coding == "deflate":
            return zlib.decompress(body)
    except (OSError, EOFError, zlib.error) as err:
        raise Mismatch(f"Content-Encoding {coding}, but the body does not unpack: {err}")
    return body


def check_http(want, reply, rules, baselines):
    if "down" in reply:
        raise Mismatch(f"no answer ({reply['down']})")
    if reply["status"] != want["status"]:
        shown = brief(reply["body"].decode("latin-1"))
        raise Mismatch(f"status {reply['status']} instead of {want['status']}: {shown}")
    head = reply["headers"]
    if "encoding" in want and head.get("content-encoding", "").lower() != want["encoding"]:
        raise Mismatch(
            f"Content-Encoding {head.get('content-encoding')!r} instead of {want['encoding']!r}"
        )
    if "type" in want:
        mine = head.get("content-type", "").split(";")[0].strip().lower()
        if mine != want["type"]:
            raise Mismatch(f"Content-Type {mine!r} instead of {want['type']!r}")
    body = unpack_body(reply)
    size = head.get("inference-header-content-length")
    if "tail_b64" in want:
        if size is None or not size.strip().isdigit() or int(size) > len(body):
            raise Mismatch(f"Inference-Header-Content-Length {size!r}, body has {len(body)} bytes")
        body, tail = body[: int(size)], body[int(size) :]
        if tail != base64.b64decode(want["tail_b64"]):
            raise Mismatch(f"binary tail ({len(tail)} bytes) differs: {tail[:32].hex()}")
    elif size is not None:
        raise Mismatch("Inference-Header-Content-Length without binary data")

    kind = want["body"]
    if kind == "any":
        return
    if kind == "empty":
        if body:
            raise Mismatch(f"body should be empty: {brief(body.decode('latin-1'))}")
        return
    if kind == "metrics":
        return check_metrics(want["value"], body.decode("utf-8"))
    if kind == "sse":
        events = [e for e in re.split(r"\r?\n\r?\n", body.decode("utf-8")) if e.strip()]
        if not all(e.startswith("data:") for e in events):
            raise Mismatch("event stream: an event without data:")
        return diff(want["value"], [json.loads(e[5:]) for e in events], rules, "events")
    try:
        value = parse_json(body)
    except ValueError as err:
        raise Mismatch(f"body is no JSON ({err}): {brief(body.decode('latin-1'))}")
    if kind == "error":
        if not isinstance(value, dict) or set(value) != {"error"}:
            raise Mismatch(f"no error object: {brief(value)}")
        return check_text(want.get("value"), value["error"])
    if kind == "json":
        return diff(want["value"], value, rules)
    if kind == "json_b64":
        return diff(parse_json(base64.b64decode(want["value"])), value, rules)
    if kind == "server":
        return check_server(want["value"], value)
    if kind == "index":
        return check_index(want["value"], value)
    if kind in ("stats", "stat_names"):
        if not isinstance(value, dict) or not isinstance(value.get("model_stats"), list):
            raise Mismatch(f"no model_stats: {brief(value)}")
        if kind == "stats":
            return check_statistics(want["value"], value["model_stats"], baselines, plain=True)
        return check_stat_names(want["value"], value["model_stats"], plain=True)
    raise RuntimeError(f"unknown body kind {kind!r}")


def check_grpc(want, reply, rules, baselines):
    if reply["status"] != want["status"]:
        raise Mismatch(
            f"status {reply['status']} instead of {want['status']}: {brief(reply['message'])}"
        )
    kind, got = want["body"], reply["responses"]
    if want["status"] != "OK":
        if want.get("message") != "":
            check_text(want.get("message"), reply["message"])
        if kind == "none" and got:
            raise Mismatch(f"{len(got)} responses before the error")
        return
    if kind == "any":
        return
    if kind == "responses":
        value = want["value"]
        if rules.get("by_id"):
            # answers of different requests of one stream may overtake each other
            def order(m):
                return m.get("infer_response", {}).get("id", "")

            value, got = sorted(value, key=order), sorted(got, key=order)
        return diff(value, got, rules, "responses")
    if len(got) != 1:
        raise Mismatch(f"{len(got)} responses instead of 1")
    if kind == "server":
        return check_server(want["value"], got[0])
    if kind == "index":
        return check_index(want["value"], got[0].get("models", []))
    if kind == "stats":
        return check_statistics(want["value"], got[0].get("model_stats", []), baselines)
    if kind == "stat_names":
        return check_stat_names(want["value"], got[0].get("model_stats", []))
    raise RuntimeError(f"unknown body kind {kind!r}")


def refused(which, reply):
    """Whether the answer is a refusal that a hostile request may get."""
    if which == "http":
        return 400 <= reply.get("status", 0) < 600
    if reply["status"] not in ("OK", "UNAVAILABLE"):
        return True
    # a stream reports errors inside of its answers
    return any(r.get("error_message") for r in reply["responses"])


# ----------------------------------------------------------------------------- runner


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
                    check_shm(option.get("shm", []))
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

    def make_shm(self, objects):
        for item in objects:
            unit = base64.b64decode(item["b64"])
            data = unit * (item["size"] // len(unit))
            with open(os.path.join(SHM_DIR, item["key"].strip("/")), "wb") as f:
                f.write(data)

    def drop_shm(self, objects):
        for item in objects:
            try:
                os.unlink(os.path.join(SHM_DIR, item["key"].strip("/")))
            except FileNotFoundError:
                pass

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
        self.wanted = [m for m in head["models"] if m not in self.opt.without]
        self.prepare(self.peers[which], self.wanted)
        if not self.fresh:
            say(f"# {which}: not a fresh server, cases that need one are left out")
        self.make_shm(head["shm"])
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
            self.drop_shm(head["shm"])

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
        return self.report()

    # --- report

    def report(self):
        def table(title, key):
            rows = collections.defaultdict(collections.Counter)
            for entry in self.results:
                rows[entry[key] or "(no expectation)"][entry["result"]] += 1
            say(f"\n{title:18} passed failed  text-differs  sent skipped")
            for name in sorted(rows):
                c = rows[name]
                say(
                    f"{name:18} {c['pass'] + c['text']:6} {c['fail']:6} {c['text']:13}"
                    f" {c['sent']:5} {c['skip']:7}"
                )
            return {k: dict(v) for k, v in rows.items()}

        by_class = table("class", "class")
        by_area = table("area", "area")
        count = collections.Counter(e["result"] for e in self.results)
        worded = [e for e in self.results if e["result"] == "text"]
        strict = [e for e in self.results if e["detail"].startswith("status ok, text differs")]
        say("")
        if worded:
            say(f"status ok, text differs (allowed): {', '.join(e['name'] for e in worded)}")
        if strict:
            say(f"status ok, text differs (failed): {', '.join(e['name'] for e in strict)}")
        if self.died:
            say(f"the server died or hung on: {', '.join(self.died)}")
        if count["sent"]:
            say(f"{count['sent']} cases were only sent (no expectation, or not chosen)")
        passed = count["pass"] + count["text"]
        if self.opt.json:
            with open(self.opt.json, "w", encoding="utf-8") as f:
                summary = {
                    "passed": passed,
                    "failed": count["fail"],
                    "skipped": count["skip"],
                    "sent": count["sent"],
                    "text_differs": len(worded),
                    "died": self.died,
                    "by_class": by_class,
                    "by_area": by_area,
                    "cases": self.results,
                }
                json.dump(summary, f, indent=1, ensure_ascii=False)
        say(f"{passed} passed, {count['fail']} failed, {count['skip']} skipped")
        return 1 if count["fail"] or self.stopped or not passed else 0


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--http", type=address, metavar="HOST:PORT")
    p.add_argument("--grpc", type=address, metavar="HOST:PORT")
    p.add_argument("--metrics", type=address, metavar="HOST:PORT")
    p.add_argument("--cases", required=True, metavar="DIR", help="folder of http.jsonl, grpc.jsonl")
    p.add_argument(
        "--only",
        metavar="REGEX",
        help="judge only what matches 'http/NAME [AREA]'; the rest is just sent",
    )
    p.add_argument("--list", metavar="FILE", help="judge only the cases named in FILE")
    p.add_argument(
        "--without",
        metavar="MODELS",
        type=lambda text: text.split(","),
        default=[],
        help="models, with commas between them, that the server is not expected to have loaded",
    )
    p.add_argument("--restart-cmd", metavar="CMD", help="stops and starts the server under test")
    p.add_argument("--start-timeout", type=float, default=60, metavar="S")
    p.add_argument("--timeout", type=float, default=20, metavar="S", help="limit of one request")
    p.add_argument("--no-shm", action="store_true", help="server does not share /dev/shm")
    p.add_argument("--json", metavar="FILE", help="write a machine-readable result")
    p.add_argument("--verbose", action="store_true", help="a line for every case")
    options = p.parse_args()
    if not options.http and not options.grpc:
        p.error("give --http, --grpc or both")
    if not glob.glob(os.path.join(options.cases, "*.jsonl")):
        options.cases = os.path.join(options.cases, "cases")
        if not glob.glob(os.path.join(options.cases, "*.jsonl")):
            p.error("no *.jsonl in the folder of --cases")
    if options.list:
        with open(options.list, encoding="utf-8") as f:
            options.list = set(f.read().split())
    sys.exit(Runner(options).run())


if __name__ == "__main__":
    main()
