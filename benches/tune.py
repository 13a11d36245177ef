"""`scripts/bench tune`: `hippocamp tune` and the quick search of NVIDIA's model_analyzer on the same models, server and space: how long each
takes, and what perf_analyzer measures of the settings that each recommends.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from . import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))
# Behind our own: it has a module perf_analyzer, too.
sys.path.append(os.path.join(ROOT, ".cache", "python", "tests"))

import model_analyzer  # noqa: E402
import numpy as np  # noqa: E402
import perf_analyzer  # noqa: E402
from models import ONNX_TYPES, onnx_bytes, write_model  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from . import python as python_models  # noqa: E402
from .compare import report  # noqa: E402
from .compare.servers import BINARY, LIBRARY, PYTHON_BACKENDS, ServerProcess  # noqa: E402

WIDTH = 1024
# Both begin with single items; `hippocamp tune` would not lower what is there.
MLP_CONFIG = f"""backend: "onnxruntime"
max_batch_size: 1
input [ {{ name: "INPUT" data_type: TYPE_FP32 dims: [ {WIDTH} ] }} ]
output [ {{ name: "OUTPUT" data_type: TYPE_FP32 dims: [ {WIDTH} ] }} ]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
"""
MODELS = ("mlp", "addsub")
# The space of both. The numbers of instances end with the cores.
MAX_BATCH, MAX_CONCURRENCY = 8, 32
# At these perf_analyzer measures what is recommended; the best of them counts.
CONCURRENCIES = (8, 16, 32)


def mlp(layers=4):
    """Layers of a square matrix and ReLU, as an ONNX file."""
    random = np.random.default_rng(1)
    nodes, weights, last = [], [], "INPUT"
    for number in range(layers):
        values = random.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
        weights.append(numpy_helper.from_array(values.astype(np.float32), f"weights{number}"))
        output = "OUTPUT" if number == layers - 1 else f"layer{number}"
        nodes.append(helper.make_node("MatMul", [last, f"weights{number}"], [f"product{number}"]))
        nodes.append(helper.make_node("Relu", [f"product{number}"], [output]))
        last = output
    infos = [helper.make_tensor_value_info(name, ONNX_TYPES["FP32"], ["N", WIDTH]) for name in ("INPUT", "OUTPUT")]
    return onnx_bytes(helper.make_graph(nodes, "mlp", infos[:1], infos[1:], weights))


def write(folder):
    write_model(folder, "mlp", MLP_CONFIG, mlp())
    python_models.write(folder)


def flags():
    return [f"--backend-directory={PYTHON_BACKENDS}", f"--backend-config=onnxruntime,library={LIBRARY}"]


def server(repository, *models):
    own = ["--model-control-mode=explicit", "--log-info=false", f"--backend-directory={PYTHON_BACKENDS}"]
    return ServerProcess(repository, flags=[*own, *(f"--load-model={model}" for model in models)])


def cores():
    return len(os.sched_getaffinity(0))


def analyzed(model, repository, work):
    """What model_analyzer recommends: seconds, how many settings it measured, the config."""
    folder = tempfile.mkdtemp(prefix="analyzer-", dir=work)
    options = ["--triton-launch-mode=remote", "--run-config-search-mode=quick"]
    options += [f"--run-config-search-max-instance-count={cores()}", f"--run-config-search-max-model-batch-size={MAX_BATCH}"]
    options += [f"--run-config-search-max-concurrency={MAX_CONCURRENCY}"]
    with server(repository) as running:
        ports = running.http_port, running.grpc_port, running.metrics_port
        begin = time.monotonic()
        rows, log = model_analyzer.profile(model, repository, folder, ports, options)
        seconds = time.monotonic() - begin
    best = max(rows, key=lambda row: float(row["Throughput (infer/sec)"]))
    count = len(set(re.findall(r"Profiling (\S+): concurrency", log)))
    return seconds, count, model_analyzer.config(folder, best)


def tuned(model, repository):
    """What `hippocamp tune` writes, as above."""
    command = [BINARY, "tune", model, f"--model-repository={repository}", f"--max-instances={cores()}", f"--max-batch={MAX_BATCH}"]
    command += [f"--concurrency={MAX_CONCURRENCY}", *flags()]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begin
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    print(done.stdout, flush=True)
    with open(os.path.join(repository, model, "config.pbtxt"), encoding="utf-8") as f:
        return seconds, int(re.search(r"(\d+) settings tried", done.stdout)[1]), f.read()


def rate(model, repository, seconds, work):
    """Requests a second of a model by perf_analyzer, at the best of some concurrencies."""
    best = 0.0
    with server(repository, model) as running:
        for concurrency in CONCURRENCIES:
            options = ["-i", "grpc", "--concurrency-range", str(concurrency), "-p", str(int(seconds * 1000 / 3)), "-s", "1000", "-r", "3"]
            with tempfile.TemporaryDirectory(dir=work) as folder:
                (row,) = perf_analyzer.analyze("2.40.0", model, running.grpc, options, folder)
            best = max(best, float(row["Inferences/Second"]))
    return best


def summary(config):
    """The settings of a config in a few words."""
    words = []
    for title, pattern in (("instances", r"count: (\d+)"), ("threads", r'intra_op_thread_count"[^"]*string_value: "(\d+)'), ("batch", r"max_batch_size: (\d+)")):
        found = re.search(pattern, config)
        words += [f"{title} {found[1]}"] if found else []
    if "dynamic_batching" in config:
        delay = re.search(r"max_queue_delay_microseconds: (\d+)", config)
        words.append(f"dynamic batching, delay {delay[1] if delay else 0} us")
    return ", ".join(words)


def one(model, rounds, seconds, work):
    folders = {name: os.path.join(work, f"{model}-{name}".replace(" ", "-")) for name in ("given", "model_analyzer", "hippocamp tune")}
    for folder in folders.values():
        write(folder)
    found = {"model_analyzer": analyzed(model, folders["model_analyzer"], work), "hippocamp tune": tuned(model, folders["hippocamp tune"])}
    path = os.path.join(folders["model_analyzer"], model, "config.pbtxt")
    with open(path, "w", encoding="utf-8") as f:
        f.write(found["model_analyzer"][2])
    rates = {name: [] for name in folders}
    for turn in range(rounds):
        for name in list(folders) if turn % 2 == 0 else reversed(folders):
            rates[name].append(rate(model, folders[name], seconds, work))
    results = []
    for name, folder in folders.items():
        with open(os.path.join(folder, model, "config.pbtxt"), encoding="utf-8") as f:
            config = f.read()
        took, count, _ = found.get(name, (None, None, None))
        # What else runs on the machine makes it less, and never more.
        most = max(rates[name])
        results.append({"model": model, "by": name, "seconds": took, "settings": count, "config": summary(config), "rates": rates[name], "rate": most})
    for folder in folders.values():
        shutil.rmtree(folder)
    return results


def tune(only, rounds, seconds, output, is_exhaustive=False):
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    parts = ["tests", "python-backend", "onnxruntime", *(["models"] if is_exhaustive else ["perf_analyzer", "model-analyzer"])]
    subprocess.run([os.path.join(ROOT, "scripts", "fetch"), *parts], check=True)
    if is_exhaustive:
        from .exhaustive import exhaustive

        return exhaustive(only, seconds, cores(), output)
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-tune-") as work:
        for model in only or MODELS:
            results += one(model, rounds, seconds, work)
    print(f"\n{report.machine()}; instances up to {cores()}, batches up to {MAX_BATCH}, {MAX_CONCURRENCY} requests under way at most")
    print("\n| model | settings by | time, s | tried | recommended | a second by perf_analyzer |\n| - | - | - | - | - | - |")
    for row in results:
        took = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        print(f"| {row['model']} | {row['by']} | {took} | {row['settings'] or ''} | {row['config']} | {row['rate']:,.0f} |")
    for model in only or MODELS:
        theirs, ours = ([row for row in results if (row["model"], row["by"]) == (model, name)][0] for name in ("model_analyzer", "hippocamp tune"))
        times, share = theirs["seconds"] / ours["seconds"], ours["rate"] / theirs["rate"]
        words = [f"{times:.1f} times as fast ({'reached' if times >= 10 else '**missed**'}: 10)"]
        words.append(f"{share:.2f} of the throughput ({'reached' if share >= 0.95 else '**missed**'}: 0.95)")
        print(f"\n{model}: {', '.join(words)}")
    if output:
        with open(output, "w", encoding="utf-8") as f:
            json.dump({"machine": report.machine(), "results": results}, f, indent=1)
