"""SIGTERM: what runs is finished, what is new is refused, and the exit status is 0. SIGHUP opens the log file anew."""

import concurrent.futures
import json
import os
import signal
import socket

import numpy as np
import pytest
from gate import FLAG, Gate
from server_process import ServerProcess

ONE = np.ones(1, np.float32)


@pytest.fixture
def own_server(repository):
    """A server for one test alone, with `slow` (half a second a request) and a stream model."""
    models = ("slow", "simple", "repeat_py")
    flags = ["--model-control-mode=explicit", *(f"--load-model={name}" for name in models)]
    with ServerProcess(repository[0], flags=flags) as process:
        yield process


def terminate(server):
    server.process.send_signal(signal.SIGTERM)


def exit_status(server):
    return server.process.wait(timeout=40)


def test_an_idle_server_exits_with_0(own_server):
    terminate(own_server)
    assert exit_status(own_server) == 0


def test_sigint_stops_it_as_well(own_server):
    own_server.process.send_signal(signal.SIGINT)
    assert exit_status(own_server) == 0


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_requests_in_flight_are_answered(tmp_path, client_of, eventually, kind):
    gate = Gate(tmp_path / "models", tmp_path)

    def infer(server):
        client = client_of(kind, server)
        return client.infer("gate", [client.input("INPUT0", ONE, "FP32")]).as_numpy("OUTPUT0")

    def waiting(server):
        return server.metric("nv_inference_pending_request_count", model="gate")

    with (
        ServerProcess(tmp_path / "models", flags=[FLAG]) as server,
        concurrent.futures.ThreadPoolExecutor(3) as pool,
    ):
        try:
            answers = [pool.submit(infer, server) for _ in range(3)]
            eventually(lambda: gate.entered() and waiting(server) == 2, "one that runs, two that wait behind it")
            terminate(server)
            eventually(lambda: "stopping" in server.log(), "the signal's arrival")
            assert not any(answer.done() for answer in answers)
        finally:
            gate.open()
        assert [answer.result(timeout=40).tolist() for answer in answers] == [[1.0]] * 3
        assert exit_status(server) == 0


def test_idle_connections_do_not_hold_it_up(own_server, client_of):
    client = client_of("grpc", own_server)
    assert client.is_server_ready()
    client.start_stream(lambda result, error: None)
    with socket.create_connection(("127.0.0.1", own_server.http_port)) as link:
        link.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 200")
        terminate(own_server)
        assert exit_status(own_server) == 0


def test_a_request_that_never_arrives_whole_is_given_up(repository):
    flags = ["--model-control-mode=explicit", "--load-model=simple", "--exit-timeout-secs=1"]
    with ServerProcess(repository[0], flags=flags) as server:
        with socket.create_connection(("127.0.0.1", server.http_port)) as link:
            link.sendall(b"POST /v2/models/simple/infer HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
            terminate(server)
            # The exit status is not asked for: giving up on a client is not the usual end.
            server.process.wait(timeout=20)


def test_the_ports_are_closed_afterwards(own_server):
    terminate(own_server)
    exit_status(own_server)
    for port in (own_server.http_port, own_server.grpc_port, own_server.metrics_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
