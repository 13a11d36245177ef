"""Several processes of a load generator at once against one server, and what they and the server saw."""

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time

import perf_analyzer
from server_process import BINARY

from .cores import on

VERSION = "2.40.0"
WINDOWS = 3
# A window that saw no request fails: it is tried again, longer.
ATTEMPTS = 3
# Seconds that `hippocamp bench` sends requests for before it measures, at a level that its threads are busy at.
WARM_UP = 0.2


def by_perf_analyzer(port, row, protocol, concurrency, window, folder):
    options = ["-i", protocol, "--concurrency-range", str(concurrency), *row.options]
    options += ["-p", str(window), "-s", "1000", "-r", str(WINDOWS)]
    limit = 60 + window * WINDOWS / 100
    (report,) = perf_analyzer.analyze(VERSION, row.model, f"127.0.0.1:{port}", options, folder, limit)
    found = "Inferences/Second", "p50 latency", "p99 latency"
    return [float(report[name]) for name in found]


def by_hippocamp(port, row, protocol, concurrency, window, folder):
    """`hippocamp bench`, which takes a fraction of perf_analyzer's processor time, so that it reaches a faster server's limit."""
    report = os.path.join(folder, "report.json")
    command = [BINARY, "bench", row.model, "--url", f"{protocol}://127.0.0.1:{port}", *row.options]
    command += ["--concurrency", str(concurrency), "--seconds", str(window * WINDOWS / 1000)]
    command += ["--warm-up", str(WARM_UP), "--json", report]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + window * WINDOWS / 100)
    if done.returncode:
        raise RuntimeError(f"hippocamp bench failed: {done.stderr[-500:]}")
    with open(report, encoding="utf-8") as f:
        (result,) = json.load(f)["results"]
    if result["failed"]:
        raise RuntimeError(f"{result['failed']} requests failed: {result['errors']}")
    return [result["requests_per_s"], result["latency_us"]["p50"], result["latency_us"]["p99"]]


def client(port, row, protocol, concurrency, window, generator, cores, work, reports):
    """One process, to its end. Adds its requests a second, median latency and 99th percentile, or why there are none."""
    run = by_hippocamp if generator == "hippocamp" else by_perf_analyzer
    with on(cores), tempfile.TemporaryDirectory(dir=work) as folder:
        try:
            reports.append(run(port, row, protocol, concurrency, window, folder))
        except Exception as e:  # noqa: BLE001
            reports.append(e)


def together(ports, row, protocol, concurrency, clients, window, generator, cores, work):
    """The reports of all clients, which use the ports in turns."""
    reports = []
    rest = (row, protocol, concurrency, window, generator, cores, work, reports)
    threads = [threading.Thread(target=client, args=(ports[n % len(ports)], *rest)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for report in reports:
        if isinstance(report, Exception):
            raise report
    return reports


def drive(ports, row, protocol, concurrency, clients, seconds, generator, cores, work):
    for attempt in range(ATTEMPTS):
        window = max(100, int(seconds * 1000 / WINDOWS)) * 2**attempt
        try:
            return together(ports, row, protocol, concurrency, clients, window, generator, cores, work)
        except RuntimeError as e:
            failed = e
            print(f"  {generator} failed, attempt {attempt + 1} of {ATTEMPTS}", flush=True)
    raise failed


def one(server, process, row, protocol, cores, setting, seconds, generator, work):
    """What came of it. Throughput is the sum of what the clients report, the median latency theirs, the 99th percentile
    that of the slowest. CPU time and requests are the server's, from before the first to after the last.

    `cores` is (the server's, the clients'); `setting` is (clients, concurrency of each). Where there are more ports than
    clients, each port has a client, and all of them together have the same concurrency.
    """
    ports = server.ports(process, protocol)
    clients, concurrency = setting
    if len(ports) > clients:
        clients, concurrency = len(ports), max(1, clients * concurrency // len(ports))
    before, served = server.cpu_seconds(process), server.count(process, row)
    begin, client_cpu = time.monotonic(), sum(os.times()[:4])
    reports = drive(ports, row, protocol, concurrency, clients, seconds, generator, cores[1], work)
    elapsed = time.monotonic() - begin
    client_cpu = sum(os.times()[:4]) - client_cpu
    used = server.cpu_seconds(process) - before
    count = server.count(process, row) - served
    return {
        "server": server.name,
        "row": row.key,
        "protocol": protocol,
        "cores": len(cores[0]),
        "client_cores": len(cores[1]),
        "clients": clients,
        "concurrency": concurrency,
        "requests_per_s": sum(rate for rate, _, _ in reports),
        "cpu_s_per_1000": used / count * 1000,
        "client_cpu_s_per_1000": client_cpu / count * 1000,
        "server_cores_used": used / elapsed,
        "client_cores_used": client_cpu / elapsed,
        "p50_us": statistics.median(middle for _, middle, _ in reports),
        "p99_us": max(late for _, _, late in reports),
        "requests": int(count),
    }
