"""`scripts/bench loads`: models of Triton's backends loaded and unloaded, and what the server keeps of that."""

import concurrent.futures
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from server_process import ServerProcess

from . import ROOT
from .repository import Link

PYTHON = os.path.join(ROOT, ".cache", "triton-backends")
# Other servers on this machine have regions, too.
REGIONS = f"hippocamp_loads_{os.getpid()}_"
# So many are loaded before the first look: libraries, pools and caches come with the first ones.
FIRST = 100


def python_models(folder, count):
    for n in range(count):
        shutil.copytree(os.path.join(ROOT, "tests", "python", "models", "plain"), os.path.join(folder, f"m{n}"))
    return PYTHON


def c_models(folder, count):
    """A backend of the tests, in C."""
    kit = os.path.join(ROOT, "crates", "backend-triton", "tests", "kit")
    backends = os.path.join(os.path.dirname(folder), "backends")
    os.makedirs(os.path.join(backends, "probe"))
    library = os.path.join(backends, "probe", "libtriton_probe.so")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-pthread", "-o", library, os.path.join(kit, "probe.c")], check=True)
    tensors = "".join(f'{kind} {{ name: "{name}" data_type: TYPE_INT32 dims: -1 }}\n' for kind, name in (("input", "IN"), ("output", "OUT")))
    for n in range(count):
        os.makedirs(os.path.join(folder, f"m{n}", "1"))
        with open(os.path.join(folder, f"m{n}", "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(f'backend: "probe" max_batch_size: 8 {tensors} parameters {{ key: "mode" value {{ string_value: "echo" }} }}\n')
    return backends


BACKENDS = {"python": python_models, "c": c_models}


def regions():
    return [entry for entry in os.scandir("/dev/shm") if entry.name.startswith(REGIONS)]


class Looks:
    """What a server has after so many loads: resident memory, files, threads and regions, while no model is loaded."""

    names = ("memory, KiB", "anonymous, KiB", "files", "threads", "in /dev/shm")

    def __init__(self, server):
        self.server, self.seen = server, []

    def look(self, loads):
        values = (
            self.server.status_kib("VmRSS"),
            self.server.status_kib("RssAnon"),
            len(os.listdir(f"/proc/{self.server.pid}/fd")),
            self.server.status_kib("Threads"),
            len(regions()),
        )
        self.seen.append((loads, *values))
        print(f"  {loads:5} loads: " + ", ".join(f"{value} {name}" for name, value in zip(self.names, values)), flush=True)

    def slopes(self, seen):
        """By the least squares, for each load, in bytes where it is memory."""
        loads, *columns = zip(*seen)
        slopes = [statistics.linear_regression(loads, column).slope for column in columns]
        return [slope * 1024 if "KiB" in name else slope for name, slope in zip(self.names, slopes)]


class Cycle:
    """A model that is loaded, asked and unloaded, over a connection of its own."""

    numbers = {"c": {"IN": ("INT32", [1, 2])}, "python": {"INPUT0": ("FP32", [2]), "INPUT1": ("FP32", [2])}}

    def __init__(self, server, backend, name):
        self.link, self.name = Link(server), name
        inputs = self.numbers[backend].items()
        tensors = [{"name": key, "datatype": kind, "shape": shape, "data": [1, 2]} for key, (kind, shape) in inputs]
        self.request = json.dumps({"inputs": tensors})

    def run(self):
        self.link.ask("POST", f"/v2/repository/models/{self.name}/load")
        self.link.ask("POST", f"/v2/models/{self.name}/infer", self.request)
        self.link.ask("POST", f"/v2/repository/models/{self.name}/unload")


def loads(backend, count, at_once):
    """Exit status 1 if the server keeps files, threads or regions."""
    with tempfile.TemporaryDirectory(prefix="bench-loads-") as work:
        folder = os.path.join(work, "models")
        os.mkdir(folder)
        backends = BACKENDS[backend](folder, at_once)
        flags = ["--model-control-mode=explicit", f"--backend-directory={backends}", f"--backend-config=python,shm-region-prefix-name={REGIONS}", "--log-warning=false"]
        with ServerProcess(folder, flags=flags) as server, concurrent.futures.ThreadPoolExecutor(at_once) as threads:
            looks, done, began, next_look = Looks(server), 0, time.monotonic(), FIRST
            cycles = [Cycle(server, backend, f"m{n}") for n in range(at_once)]
            while done < count + FIRST:
                try:
                    for running in [threads.submit(cycle.run) for cycle in cycles]:
                        running.result()
                except Exception:
                    print(f"after {done} loads, the status of the server is {server.process.poll()}:\n{server.log()[-4000:]}", flush=True)
                    raise
                done += at_once
                if done >= next_look:
                    looks.look(done)
                    next_look += max(count // 20, 1)
            took = time.monotonic() - began
        left = [entry.name for entry in regions()]
    slopes = zip(looks.names, looks.slopes(looks.seen), looks.slopes(looks.seen[len(looks.seen) // 2 :]))
    print(f"{done} loads and unloads of '{backend}', {at_once} at once, in {took:.0f} s; for each load, and in the last half:")
    print("\n".join(f"  {whole:+9.4f} {half:+9.4f} {name.replace('KiB', 'bytes')}" for name, whole, half in slopes))
    print(f"left in /dev/shm at the end: {left or 'nothing'}")
    first, last = looks.seen[0], looks.seen[-1]
    return 1 if left or any(b > a + 2 for a, b in zip(first[3:], last[3:])) else 0
