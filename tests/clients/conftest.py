"""Starts the built server for the client tests, and gives them its clients."""

import asyncio
import importlib
import inspect
import os
import sys
import time

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, TESTS)

from models import make_repository  # noqa: E402
from server_process import ServerProcess  # noqa: E402
from v1 import V1Client  # noqa: E402
from v1_models import make_v1_repository  # noqa: E402


class Client:
    """One client of tritonclient, sync or asyncio: each of its methods can be called as it is.

    kind is the module's name behind `tritonclient.`; module has InferInput and its like.
    """

    def __init__(self, kind, server):
        self.kind, self.protocol = kind, kind.split(".")[0]
        self.module = importlib.import_module(f"tritonclient.{kind}")
        self.loop = asyncio.new_event_loop()
        self.real = self.run(self.connect, getattr(server, self.protocol))

    def connect(self, url):
        return self.module.InferenceServerClient(url)

    def run(self, function, *arguments, **named):
        async def call():
            result = function(*arguments, **named)
            return await result if inspect.isawaitable(result) else result

        # The blocking clients must not run inside of an event loop.
        if "aio" not in self.kind:
            return function(*arguments, **named)
        return self.loop.run_until_complete(call())

    def __getattr__(self, name):
        method = getattr(self.real, name)
        return lambda *arguments, **named: self.run(method, *arguments, **named)

    def json(self, name, *arguments, **named):
        """The answer of a method as plain JSON, whatever the protocol."""
        if self.protocol == "grpc":
            named["as_json"] = True
        return getattr(self, name)(*arguments, **named)

    def input(self, name, array, datatype, binary=True):
        tensor = self.module.InferInput(name, list(array.shape), datatype)
        if self.protocol == "http":
            tensor.set_data_from_numpy(array, binary_data=binary)
        else:
            tensor.set_data_from_numpy(array)
        return tensor

    def output(self, name, binary=True, class_count=0):
        extra = {"binary_data": binary} if self.protocol == "http" else {}
        return self.module.InferRequestedOutput(name, class_count=class_count, **extra)

    def close(self):
        self.run(self.real.close)
        self.loop.close()


def pytest_addoption(parser):
    parser.addoption("--torture-seconds", type=float, default=15, help="for how long test_torture.py goes on")
    parser.addoption("--torture-seed", type=int, help="the order of what it does, as a former run printed it")


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """(folder, names of the models that load at start)"""
    folder = str(tmp_path_factory.mktemp("models"))
    return folder, make_repository(folder)


@pytest.fixture(scope="session")
def server(repository):
    """The server that most tests share. Tests that change models use `changing` and `mlp_auto`."""
    folder, models = repository
    flags = ["--model-control-mode=explicit", *(f"--load-model={name}" for name in models)]
    with ServerProcess(folder, flags=flags) as process:
        yield process
        assert process.alive(), f"the server died during the tests:\n{process.log()[-4000:]}"


@pytest.fixture
def client_of(server):
    """client_of("grpc.aio"): a client of that kind, closed at the end of the test."""
    clients = []

    def make(kind, of=server):
        clients.append(Client(kind, of))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture(params=["http", "http.aio", "grpc", "grpc.aio"])
def client(request, client_of):
    """Each of the four clients of tritonclient in turn."""
    return client_of(request.param)


@pytest.fixture(params=["http", "grpc"])
def blocking_client(request, client_of):
    return client_of(request.param)


@pytest.fixture(scope="session")
def v1():
    """The client of V1, in a process of its own."""
    client = V1Client()
    yield client
    client.stop()


@pytest.fixture(scope="session")
def v1_server(tmp_path_factory):
    """The server that the tests of V1 share."""
    folder = str(tmp_path_factory.mktemp("v1"))
    models = make_v1_repository(folder)
    # A test loads a model that is broken.
    flags = ["--model-control-mode=explicit", "--allow-client-shm=true", "--strict-readiness=false"]
    with ServerProcess(folder, flags=[*flags, *(f"--load-model={name}" for name in models)]) as process:
        yield process
        assert process.alive(), f"the server died during the tests:\n{process.log()[-4000:]}"


@pytest.fixture
def eventually():
    """eventually(condition): waits until it holds; fails after a minute, which nothing takes that goes on at all."""

    def wait(condition, what="the condition"):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true within 60 s"
            time.sleep(0.01)

    return wait
