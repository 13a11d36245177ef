"""`scripts/bench tune`: `hippocamp tune` and the quick search of NVIDIA's model_analyzer on the same models, server and space: how long each
takes, and what perf_analyzer measures of the settings that each recommends, in turns.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from . import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))
# Behind our own: it has a module perf_analyzer, too.
sys.path.append(os.path.join(ROOT, ".cache", "python", "tests"))

import model_analyzer  # noqa: E402
import perf_analyzer  # noqa: E402

from .compare import report  # noqa: E402
from .compare.servers import BINARY, LIBRARY, PYTHON_BACKENDS, ServerProcess  # noqa: E402
from .tune_models import CONCURRENCIES, settings_of, words, written  # noqa: E402

MODELS = ("mlp", "addsub", "centerface")
# The space of both. The numbers of instances end with the cores.
MAX_BATCH, MAX_CONCURRENCY = 8, max(CONCURRENCIES)
# What a step takes at most, in seconds: it is not begun if less is left.
LONGEST = {"model_analyzer": 145, "tune": 25, "rate": 11}


def flags():
    return [f"--backend-directory={PYTHON_BACKENDS}", f"--backend-config=onnxruntime,library={LIBRARY}"]


def server(repository, *models):
    own = ["--model-control-mode=explicit", "--log-info=false", "--log-warning=false", f"--backend-directory={PYTHON_BACKENDS}"]
    return ServerProcess(repository, flags=[*own, *(f"--load-model={model}" for model in models)])


def cores():
    return len(os.sched_getaffinity(0))


def analyzed(model, work):
    """What model_analyzer recommends: seconds, how many settings it measured, the config."""
    repository, folder = (os.path.join(work, name) for name in ("models", "analyzer"))
    os.mkdir(folder)
    written(repository, model)
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


def rate(model, config, seconds, work):
    """Requests a second of a model with a config by perf_analyzer, at the best of some concurrencies."""
    repository = os.path.join(work, "models")
    written(repository, model)
    with open(os.path.join(repository, model, "config.pbtxt"), "w", encoding="utf-8") as f:
        f.write(config)
    best = 0.0
    with server(repository, model) as running:
        for concurrency in CONCURRENCIES:
            options = ["-i", "grpc", "--concurrency-range", str(concurrency), "-p", str(int(seconds * 1000 / 3)), "-s", "1000", "-r", "3"]
            with tempfile.TemporaryDirectory(dir=work) as folder:
                (row,) = perf_analyzer.analyze("2.40.0", model, running.grpc, options, folder)
            best = max(best, float(row["Inferences/Second"]))
    return best


class State:
    """What was measured so far, in a file if there is one, so that a run may be made in pieces."""

    def __init__(self, file, budget):
        self.file, self.begin, self.budget, self.left = file, time.monotonic(), budget, 0
        self.models = {}
        if file and os.path.isfile(file):
            with open(file, encoding="utf-8") as f:
                self.models = json.load(f)["models"]

    def of(self, model):
        return self.models.setdefault(model, {"found": {}, "rates": {}})

    def step(self, kind, measure):
        """Measures something in a folder of its own if there is time left for it, and notes it; whether it did."""
        if time.monotonic() - self.begin + LONGEST[kind] > self.budget:
            self.left += 1
            return False
        with tempfile.TemporaryDirectory(prefix="bench-tune-") as work:
            measure(work)
        if self.file:
            with open(self.file, "w", encoding="utf-8") as f:
                json.dump({"machine": report.machine(), "models": self.models}, f, indent=1)
        return True


def names(runs):
    """Whose settings are compared."""
    return ["given", "model_analyzer", *(f"tune {number}" for number in range(1, runs + 1))]


def one(model, rounds, runs, seconds, state):
    """Takes the steps of a model that are left."""
    known = state.of(model)

    def find(name):
        def measure(work):
            if name == "given":
                written(work, model)
                with open(os.path.join(work, model, "config.pbtxt"), encoding="utf-8") as f:
                    known["found"][name] = (None, None, f.read())
            elif name == "model_analyzer":
                known["found"][name] = analyzed(model, work)
            else:
                written(work, model)
                known["found"][name] = tuned(model, work)

        return measure

    for name in names(runs):
        if name not in known["found"]:
            state.step(name if name == "model_analyzer" else "rate" if name == "given" else "tune", find(name))
    if len(known["found"]) < len(names(runs)):
        state.left += rounds
        return
    # Settings that several have recommended are measured once.
    configs = {}
    for name in names(runs):
        configs.setdefault(words(settings_of(known["found"][name][2])), known["found"][name][2])
    for turn in range(rounds):
        for key in list(configs) if turn % 2 == 0 else reversed(configs):
            rates = known["rates"].setdefault(key, [])
            if len(rates) <= turn:
                state.step("rate", lambda work, key=key, rates=rates: rates.append(rate(model, configs[key], seconds, work)))


def verdict(known, runs):
    """The rows of a model, and how tune compares with model_analyzer: the median of its runs, and of the turns of each."""
    rows = []
    for name in names(runs):
        took, count, config = known["found"][name]
        rates = known["rates"][words(settings_of(config))]
        rows.append({"by": name, "seconds": took, "settings": count, "config": words(settings_of(config)), "rates": rates, "rate": statistics.median(rates)})
    theirs, ours = rows[1], rows[2:]
    # Of each turn, in which all were measured one after the other, so that what changed on the machine changed all.
    shares = [statistics.median(a / b for a, b in zip(row["rates"], theirs["rates"])) for row in ours]
    times = theirs["seconds"] / statistics.median(row["seconds"] for row in ours)
    return rows, times, shares


def tune(only, rounds, runs, seconds, output, state_file, budget, is_exhaustive=False):
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    parts = ["tests", "python-backend", "onnxruntime", *(["models"] if is_exhaustive else ["perf_analyzer", "model-analyzer"])]
    subprocess.run([os.path.join(ROOT, "scripts", "fetch"), *parts], check=True)
    if is_exhaustive:
        from .exhaustive import exhaustive

        return exhaustive(only, seconds, cores(), output)
    state = State(state_file, budget)
    for model in only or MODELS:
        one(model, rounds, runs, seconds, state)
    if state.left:
        sys.exit(f"bench: {state.left} steps are left for another call with the same --state, for which --budget was too little")
    print(f"\n{report.machine()}; instances up to {cores()}, batches up to {MAX_BATCH}, {MAX_CONCURRENCY} requests under way at most; medians of {rounds} turns")
    print("\n| model | settings by | time, s | tried | recommended | a second by perf_analyzer |\n| - | - | - | - | - | - |")
    results = []
    for model in only or MODELS:
        rows, times, shares = verdict(state.of(model), runs)
        for row in rows:
            took = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
            print(f"| {model} | {row['by']} | {took} | {row['settings'] or ''} | {row['config']} | {row['rate']:,.0f} |")
        results.append({"model": model, "times": times, "shares": shares, "rows": rows})
    for result in results:
        share = statistics.median(result["shares"])
        parts = [f"{result['times']:.1f} times as fast ({'reached' if result['times'] >= 10 else '**missed**'}: 10)"]
        each = ", ".join(f"{value:.2f}" for value in result["shares"])
        parts.append(f"{share:.2f} of the throughput ({'reached' if share >= 0.95 else '**missed**'}: 0.95; of each run {each})")
        print(f"\n{result['model']}: {', '.join(parts)}")
    if output:
        with open(output, "w", encoding="utf-8") as f:
            json.dump({"machine": report.machine(), "results": results}, f, indent=1)
