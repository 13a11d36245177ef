"""What tests of the Python backend share: servers with its library, models of tests/python, their processes and regions."""

import contextlib
import os
import shutil
import sys
import time
import uuid

import pytest
import tritonclient.grpc as grpc
from conftest import ROOT, TESTS
from server_process import ServerProcess

sys.path.append(os.path.join(TESTS, "python"))

import cases  # noqa: E402

BACKENDS = os.path.join(ROOT, ".cache", "triton-backends")


def start(folder, *flags, **named):
    return ServerProcess(folder, flags=[f"--backend-directory={BACKENDS}", *flags], timeout=120, **named)


@pytest.fixture
def prefix():
    """How the names in shared memory begin of a test's servers alone: others on this machine come and go, and sweep up."""
    name = f"hippocamp_test_{uuid.uuid4().hex}_"
    yield name
    for left in regions(name):
        os.unlink(os.path.join("/dev/shm", left))


def names_regions(prefix):
    return f"--backend-config=python,shm-region-prefix-name={prefix}"


def regions(prefix):
    return {name for name in os.listdir("/dev/shm") if name.startswith(prefix)}


def stubs(server):
    """The processes of Python models that a server has started: {pid: name of the instance}."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/cmdline", encoding="utf-8", errors="replace") as f:
                line = f.read().split("\0")
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                parent = int(f.read().rpartition(")")[2].split()[1])
            if parent == server.pid and line[0].endswith("triton_python_backend_stub") and len(line) > 8:
                found[int(entry)] = line[8]
    return found


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.02)


def model_of(folder, name, source):
    """A copy of one of the models of tests/python under another name."""
    target = os.path.join(folder, name)
    shutil.copytree(os.path.join(TESTS, "python", "models", source), target)
    return target


def infer(client, model, inputs, **options):
    prepared = []
    for name, given in inputs.items():
        prepared.append(grpc.InferInput(name, given[1], given[0]))
        prepared[-1].set_data_from_numpy(cases.array(*given))
    return client.infer(model, prepared, client_timeout=60, **options)


def add(client, model, value):
    inputs = {name: ("FP32", [1, 2], [value, 2 * value]) for name in ("INPUT0", "INPUT1")}
    return infer(client, model, inputs).as_numpy("OUTPUT0").tolist()
