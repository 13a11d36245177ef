"""Clients that take more than their share of a whole process: descriptors, time at its end, and places."""

import http.client
import os
import resource
import signal
import socket
import time

import grpc
import numpy as np
import pytest
from gate import FLAG, Gate
from server_process import ServerProcess
from tritonclient.grpc import service_pb2, service_pb2_grpc

BODY = b'{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[1]}]}'


def started(repository, *flags):
    models = ("slow", "identity_fp32")
    always = ["--model-control-mode=explicit", *(f"--load-model={name}" for name in models)]
    return ServerProcess(repository[0], flags=[*always, *flags])


def get(port, path):
    """Status, headers and body of a request on a connection of its own."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        link.request("GET", path)
        reply = link.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        link.close()


@pytest.fixture
def crowded(repository):
    """A server that may open no file more than it has open."""
    with started(repository) as server:
        assert get(server.http_port, "/v2")[0] == 200
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        numbers = [int(name) for name in os.listdir(f"/proc/{server.pid}/fd")]
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (max(numbers) + 1, before[1]))
        # Numbers below the highest that are free, and those of connections that were just closed.
        links = []
        while get_is_served(server):
            links.append(socket.create_connection(("127.0.0.1", server.http_port)))
            assert len(links) < 100
        yield server
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        for link in links:
            link.close()


def get_is_served(server):
    return get(server.http_port, "/v2")[0] == 200


def test_without_descriptors_the_health_and_the_metrics_are_answered(crowded):
    for _ in range(20):
        assert get(crowded.http_port, "/v2/health/ready")[0] == 200
        status, headers, body = get(crowded.http_port, "/v2/models/slow")
        assert (status, headers["Connection"]) == (503, "close")
        assert b"limit of open files" in body
        status, _, page = get(crowded.metrics_port, "/metrics")
        assert status == 200 and b"nv_server_connections_refused" in page


def test_without_descriptors_grpc_tells_its_health(crowded):
    """Connections that are kept take the last descriptors, and then one is told so."""
    channels, details = [], None
    while details is None:
        channels.append(grpc.insecure_channel(crowded.grpc, [("grpc.use_local_subchannel_pool", 1)]))
        assert len(channels) < 50
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channels[-1])
        assert stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=20).live
        try:
            stub.ServerMetadata(service_pb2.ServerMetadataRequest(), timeout=20)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            details = error.details()
    assert "limit of open files" in details
    for channel in channels:
        channel.close()


def test_the_limit_of_connections_by_its_flag(repository):
    with started(repository, "--max-connections=3") as server:
        begun = b"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        links = [socket.create_connection(("127.0.0.1", server.http_port)) for _ in range(3)]
        for link in links:
            link.sendall(begun)
        while (answer := get(server.http_port, "/v2"))[0] == 200:
            pass
        assert answer[0] == 503 and b"--max-connections" in answer[2]
        assert get(server.http_port, "/v2/health/live")[0] == 200
        for link in links:
            link.close()


def test_requests_that_never_come_whole_do_not_hold_up_the_end(repository):
    # Running requests would have an hour.
    with started(repository, "--exit-timeout-secs=3600") as server:
        links = [socket.create_connection(("127.0.0.1", server.http_port)) for _ in range(50)]
        for link in links:
            link.sendall(b"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        while server.metric("nv_server_open_requests") < len(links):
            pass
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 0


def test_a_delay_before_the_drain(repository, eventually):
    # Longer than whatever holds up this test: the server is killed in the end.
    with started(repository, "--drain-delay-secs=3600") as server:
        idle = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)

        def ask(path, body=None):
            idle.request("POST" if body else "GET", path, body)
            reply = idle.getresponse()
            return reply.status, reply.read()

        assert ask("/v2/health/ready")[0] == 200
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: ask("/v2/health/ready")[0] != 200, "a health that is not ready")
        # On the connection that was open, and on a new one.
        assert ask("/v2/models/slow/infer", BODY)[0] == 200
        assert get(server.http_port, "/v2")[0] == 200
        idle.close()
        server.process.kill()


def test_the_drain_comes_when_the_delay_is_over(repository):
    with started(repository, "--drain-delay-secs=1") as server:
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=40) == 0
        assert time.monotonic() - begin >= 1


def test_the_health_while_the_server_drains(tmp_path, client_of, eventually):
    gate = Gate(tmp_path / "models", tmp_path)
    with ServerProcess(tmp_path / "models", flags=[FLAG]) as server:
        client = client_of("grpc", server)
        inputs = [client.input("INPUT0", np.ones(1, np.float32), "FP32")]
        done = []
        try:
            for _ in range(4):
                client.async_infer("gate", inputs, lambda result, error: done.append((result, error)))
            eventually(lambda: server.metric("nv_server_open_requests") >= 4, "four requests")
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: get(server.http_port, "/v2/models/gate")[0] == 503, "a refusal")
            assert get(server.http_port, "/v2/health/ready")[0] != 200
            assert not done
        finally:
            gate.open()
        eventually(lambda: len(done) == 4, "four answers")
        assert [error for _, error in done] == [None] * 4
        assert server.process.wait(timeout=40) == 0
