"""Served TorchScript models and GraphDefs against a bare loop in Python over the same library, in turns on the same cores."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from .. import ROOT
from ..torchserve.run import Load
from ..torchserve.servers import cpu, memory

sys.path.insert(0, os.path.join(ROOT, "tests"))

from server_process import ServerProcess  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = {"dense": (1, 64), "convolutions": (1, 3, 96, 96), "residual": (1, 3, 224, 224)}
LIBRARIES = {
    "HIPPOCAMP_PYTORCH_LIBRARY": os.path.join(ROOT, ".cache", "torch", "lib", "libtorch_cpu.so"),
    "HIPPOCAMP_TENSORFLOW_LIBRARY": os.path.join(ROOT, ".cache", "tensorflow", "lib", "libtensorflow_cc.so.2"),
}
# As many requests, or threads of the bare loop, at once.
CONCURRENCY = 4
CONFIG = """platform: "{platform}"
max_batch_size: 8
input {{ name: "x" data_type: TYPE_FP32 dims: [ {dims} ] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [ -1 ] }}
"""


class Engine:
    """A library: its Python, its files, and what its shapes look like."""

    def __init__(self, name, platform, ending, package, order):
        self.name, self.platform, self.ending, self.order = name, platform, ending, order
        self.script = os.path.join(HERE, f"{name}_side.py")
        self.site = os.path.join(ROOT, ".cache", "python", package)

    def shape(self, model):
        rows, *dims = SHAPES[model]
        return (rows, *(dims[1:] + dims[:1] if self.order == "last" and len(dims) > 1 else dims))

    def python(self, *arguments):
        # The C library's allocator as it is, for what runs alone.
        variables = {**os.environ, "PYTHONPATH": self.site}
        command = [sys.executable, self.script, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stdout

    def bare(self, folder, model, seconds):
        """Calls a second and milliseconds of CPU time: with the library's own number of threads, and with one."""
        shape = ",".join(map(str, self.shape(model)))
        path = os.path.join(folder, f"{model}.{self.ending}")
        shown = (self.python("loop", path, shape, CONCURRENCY, seconds, within).split() for within in (0, 1))
        return [(float(rate), float(cost)) for rate, cost in (each[-2:] for each in shown)]

    def place(self, folder, repository):
        for model in SHAPES:
            own = os.path.join(repository, f"{self.name}-{model}")
            os.makedirs(os.path.join(own, "1"))
            shutil.copy(os.path.join(folder, f"{model}.{self.ending}"), os.path.join(own, "1", f"model.{self.ending}"))
            with open(os.path.join(own, "config.pbtxt"), "w", encoding="utf-8") as file:
                file.write(CONFIG.format(platform=self.platform, dims=", ".join(map(str, self.shape(model)[1:]))))


ENGINES = [
    Engine("torch", "pytorch_libtorch", "pt", "torch", "first"),
    Engine("tensorflow", "tensorflow_graphdef", "graphdef", "tensorflow", "last"),
]


class Served:
    """The server, as wrk asks it: the tensor alone in the body of a request."""

    def __init__(self, server):
        self.server, self.port = server, server.http_port

    def url(self, model):
        return f"http://{self.server.http}/v2/models/{model}/infer"

    def cpu(self):
        return cpu(self.server.pid)


def engines(seconds, rounds, only, output):
    wrk = os.environ.get("WRK") or shutil.which("wrk")
    if not wrk:
        sys.exit("bench: wrk is missing. On Debian and Ubuntu: apt-get install wrk, or name it by WRK")
    chosen = [engine for engine in ENGINES if not only or engine.name in only]
    result = []
    with tempfile.TemporaryDirectory() as folder:
        for engine in chosen:
            own = os.path.join(folder, engine.name)
            os.mkdir(own)
            engine.python("make", own)
            engine.place(own, os.path.join(folder, "repository"))
        with ServerProcess(os.path.join(folder, "repository"), timeout=120, variables=LIBRARIES) as server:
            served = Served(server)
            for engine in chosen:
                for model, shape in SHAPES.items():
                    result.append(row(engine, model, shape, (wrk, folder, served), seconds, rounds))
            resident = memory(server.pid) / 1e6
    report(result, resident, rounds)
    if output:
        with open(output, "w", encoding="utf-8") as file:
            json.dump({"when": time.strftime("%Y-%m-%d"), "rows": result, "resident_mb": resident}, file, indent=1)
    return 0


def row(engine, model, shape, where, seconds, rounds):
    wrk, folder, served = where
    count = 4
    for size in shape:
        count *= size
    name = f"{engine.name}-{model}"
    load = Load(wrk, folder, name, bytes(count), {"Inference-Header-Content-Length": "0"}, "POST")
    load.run(served, name, CONCURRENCY, 1)
    turns, generator = [], []
    for _ in range(rounds):
        ours = load.run(served, name, CONCURRENCY, seconds)
        generator.append(load.own)
        turns.append((ours, *engine.bare(os.path.join(folder, engine.name), model, seconds)))
    best = [max(turn[side][0] for turn in turns) for side in range(3)]
    cost = [min(turn[side][1] for turn in turns) for side in range(3)]
    ratios = {"ratio": best[0] / max(best[1:]), "cpu_ratio": min(cost[1:]) / cost[0]}
    return {"engine": engine.name, "model": model, "rates": best, "cpu_ms": cost, "wrk_cpu_ms": min(generator), **ratios}


def report(rows, resident, rounds):
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {CONCURRENCY} at once, over HTTP with wrk on the same cores; the best of {rounds} rounds in turns")
    print("Of the faster loop: requests a second, of which wrk takes its part here, and CPU time of the loop to that of the server\n")
    titles = ("served", "bare, own threads", "bare, one thread", "wrk")
    print(f"{'':24} " + " ".join(f"{title:>22}" for title in titles[:3]) + f" {titles[3]:>10}  of the faster, by CPU time")
    for row in rows:
        cells = [f"{rate:9.1f}/s {cost:8.3f} ms" for rate, cost in zip(row["rates"], row["cpu_ms"])]
        line = " ".join(f"{cell:>22}" for cell in cells) + f" {row['wrk_cpu_ms']:7.3f} ms"
        print(f"{row['engine']:11} {row['model']:12} {line} {row['ratio']:14.2f} {row['cpu_ratio']:12.2f}")
    print(f"\nresident memory of the server with all of them: {resident:.0f} MB")
