"""Served TorchScript models and GraphDefs against a bare loop in Python over the same library, in turns on the same cores."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from .. import ROOT
from ..scale import cores
from ..torchserve.run import Load
from ..torchserve.servers import cpu, memory

sys.path.insert(0, os.path.join(ROOT, "tests"))

from server_process import ServerProcess  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = {"dense": (1, 64), "convolutions": (1, 3, 96, 96), "residual": (1, 3, 224, 224)}
# Other ones may be named by the environment: on a host with packages of its own, those that its Python has.
LIBRARIES = {
    "HIPPOCAMP_PYTORCH_LIBRARY": os.path.join(ROOT, ".cache", "torch", "lib", "libtorch_cpu.so"),
    "HIPPOCAMP_TENSORFLOW_LIBRARY": os.path.join(ROOT, ".cache", "tensorflow", "lib", "libtensorflow_cc.so.2"),
}
LIBRARIES |= {name: os.environ[name] for name in LIBRARIES if name in os.environ}
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
        # The C library's allocator as it is, for what runs alone. Where scripts/fetch brought no packages, Python has its own.
        variables = {**os.environ, "PYTHONPATH": self.site} if os.path.isdir(self.site) else None
        command = [sys.executable, self.script, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=variables).stdout

    def bare(self, folder, model, concurrency, seconds):
        """Calls a second and milliseconds of CPU time: with the library's own number of threads, and with one."""
        shape = ",".join(map(str, self.shape(model)))
        path = os.path.join(folder, f"{model}.{self.ending}")
        shown = self.python("loop", path, shape, concurrency, seconds).splitlines()[-2:]
        return [tuple(map(float, line.split())) for line in shown]

    def place(self, folder, repository, further):
        for model in SHAPES:
            own = os.path.join(repository, f"{self.name}-{model}")
            os.makedirs(os.path.join(own, "1"))
            shutil.copy(os.path.join(folder, f"{model}.{self.ending}"), os.path.join(own, "1", f"model.{self.ending}"))
            with open(os.path.join(own, "config.pbtxt"), "w", encoding="utf-8") as file:
                file.write(CONFIG.format(platform=self.platform, dims=", ".join(map(str, self.shape(model)[1:]))) + further)


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


def engines(options):
    """Measures, prints a table for each number of cores, and writes JSON."""
    wrk = os.environ.get("WRK") or shutil.which("wrk")
    if not wrk:
        sys.exit("bench: wrk is missing. On Debian and Ubuntu: apt-get install wrk, or name it by WRK")
    only = list(filter(None, options.only.split(",")))
    chosen = [(engine, model) for engine in ENGINES for model in SHAPES if wanted(only, engine.name, model)]
    shared = (cores.ALL, cores.ALL)
    places = [cores.divide(count) for count in options.apart] or [shared]
    print(cores.machine(), flush=True)
    if options.apart and not cores.kept():
        print("NOTE: this kernel does not keep processes on their cores; only the number of threads follows", flush=True)
    result = []
    with tempfile.TemporaryDirectory() as folder:
        for engine in dict.fromkeys(engine for engine, _ in chosen):
            own = os.path.join(folder, engine.name)
            os.mkdir(own)
            engine.python("make", own)
            engine.place(own, os.path.join(folder, "repository"), options.config)
        for place in places:
            result.append(table(place, chosen, (wrk, folder), options))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            about = {"when": time.strftime("%Y-%m-%d"), "machine": cores.machine(), "concurrency": options.concurrency}
            json.dump({**about, "tables": result}, file, indent=1)
    return 0


def wanted(only, engine, model):
    return not only or engine in only or f"{engine}-{model}" in only


def table(place, chosen, where, options):
    """All rows, with a server and loops on the cores of `place`, whose second part has the clients."""
    wrk, folder = where
    rows = []
    with contextlib.ExitStack() as stack:
        with cores.on(place[0]):
            server = ServerProcess(os.path.join(folder, "repository"), timeout=120, variables=LIBRARIES)
            stack.enter_context(server)
        served = Served(server)
        for engine, model in chosen:
            rows.append(row(engine, model, (wrk, folder, served, place), options))
        resident = memory(server.pid) / 1e6
    report(rows, resident, place, options)
    return {"cores": len(place[0]), "client_cores": len(place[1]), "rows": rows, "resident_mb": resident}


def row(engine, model, where, options):
    wrk, folder, served, (own, others) = where
    size = 4
    for dim in SHAPES[model]:
        size *= dim
    name = f"{engine.name}-{model}"
    # Where clients have cores of their own, each connection has a thread.
    count, threads = options.concurrency, 1 if own == others else min(options.concurrency, len(others))
    headers = {"Inference-Header-Content-Length": "0"}
    load = Load(wrk, folder, name, bytes(size), headers, "POST", threads)
    with cores.on(others):
        load.run(served, name, count, 1)
    turns, generator = [], []
    for _ in range(options.rounds):
        with cores.on(others):
            ours = load.run(served, name, count, options.seconds)
        generator.append(load.own)
        with cores.on(own):
            turns.append((ours, *engine.bare(os.path.join(folder, engine.name), model, count, options.seconds)))
    best = [max(turn[side][0] for turn in turns) for side in range(3)]
    cost = [min(turn[side][1] for turn in turns) for side in range(3)]
    ratios = {"ratio": best[0] / max(best[1:]), "cpu_ratio": min(cost[1:]) / cost[0]}
    return {"engine": engine.name, "model": model, "rates": best, "cpu_ms": cost, "wrk_cpu_ms": min(generator), **ratios}


def report(rows, resident, place, options):
    own, others = map(len, place)
    shared = "on the same cores" if place[0] == place[1] else f"on {others} others"
    print(f"\n{own} cores, {options.concurrency} at once, over HTTP with wrk {shared}; the best of {options.rounds} rounds in turns")
    if place[0] == place[1]:
        print("Of the faster loop: requests a second, of which wrk takes its part here, and CPU time of the loop to that of the server\n")
    else:
        print("Of the faster loop: requests a second, and CPU time of the loop to that of the server\n")
    titles = ("served", "bare, own threads", "bare, one thread", "wrk")
    print(f"{'':24} " + " ".join(f"{title:>22}" for title in titles[:3]) + f" {titles[3]:>10}  of the faster, by CPU time")
    for row in rows:
        cells = [f"{rate:9.1f}/s {cost:8.3f} ms" for rate, cost in zip(row["rates"], row["cpu_ms"])]
        line = " ".join(f"{cell:>22}" for cell in cells) + f" {row['wrk_cpu_ms']:7.3f} ms"
        print(f"{row['engine']:11} {row['model']:12} {line} {row['ratio']:14.2f} {row['cpu_ratio']:12.2f}")
    print(f"\nresident memory of the server with all of them: {resident:.0f} MB", flush=True)
