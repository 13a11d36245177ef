"""That no command of the binary writes to the user's folders or asks anybody, traced by strace."""

import os
import re
import shutil
import signal
import subprocess

import numpy as np
import pytest
from live import Folder, adds
from server_process import BINARY, LIBRARY, ServerProcess

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is missing")

# Calls by which something could be written or asked.
TRACED = "trace=open,openat,creat,mkdir,mkdirat,connect,sendto,sendmsg,sendmmsg"


def tracer(trace):
    return ["strace", "-f", "-D", "-qq", "-s", "200", "-o", str(trace), "-e", TRACED]


def environment(home):
    """That of the test, but for the engine's switch, and with a user's folders in `home`."""
    users = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    return {**kept, **{name: str(home) for name in users}}


def faults(trace, *parts):
    """Lines of a trace that write a file elsewhere than in `parts`, or speak to anything but a socket of this machine."""
    found = []
    for line in trace.read_text().splitlines():
        if re.search(r"\b(connect|sendto|sendmsg|sendmmsg)\(", line):
            # A message to an address; what goes to a client has none.
            outside = "AF_INET" in line and "127.0.0.1" not in line
            if outside or 'sin_port=htons(53)' in line or "/nscd/" in line:
                found.append(line)
            continue
        path = re.search(r'"([^"]*)"', line)
        writes = re.search(r"\b(mkdir|mkdirat|creat)\(|O_WRONLY|O_RDWR|O_CREAT", line)
        allowed = ("/dev/", "/proc/self/", *map(str, parts))
        if path and writes and not path[1].startswith(allowed):
            found.append(line)
        elif path and path[1].endswith(("/resolv.conf", "/nsswitch.conf", "/etc/hosts")):
            found.append(line)
    return found


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def repository(tmp_path):
    folder = Folder(tmp_path)
    folder.add("m", {1: adds(3)})
    return folder


class Traced(ServerProcess):
    def __init__(self, repository, trace, home):
        super().__init__(repository)
        self.trace, self.home = trace, home

    def command(self):
        return tracer(self.trace) + super().command()

    def launch(self):
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=self.log_file,
            stderr=subprocess.STDOUT,
            env=environment(self.home),
        )
        return self


def test_the_server(repository, home, tmp_path):
    import tritonclient.http as triton

    trace = tmp_path / "trace"
    with Traced(repository.path, trace, home) as server:
        x = triton.InferInput("x", [1], "INT32")
        x.set_data_from_numpy(np.array([4], np.int32))
        with triton.InferenceServerClient(server.http) as client:
            for _ in range(20):
                assert client.infer("m", [x]).as_numpy("y") == [7]
        assert server.stop() in (0, -signal.SIGTERM)
    assert "libonnxruntime" in trace.read_text(), "the trace does not see the library opened"
    assert faults(trace, tmp_path / "models") == []
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize("command", ["check", "config"])
def test_commands(command, repository, home, tmp_path):
    trace = tmp_path / "trace"
    target = {"check": repository.path, "config": repository.file("m", "1", "model.onnx")}[command]
    setting = f"--backend-config=onnxruntime,library={LIBRARY}"
    subprocess.run(
        [*tracer(trace), BINARY, command, str(target), setting],
        env=environment(home),
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    assert "libonnxruntime" in trace.read_text(), "the trace does not see the library opened"
    assert faults(trace) == []
    assert list(home.rglob("*")) == []
