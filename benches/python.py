"""`scripts/bench python`: the same Python models, by the same Python backend, in this server and in tritonserver, in turns; beside
them what that backend takes alone, and an identity backend in C against the one of this server.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

from . import ROOT

sys.path[:0] = [os.path.join(ROOT, "tests")]

from .compare import measure, report  # noqa: E402
from .compare.repository import PYTHON_IDENTITY, config, tensors  # noqa: E402
from .compare.rows import FLOATS_4_9_MB, Row, shape  # noqa: E402
from .compare.servers import BINARY, PYTHON_BACKENDS, ServerProcess, Triton  # noqa: E402

ADD_SUB = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            a, b = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("INPUT0", "INPUT1"))
            outputs = [pb_utils.Tensor("OUTPUT0", a + b), pb_utils.Tensor("OUTPUT1", a - b)]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
"""
ROWS = [
    Row("addsub", "Python add/sub, 16 floats", "addsub", ratio=0.6),
    Row("large", "Python identity, 4.9 MB in and out", "large", concurrencies=(1, 4), options=shape("INPUT0", FLOATS_4_9_MB), ratio=0.6),
]
TIMES_AS_MANY = 1.5
# An identity by a backend in C, and by this server's own: the first is to take at most so many times the CPU of the second.
COMPILED = [
    Row(f"{key}_{kind}", f"{title}, {kind}", f"{key}_{kind}", concurrencies=(1, 4), options=shape("INPUT0", size), compared=False)
    for key, title, size in (("small", "identity, 16 floats", 16), ("big", "identity, 4.9 MB", FLOATS_4_9_MB))
    for kind in ("compiled", "own")
]
OF_OWN = 1.1
HERE = os.path.dirname(os.path.abspath(__file__))


def write(folder):
    sixteen = [("INPUT0", [16]), ("INPUT1", [16])]
    outputs = [("OUTPUT0", [16]), ("OUTPUT1", [16])]
    models = {
        "addsub": (ADD_SUB, tensors("input", "FP32", *sixteen), tensors("output", "FP32", *outputs)),
        "large": (PYTHON_IDENTITY, tensors("input", "FP32", ("INPUT0", [-1])), tensors("output", "FP32", ("OUTPUT0", [-1]))),
    }
    for name, (code, inputs, outputs) in models.items():
        os.makedirs(os.path.join(folder, name, "1"))
        with open(os.path.join(folder, name, "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(config("python", 0, inputs, outputs))
        with open(os.path.join(folder, name, "1", "model.py"), "w", encoding="utf-8") as f:
            f.write(code)


def write_compiled(folder):
    one = (tensors("input", "FP32", ("INPUT0", [-1])), tensors("output", "FP32", ("OUTPUT0", [-1])))
    for row in COMPILED:
        os.makedirs(os.path.join(folder, row.model, "1"))
        with open(os.path.join(folder, row.model, "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(config("compiled" if row.model.endswith("compiled") else "identity", 0, *one))


class Ours:
    """`backends` gets the Python backend and the one in C."""

    name = "hippocamp"

    def __init__(self, backends):
        self.backends = backends
        os.symlink(os.path.realpath(os.path.join(PYTHON_BACKENDS, "python")), os.path.join(backends, "python"))
        target = os.path.join(backends, "compiled")
        os.mkdir(target)
        command = [shutil.which("cc") or "cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC"]
        command += [os.path.join(HERE, "compare", "identity.c"), "-o", os.path.join(target, "libtriton_compiled.so")]
        subprocess.run(command, check=True)

    def process(self, repository):
        return ServerProcess(repository, flags=[f"--backend-directory={self.backends}", "--log-warning=false"])


def alone(folder, seconds):
    """What the backend and its stub take for a request from a loop on one thread, without a server."""
    command = ["cargo", "bench", "--quiet", "--locked", "-p", "hippocamp-backend-triton", "--bench", "bare", "--"]
    command += [PYTHON_BACKENDS, folder, str(seconds), "addsub:16", f"large:{FLOATS_4_9_MB}"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def python(seconds, rounds, only):
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    rows = [row for row in ROWS + COMPILED if not only or row.key in only]
    results, floors = [], []
    with tempfile.TemporaryDirectory(prefix="bench-python-") as work:
        folder, compiled, backends = (os.path.join(work, name) for name in ("models", "compiled", "backends"))
        os.mkdir(backends)
        write(folder)
        write_compiled(compiled)
        ours = Ours(backends)
        servers = [ours, Triton(work)]

        def measured(server, process, rows):
            for row in rows:
                for protocol in row.protocols:
                    for concurrency in row.concurrencies:
                        found = measure.one(process, row, protocol, concurrency, seconds, work)
                        results.append({"server": server.name, **found})

        for turn in range(rounds):
            floors += alone(folder, seconds)
            # Who comes first changes from round to round.
            for server in servers if turn % 2 == 0 else reversed(servers):
                with server.process(folder) as process:
                    measured(server, process, [row for row in rows if row.compared])
            with ours.process(compiled) as process:
                measured(ours, process, [row for row in rows if not row.compared])
    table([row for row in rows if row.compared], results, floors)
    compiled_table([row for row in rows if not row.compared], results)


def compiled_table(rows, results):
    print("\n| identity | over | at | CPU s for 1,000, in C / own | ratio | aimed at |\n| - | - | - | - | - | - |")
    for row in (row for row in rows if row.key.endswith("compiled")):
        for protocol in row.protocols:
            for concurrency in row.concurrencies:

                def median(key):
                    where = (key, protocol, concurrency)
                    fit = [r["cpu_s_per_1000"] for r in results if (r["row"], r["protocol"], r["concurrency"]) == where]
                    return statistics.median(fit)

                both = median(row.key), median(row.key.replace("compiled", "own"))
                ratio = both[0] / both[1]
                aimed = f"<= {OF_OWN}: {'reached' if ratio <= OF_OWN else '**missed**'}"
                print(f"| {row.title} | {protocol} | {concurrency} | {both[0]:.4f} / {both[1]:.4f} | {ratio:.2f} | {aimed} |")


def table(rows, results, floors):
    print(f"\n{report.machine()}; medians of the rounds; CPU of server and stub together")
    for name in dict.fromkeys(found["model"] for found in floors):
        own = [found for found in floors if found["model"] == name]
        rate, cpu, stub = (statistics.median(r[key] for r in own) for key in ("requests_per_s", "cpu_us", "stub_cpu_us"))
        print(f"The backend alone, {name}: {rate:,.0f} a second, {(cpu + stub) / 1000:.4f} CPU s for 1,000, of it the stub {stub / 1000:.4f}.")
    print()
    print("| work | over | at | CPU s for 1,000, ours / Triton's | ratio | of it the stub | a second | times as many | aimed at |")
    print("| - | - | - | - | - | - | - | - | - |")
    for row in rows:
        for protocol in row.protocols:
            for concurrency in row.concurrencies:

                def median(server, *names):
                    where = (server, row.key, protocol, concurrency)
                    fit = [r for r in results if (r["server"], r["row"], r["protocol"], r["concurrency"]) == where]
                    return statistics.median(sum(r[name] for name in names) for r in fit)

                both = "hippocamp", "triton"
                cpu = [median(s, "cpu_s_per_1000", "helpers_cpu_s_per_1000") for s in both]
                stub = [median(s, "helpers_cpu_s_per_1000") for s in both]
                rate = [median(s, "requests_per_s") for s in both]
                ratio, more = cpu[0] / cpu[1], rate[0] / rate[1]
                aimed = f"<= {row.ratio}: {'reached' if ratio <= row.ratio else '**missed**'}"
                if row.key == "addsub":
                    aimed += f"; >= {TIMES_AS_MANY} as many: {'reached' if more >= TIMES_AS_MANY else '**missed**'}"
                print(
                    f"| {row.title} | {protocol} | {concurrency} | {cpu[0]:.4f} / {cpu[1]:.4f} | {ratio:.2f} | {stub[0]:.4f} / {stub[1]:.4f} "
                    f"| {rate[0]:,.0f} / {rate[1]:,.0f} | {more:.2f} | {aimed} |"
                )
