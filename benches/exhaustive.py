"""`scripts/bench tune --exhaustive`: what `hippocamp tune` finds, against the best of all settings of the same space, each of which is
measured: how many times as long that takes, and how much of its throughput is reached.
"""

import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request

from models import add_sub, write_model

from . import ROOT
from .compare.servers import BINARY, LIBRARY, PYTHON_BACKENDS, ServerProcess

MAX_BATCH, CONCURRENCIES = 8, (8, 32)
DELAYS = (0, 200, 1000, 5000)
# As many of the best are measured again, in turns with what tune recommends: the best of many measurements owes some of it to luck.
FINALISTS, TURNS = 4, 5
MODELS = ("mlp", "simple", "magika", "centerface", "addsub")
HEADS = {
    "simple": """backend: "onnxruntime"
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
""",
    "magika": """backend: "onnxruntime"
input [ { name: "bytes" data_type: TYPE_INT32 dims: [ 2048 ] } ]
output [ { name: "target_label" data_type: TYPE_FP32 dims: [ 214 ] } ]
""",
    "centerface": """backend: "onnxruntime"
input [ { name: "input.1" data_type: TYPE_FP32 dims: [ 3, 320, 320 ] } ]
output [ { name: "537" data_type: TYPE_FP32 dims: [ 1, -1, -1 ] }, { name: "538" data_type: TYPE_FP32 dims: [ 2, -1, -1 ] },
         { name: "539" data_type: TYPE_FP32 dims: [ 2, -1, -1 ] }, { name: "540" data_type: TYPE_FP32 dims: [ 10, -1, -1 ] } ]
""",
}


def written(folder, model):
    """The model with one instance and without batches, as tune gets it; returns the part of its config that stays."""
    from . import tune

    if model in ("mlp", "addsub"):
        tune.write(folder)
        with open(os.path.join(folder, model, "config.pbtxt"), encoding="utf-8") as f:
            text = f.read()
        head = re.sub(r"(?m)^(instance_group|max_batch_size).*\n?", "", text)
    else:
        head = HEADS[model]
    if model == "simple":
        write_model(folder, model, "", add_sub())
    elif model not in ("mlp", "addsub"):
        write_model(folder, model, "")
        shutil.copy(os.path.join(ROOT, ".cache", "models", f"{model}.onnx"), os.path.join(folder, model, "1", "model.onnx"))
    given = (1, None, 0 if model == "addsub" else 1, None)
    config(folder, model, head, given)
    return head, given


def config(folder, model, head, settings):
    instances, threads, batch, delay = settings
    text = f"{head}max_batch_size: {batch}\ninstance_group [ {{ count: {instances} kind: KIND_CPU }} ]\n"
    if threads:
        text += f'parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}\n'
    if delay is not None:
        text += f"dynamic_batching {{ max_queue_delay_microseconds: {delay} }}\n"
    with open(os.path.join(folder, model, "config.pbtxt"), "w", encoding="utf-8") as f:
        f.write(text)


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


def rate(server, folder, model, head, settings, seconds):
    """Requests a second over gRPC, at the best of some numbers of requests under way."""
    config(folder, model, head, settings)
    load = urllib.request.Request(f"http://{server.http}/v2/repository/models/{model}/load", b"{}")
    with urllib.request.urlopen(load, timeout=120) as answer:
        answer.read()
    file = os.path.join(folder, "..", "rates.json")
    command = [BINARY, "bench", model, f"--url=grpc://{server.grpc}", f"--seconds={seconds}", f"--warm-up={seconds / 3}", f"--json={file}"]
    command += ["--concurrency", ",".join(map(str, CONCURRENCIES))]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with open(file, encoding="utf-8") as f:
        return max(row["requests_per_s"] for row in json.load(f)["results"])


def tuned(folder, model, cores):
    command = [BINARY, "tune", model, f"--model-repository={folder}", f"--max-instances={cores}", f"--max-batch={MAX_BATCH}"]
    command += [f"--concurrency={max(CONCURRENCIES)}", f"--backend-directory={PYTHON_BACKENDS}", f"--backend-config=onnxruntime,library={LIBRARY}"]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    print(done.stdout, flush=True)
    with open(os.path.join(folder, model, "config.pbtxt"), encoding="utf-8") as f:
        text = f.read()
    number = {key: re.search(pattern, text) for key, pattern in (
        ("instances", r"count: (\d+)"), ("threads", r'intra_op_thread_count"[^"]*"(\d+)"'), ("batch", r"max_batch_size: (\d+)"),
        ("delay", r"max_queue_delay_microseconds: (\d+)"))}
    value = {key: int(found[1]) if found else None for key, found in number.items()}
    if value["delay"] is None and "dynamic_batching" in text:
        value["delay"] = 0
    return seconds, (value["instances"] or 1, value["threads"], value["batch"] or 0, value["delay"])


def words(settings):
    instances, threads, batch, delay = settings
    parts = [f"instances {instances}", threads and f"threads {threads}", batch and f"batch {batch}", delay is not None and f"delay {delay} us"]
    return ", ".join(filter(None, parts))


def one(model, cores, seconds, work):
    folder = os.path.join(work, model, "models")
    os.makedirs(folder)
    head, given = written(folder, model)
    took, found = tuned(folder, model, cores)
    settings = space(head, given, cores)
    flags = ["--model-control-mode=explicit", "--log-info=false", "--log-warning=false", f"--backend-directory={PYTHON_BACKENDS}"]
    with ServerProcess(folder, flags=flags) as server:
        begin = time.monotonic()
        rates = {each: rate(server, folder, model, head, each, seconds) for each in settings}
        whole = time.monotonic() - begin
        best = sorted(rates, key=rates.get, reverse=True)[:FINALISTS]
        last = list(dict.fromkeys([*best, found, given]))
        again = {each: [] for each in last}
        for turn in range(TURNS):
            for each in last if turn % 2 == 0 else reversed(last):
                again[each].append(rate(server, folder, model, head, each, seconds))
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
