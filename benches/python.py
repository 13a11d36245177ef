"""`scripts/bench python`: the same Python models, by the same Python backend, in this server and in tritonserver, in turns."""

import os
import statistics
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


class Ours:
    name = "hippocamp"

    def process(self, repository):
        return ServerProcess(repository, flags=[f"--backend-directory={PYTHON_BACKENDS}", "--log-warning=false"])


def python(seconds, rounds, only):
    if not os.path.isfile(BINARY):
        sys.exit(f"bench: {BINARY} is missing: cargo build --release")
    rows = [row for row in ROWS if not only or row.key in only]
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-python-") as work:
        folder = os.path.join(work, "models")
        write(folder)
        servers = [Ours(), Triton(work)]
        for turn in range(rounds):
            # Who comes first changes from round to round.
            for server in servers if turn % 2 == 0 else reversed(servers):
                with server.process(folder) as process:
                    for row in rows:
                        for protocol in row.protocols:
                            for concurrency in row.concurrencies:
                                found = measure.one(process, row, protocol, concurrency, seconds, work)
                                results.append({"server": server.name, **found})
    table(rows, results)


def table(rows, results):
    print(f"\n{report.machine()}; medians of the rounds; CPU of server and stub together")
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
