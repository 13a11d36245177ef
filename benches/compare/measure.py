"""One run of perf_analyzer against one server."""

import array
import contextlib
import json
import os
import socket
import tempfile
import threading

import perf_analyzer

from . import json_load, repository
from .servers import children, connections, cpu_seconds

VERSION = "2.40.0"
# perf_analyzer reports the mean of so many windows.
WINDOWS = 3
# On a busy machine a window may see no request at all: it is tried again with longer ones.
ATTEMPTS = 4


def statistics(process, model):
    status, body = process.get(f"/v2/models/{model}/stats")
    if status != 200:
        raise RuntimeError(f"no statistics: {body!r}")
    of = json.loads(body)["model_stats"][0]["inference_stats"]
    return {"count": of["success"]["count"], "queue_ns": of["queue"]["ns"]}


class MostConnections(threading.Thread):
    """Looks a few times a second how many connections there are."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.most, self.done = port, 0, threading.Event()

    def run(self):
        while not self.done.wait(0.25):
            self.most = max(self.most, connections(self.port))

    def stop(self):
        self.done.set()
        self.join()
        return self.most


@contextlib.contextmanager
def idle_connections(port, count):
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        yield


def give(folder, name, count):
    """A folder with the data of an input: what the bench `limit` takes."""
    given = os.path.join(folder, "given")
    os.mkdir(given)
    with open(os.path.join(given, name), "wb") as f:
        array.array("f", (i % 251 for i in range(count))).tofile(f)
    return given


def drive(port, row, protocol, concurrency, seconds, work):
    """What the client saw."""
    if row.json_floats:
        return json_load.run(port, row.model, row.json_floats, concurrency, seconds)
    for attempt in range(ATTEMPTS):
        window = max(100, int(seconds * 1000 / WINDOWS)) * 2**attempt
        options = ["-i", protocol, "--concurrency-range", str(concurrency), *row.options]
        options += ["-p", str(window), "-s", "1000", "-r", str(WINDOWS)]
        with tempfile.TemporaryDirectory(dir=work) as folder:
            if row.given:
                options += ["--input-data", give(folder, *row.given)]
            try:
                address = f"127.0.0.1:{port}"
                limit = 120 + 20 * seconds
                (report,) = perf_analyzer.analyze(
                    VERSION, row.model, address, options, folder, limit
                )
                return report
            except RuntimeError as e:
                failed = e
                print(f"  perf_analyzer failed, attempt {attempt + 1} of {ATTEMPTS}", flush=True)
    raise failed


def one(process, row, protocol, concurrency, seconds, work):
    """What came of it. Throughput and latency are the client's, from its last windows; CPU time and
    requests are the server's, from before the first to after the last.
    """
    port = process.grpc_port if protocol == "grpc" else process.http_port
    load = os.getloadavg()[0]
    with idle_connections(port, row.idle_connections):
        helpers = children(process.pid)
        before, served = cpu_seconds(process.pid), statistics(process, row.model)
        helped = sum(map(cpu_seconds, helpers))
        watch = MostConnections(port)
        watch.start()
        client = sum(os.times()[:4])
        report = drive(port, row, protocol, concurrency, seconds, work)
        used = cpu_seconds(process.pid) - before
        client = sum(os.times()[:4]) - client
        helped = sum(map(cpu_seconds, helpers)) - helped
        now = statistics(process, row.model)
    count = now["count"] - served["count"]
    return {
        "row": row.key,
        "protocol": protocol,
        "concurrency": concurrency,
        "cpu_s_per_1000": used / count * 1000,
        "helpers_cpu_s_per_1000": helped / count * 1000,
        "client_cpu_s_per_1000": client / count * 1000,
        "requests_per_s": float(report["Inferences/Second"]),
        "p50_us": float(report["p50 latency"]),
        "p99_us": float(report["p99 latency"]),
        "queue_us": (now["queue_ns"] - served["queue_ns"]) / count / 1000,
        "connections": watch.stop() - row.idle_connections,
        "requests": count,
        "load_before": load,
    }


def row(server, row, seconds, work, say):
    """All protocols and concurrencies of a row against one server, which is started for it."""
    results = []
    with tempfile.TemporaryDirectory(dir=work) as folder:
        repository.write(folder, row.model, server.identity_backend, row.extra_models)
        with server.process(folder) as process:
            for protocol in row.protocols:
                for concurrency in row.concurrencies:
                    result = one(process, row, protocol, concurrency, seconds, work)
                    results.append({"server": server.name, **result})
                    say(results[-1])
    return results
