"""The processor time that load generators take for a request: perf_analyzer and `hippocamp bench`, in turns
on one server.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

import perf_analyzer

from .compare import measure, repository
from .compare.servers import BINARY, Ours

FLOATS = 16
CONCURRENCIES = (1, 4, 16)


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def theirs(address, protocol, concurrency, seconds, folder):
    """Requests a second by perf_analyzer."""
    options = ["-i", protocol, "--concurrency-range", str(concurrency), "--shape", f"INPUT0:{FLOATS}"]
    options += ["-p", str(max(100, int(seconds * 1000 / 3))), "-s", "1000", "-r", "3"]
    (report,) = perf_analyzer.analyze(measure.VERSION, "identity", address, options, folder, 120 + 20 * seconds)
    return float(report["Inferences/Second"])


def ours(address, protocol, concurrency, seconds, folder):
    """Requests a second by `hippocamp bench`."""
    report = os.path.join(folder, "ours.json")
    command = [BINARY, "bench", "identity", "--url", f"{protocol}://{address}", "--shape", f"INPUT0:{FLOATS}"]
    command += ["--concurrency", str(concurrency), "--seconds", str(seconds), "--warm-up", "0.2", "--json", report]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open(report, encoding="utf-8") as f:
        return json.load(f)["results"][0]["requests_per_s"]


def one(process, run, protocol, *how):
    """(CPU microseconds of the generator for a request, requests a second). All of its run counts, its start included."""
    address = process.grpc if protocol == "grpc" else process.http
    served, used = measure.statistics(process, "identity")["count"], children_seconds()
    rate = run(address, protocol, *how)
    used = children_seconds() - used
    count = measure.statistics(process, "identity")["count"] - served
    return used / count * 1e6, rate


def generator(seconds, rounds):
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    cells = [(protocol, concurrency) for protocol in ("grpc", "http") for concurrency in CONCURRENCIES]
    results = {(cell, run): [] for cell in cells for run in (theirs, ours)}
    with tempfile.TemporaryDirectory(prefix="bench-generator-") as folder:
        models = os.path.join(folder, "models")
        repository.write(models, "identity", Ours.identity_backend)
        with Ours().process(models) as process:
            for turn in range(rounds):
                for protocol, concurrency in cells:
                    for run in (theirs, ours) if turn % 2 == 0 else (ours, theirs):
                        how = protocol, concurrency, seconds, folder
                        results[(protocol, concurrency), run].append(one(process, run, *how))
    print(f"identity, {FLOATS} floats; medians of {rounds} rounds of {seconds} s each\n")
    print("| over | at | perf_analyzer, CPU us | hippocamp bench | of that | a second, perf_analyzer | hippocamp bench |")
    print("|---|---|---|---|---|---|---|")
    for cell in cells:
        (their_cpu, their_rate), (our_cpu, our_rate) = (
            [statistics.median(column) for column in zip(*results[cell, run])] for run in (theirs, ours)
        )
        protocol, concurrency = cell
        print(
            f"| {protocol} | {concurrency} | {their_cpu:.1f} | {our_cpu:.1f} | {our_cpu / their_cpu:.2f} "
            f"| {their_rate:,.0f} | {our_rate:,.0f} |"
        )
    return 0
