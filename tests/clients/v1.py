"""The client of V1 for tests: the unmodified wheel `tensorrtserver` in a process of its own, and tests that run there."""

import functools
import inspect
import json
import os
import subprocess
import sys

import pytest
from server_process import ROOT

PACKAGES = os.path.join(ROOT, ".cache", "python", "v1")
LIBRARIES = os.path.join(ROOT, ".cache", "v1", "lib")
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "v1_worker.py")

# What the client of the tests is, is not that of the server: V1's lies beside it.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "PYTEST"))},
    "PYTHONPATH": PACKAGES,
    "LD_LIBRARY_PATH": LIBRARIES,
    "PYTHONDONTWRITEBYTECODE": "1",
}


class V1Client:
    """The process. It is started again if the library has taken it down."""

    def __init__(self):
        self.process = None

    def start(self):
        results, write = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, WORKER, str(write)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            pass_fds=[write],
        )
        os.close(write)
        self.results = os.fdopen(results)

    def run(self, function, server, protocol, **more):
        """Runs the function there, and returns what it returns; its error is this test's error."""
        if self.process is None:
            self.start()
        where = {"http": server.http, "grpc": server.grpc, "protocol": protocol, **more}
        task = {"source": inspect.getsource(function), "name": function.__name__, "where": where}
        print(json.dumps(task), file=self.process.stdin, flush=True)
        line = self.results.readline()
        if not line:
            said = self.process.communicate()[1]
            status, self.process = self.process.returncode, None
            pytest.fail(f"the client ended with status {status}:\n{said[-2000:]}", pytrace=False)
        outcome = json.loads(line)
        if outcome["error"] is not None:
            pytest.fail(outcome["error"], pytrace=False)
        return outcome["value"]

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stderr.close()
            self.results.close()


def by_v1(*protocols, server="v1_server"):
    """Makes a test of a function that takes the client and its server (`Where` in v1_worker.py): it runs once for each
    protocol, against the server that the fixture of that name gives."""

    def decorate(function):
        @pytest.mark.parametrize("protocol", protocols or ("HTTP", "gRPC"))
        @functools.wraps(function)
        def test(v1, request, protocol):
            v1.run(function, request.getfixturevalue(server), protocol)

        # pytest goes by this one's arguments, not by those of the function.
        del test.__wrapped__
        return test

    return decorate
