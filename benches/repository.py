"""Memory over many loads and unloads, and what many models cost, for scripts/bench repository."""

import http.client
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

from server_process import BINARY, ROOT, ServerProcess

from .detection import cpu_seconds

MODELS = os.path.join(ROOT, "model_repository")


class Link:
    """One connection that stays open. Answers that are no success end the bench."""

    def __init__(self, server):
        self.link = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=600)

    def ask(self, method, path, body=b"", headers=None):
        self.link.request(method, path, body, headers or {})
        reply = self.link.getresponse()
        answer = reply.read()
        if reply.status != 200:
            sys.exit(f"bench: {method} {path} is answered with {reply.status}: {answer[:200]}")
        return answer

    def p50(self, runs, *request):
        """ms of the median of so many requests."""
        times = []
        for _ in range(runs):
            begin = time.perf_counter()
            self.ask(*request)
            times.append(time.perf_counter() - begin)
        return statistics.median(times) * 1000


def slope(values):
    """Of the line through the values that has the least squares: units a step."""
    middle, mean = (len(values) - 1) / 2, statistics.fmean(values)
    over = sum((i - middle) * (value - mean) for i, value in enumerate(values))
    return over / sum((i - middle) ** 2 for i in range(len(values)))


def cycles(model, count):
    """Resident memory after each of so many unloads."""
    with ServerProcess(MODELS, flags=["--model-control-mode=explicit"]) as server:
        link = Link(server)
        idle = server.status_kib("VmRSS")
        resident, loads, loaded = [], [], 0
        for _ in range(count):
            begin = time.perf_counter()
            link.ask("POST", f"/v2/repository/models/{model}/load")
            loads.append(time.perf_counter() - begin)
            loaded = max(loaded, server.status_kib("VmRSS"))
            link.ask("POST", f"/v2/repository/models/{model}/unload")
            resident.append(server.status_kib("VmRSS"))
        threads = server.status_kib("Threads")
    steady = resident[len(resident) // 5 :]
    print(f"{count} times {model} loaded and unloaded; resident memory")
    print(f"  before the first load           {idle / 1024:9.1f} MiB")
    print(f"  at most while loaded            {loaded / 1024:9.1f} MiB")
    print(f"  after the first unload          {resident[0] / 1024:9.1f} MiB")
    print(f"  after the last                  {resident[-1] / 1024:9.1f} MiB, {threads} threads")
    print(f"  slope over the last four fifths {slope(steady):9.2f} KiB a cycle")
    print(f"  a load, median                  {statistics.median(loads) * 1000:9.1f} ms", flush=True)


def many(count, seconds, base, flags=()):
    """Start, memory and what is asked of a server of so many models like `simple`. Returns a row."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for i in range(count):
            target = os.path.join(folder, f"model{i:04}")
            shutil.copytree(os.path.join(MODELS, "simple"), target)
            path = os.path.join(target, "config.pbtxt")
            with open(path, encoding="utf-8") as f:
                config = f.read().replace('name: "simple"', "")
            with open(path, "w", encoding="utf-8") as f:
                f.write(config)
        server = ServerProcess(folder, timeout=600, flags=flags)
        begin = time.perf_counter()
        with server:
            ready = time.perf_counter() - begin
            spent = cpu_seconds(server.pid)
            time.sleep(0.5)  # what is freed after the start is gone by now
            memory, threads = server.status_kib("VmRSS"), server.status_kib("Threads")
            before = cpu_seconds(server.pid), switches(server.pid)
            time.sleep(seconds)
            idle = cpu_seconds(server.pid) - before[0]
            woken = switches(server.pid) - before[1]
            link = Link(server)
            index = link.p50(21, "POST", "/v2/repository/index")
            config = link.p50(201, "GET", f"/v2/models/model{count - 1:04}/config")
            header = {"Inference-Header-Content-Length": str(len(REQUEST[0]))}
            infer = (f"/v2/models/model{count - 1:04}/infer", b"".join(REQUEST), header)
            link.p50(500, "POST", *infer)
            begin = cpu_seconds(server.pid)
            request = link.p50(4000, "POST", *infer)
            cost = (cpu_seconds(server.pid) - begin) / 4
    # Memory and threads of a model are what it has more than the server of one model, or than none.
    each = (memory - base[0]) / max(1, count - base[1])
    print(
        f"{count:7} {ready:8.2f} {spent:8.2f} {memory / 1024:9.1f} {each:9.1f} {threads:8} {idle:8.2f}"
        f" {woken:8} {index:8.2f} {config:8.3f} {request:8.3f} {cost:9.3f}",
        flush=True,
    )
    return memory, count


def switches(pid):
    """How often any thread of the process was woken."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/status", encoding="ascii") as f:
                lines = [line for line in f if line.startswith("voluntary_ctxt_switches")]
        except FileNotFoundError:
            continue
        total += int(lines[0].split()[1])
    return total


def request():
    """A request for `simple`: its JSON, and its tensors."""
    tensor = {"datatype": "INT32", "shape": [1, 16], "parameters": {"binary_data_size": 64}}
    inputs = [{"name": name, **tensor} for name in ("INPUT0", "INPUT1")]
    body = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    return json.dumps(body).encode(), bytes(128)


REQUEST = request()


def repository(count, models, seconds):
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    if count:
        cycles("centerface", count)
        print()
    if models:
        titles = ("", "ready,", "that in", "resident,", "a model,", "", "idle,", "woken", "index,")
        units = ("models", "s", "CPU s", "MiB", "KiB", "threads", "CPU s", "", "p50 ms")
        titles += ("config,", "request,", "CPU s for")
        units += ("p50 ms", "p50 ms", "1,000")
        form = "{:>7} {:>8} {:>8} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}"
        print(f"models like `simple`; idle for {seconds:g} s; the last model is asked")
        print(form.format(*titles))
        print(form.format(*units))
        base = (0, 0)
        for n in sorted({1, models}):
            base = many(n, seconds, base)
        print("the same with --lazy-load")
        many(models, seconds, (0, 0), ["--lazy-load"])
