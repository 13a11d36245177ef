"""`scripts/bench tune --exhaustive`: what `hippocamp tune` finds, against the best of all settings of the same space, each of which is
measured: how many times as long that takes, and how much of its throughput is reached.
"""

import itertools
import json
import os
import statistics
import subprocess
import tempfile
import time
import urllib.request

from .compare.servers import BINARY
from .tune import MAX_BATCH, server, tuned
from .tune_models import configure, settings_of, words, written

CONCURRENCIES = (8, 32)
DELAYS = (0, 200, 1000, 5000)
# As many of the best are measured again, in turns with what tune recommends: the best of many measurements owes some of it to luck.
FINALISTS, TURNS = 4, 5
MODELS = ("mlp", "simple", "magika", "centerface", "addsub")


def doubled(most):
    return sorted({most, *itertools.takewhile(lambda value: value < most, (2**number for number in range(20)))})


def space(head, given, cores):
    """All settings that tune may try of such a model."""
    counts = [(count, None) for count in doubled(cores)]
    if "onnxruntime" in head:
        counts += [(count, threads) for count, _ in counts for threads in sorted({1, max(1, cores // count)})]
    if given[2] == 0:
        return [(count, threads, 0, None) for count, threads in counts]
    # Without being joined, requests fill no batch.
    batches = [(batch, delay) for batch in doubled(MAX_BATCH) for delay in (None, *DELAYS) if delay is not None or batch == 1]
    return [(*count, *batch) for count in counts for batch in batches]


def rate(running, folder, model, head, settings, seconds):
    """Requests a second over gRPC, at the best of some numbers of requests under way."""
    configure(folder, model, head, settings)
    load = urllib.request.Request(f"http://{running.http}/v2/repository/models/{model}/load", b"{}")
    with urllib.request.urlopen(load, timeout=120) as answer:
        answer.read()
    file = os.path.join(folder, "..", "rates.json")
    command = [BINARY, "bench", model, f"--url=grpc://{running.grpc}", f"--seconds={seconds}", f"--warm-up={seconds / 3}", f"--json={file}"]
    command += ["--concurrency", ",".join(map(str, CONCURRENCIES))]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with open(file, encoding="utf-8") as f:
        return max(row["requests_per_s"] for row in json.load(f)["results"])


def one(model, cores, seconds, work):
    folder = os.path.join(work, model, "models")
    os.makedirs(folder)
    head, given = written(folder, model)
    took, _, text = tuned(model, folder)
    found, settings = settings_of(text), space(head, given, cores)
    with server(folder) as running:
        begin = time.monotonic()
        rates = {each: rate(running, folder, model, head, each, seconds) for each in settings}
        whole = time.monotonic() - begin
        best = sorted(rates, key=rates.get, reverse=True)[:FINALISTS]
        last = list(dict.fromkeys([*best, found, given]))
        again = {each: [] for each in last}
        for turn in range(TURNS):
            for each in last if turn % 2 == 0 else reversed(last):
                again[each].append(rate(running, folder, model, head, each, seconds))
    medians = {each: statistics.median(values) for each, values in again.items()}
    best = max(medians, key=medians.get)
    return {
        "model": model, "settings": len(settings), "seconds": whole, "tune_seconds": took, "given": medians[given],
        "best": words(best), "best_rate": medians[best], "found": words(found), "found_rate": medians[found], "rates": {words(k): v for k, v in again.items()},
    }


def exhaustive(only, seconds, cores, output):
    from .compare import report

    rows = []
    for model in only or MODELS:
        with tempfile.TemporaryDirectory(prefix="bench-tune-") as work:
            rows.append(one(model, cores, seconds, work))
        row = rows[-1]
        print(f"{model}: {row['found_rate'] / row['best_rate']:.2f} of the best of {row['settings']}", flush=True)
    print(f"\n{report.machine()}; instances up to {cores}, batches up to {MAX_BATCH}, {' or '.join(map(str, CONCURRENCIES))} requests under way, over gRPC")
    print("\n| model | as given, a second | best of all | of | a second | by tune | a second | share | all, s | tune, s |")
    print("|" + " - |" * 10)
    for row in rows:
        share = row["found_rate"] / row["best_rate"]
        print(f"| {row['model']} | {row['given']:,.0f} | {row['best']} | {row['settings']} | {row['best_rate']:,.0f} | {row['found']} | {row['found_rate']:,.0f} "
              f"| {share:.2f} ({'reached' if share >= 0.95 else '**missed**'}: 0.95) | {row['seconds']:.1f} | {row['tune_seconds']:.1f} |")
    if output:
        with open(output, "w", encoding="utf-8") as f:
            json.dump({"machine": report.machine(), "results": rows}, f, indent=1)
