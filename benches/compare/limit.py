"""The engine alone: the bench `limit` of backend-onnxruntime, which runs a model in a loop."""

import json
import os
import subprocess
import tempfile

from .. import ROOT
from . import repository

LIBRARY = os.path.join(ROOT, ".cache", "onnxruntime", "lib", "libonnxruntime.so")
# All of its time is the engine's, so that it need not be optimised as a whole.
QUICK = {"CARGO_PROFILE_BENCH_LTO": "off", "CARGO_PROFILE_BENCH_CODEGEN_UNITS": "16"}


def build():
    """The path of the program. Takes a while the first time."""
    command = ["cargo", "bench", "--locked", "--no-run", "--message-format=json"]
    command += ["-p", "hippocamp-backend-onnxruntime", "--bench", "limit"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **QUICK},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "limit":
            return message["executable"]
    raise RuntimeError("cargo built no bench 'limit'")


def measure(program, row, seconds, work):
    """Requests a second, and CPU seconds for 1,000. A run counts as often as its batch is large."""
    shape, threads = row.limit
    with tempfile.TemporaryDirectory(dir=work) as folder:
        version = repository.write(folder, row.model, "identity")
        command = [program, LIBRARY, os.path.join(version, "model.onnx")]
        command += [",".join(map(str, shape)), str(threads), str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    runs, elapsed, used = map(float, done.stdout.split())
    requests = runs * shape[0]
    return {
        "server": "engine alone",
        "row": row.key,
        "requests_per_s": requests / elapsed,
        "cpu_s_per_1000": used / requests * 1000,
        "batch": shape[0],
        "threads": threads,
    }
