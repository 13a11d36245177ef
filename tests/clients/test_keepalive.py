"""Keep-alive pings in both directions, and the age of connections, with gRPC's own client and with hand-made frames."""

import socket
import struct
import threading

import grpc
import numpy as np
import pytest
from server_process import ServerProcess
from tritonclient.grpc import service_pb2, service_pb2_grpc

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
ENHANCE_YOUR_CALM = 11


def frame(kind, flags=0, stream=0, content=b""):
    return struct.pack(">I", len(content))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + content


def frames(link):
    """(kind, flags, content) of each frame that comes, until the connection ends."""
    received = b""
    while True:
        while len(received) >= 9:
            length = int.from_bytes(received[:3], "big")
            if len(received) < 9 + length:
                break
            yield received[3], received[4], received[9 : 9 + length]
            received = received[9 + length :]
        try:
            data = link.recv(65536)
        except ConnectionError:
            return
        if not data:
            return
        received += data


def connect(server):
    link = socket.create_connection(("127.0.0.1", server.grpc_port), timeout=20)
    link.sendall(PREFACE + frame(SETTINGS))
    return link


def started(repository, *flags):
    always = ["--model-control-mode=explicit", "--load-model=identity_fp32"]
    return ServerProcess(repository[0], flags=[*always, *flags])


def request():
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="INPUT0", datatype="FP32", shape=[4])
    values = np.arange(4, dtype=np.float32)
    return service_pb2.ModelInferRequest(
        model_name="identity_fp32", inputs=[tensor], raw_input_contents=[values.tobytes()]
    )


def test_a_client_that_pings_too_often_is_told_to_calm_down(repository):
    with started(repository) as server:
        link = connect(server)
        link.sendall(4 * frame(PING, content=b"12345678"))
        last = [content for kind, _, content in frames(link) if kind == GOAWAY][-1]
        assert struct.unpack(">I", last[4:8])[0] == ENHANCE_YOUR_CALM and last[8:] == b"too_many_pings"
        assert server.metric("nv_server_connections_ended", reason="pings") == 1
    with started(repository, "--grpc-http2-max-ping-strikes=0") as server:
        link = connect(server)
        link.sendall(50 * frame(PING, content=b"12345678") + frame(PING, content=b"thelast1"))
        answers = (content for kind, flags, content in frames(link) if (kind, flags) == (PING, 1))
        assert b"thelast1" in answers


def test_grpc_itself_pings_as_often_as_it_may(repository):
    options = [
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_timeout_ms", 5000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_time_between_pings_ms", 100),
    ]
    allow = ["--grpc-keepalive-permit-without-calls=true", "--grpc-http2-min-recv-ping-interval-without-data=0"]
    for flags, ended in (([], 1), (allow, 0)):
        with started(repository, *flags) as server, grpc.insecure_channel(server.grpc, options) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            release = threading.Event()

            def requests():
                yield request()
                release.wait(20)

            stream = stub.ModelStreamInfer(requests())
            assert next(stream).infer_response.model_name == "identity_fp32"
            # A call is open, and the client asks again and again whether the server is there.
            if ended:
                with pytest.raises(grpc.RpcError) as failed:
                    next(stream)
                assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
                assert "too_many_pings" in failed.value.details() or "ENHANCE_YOUR_CALM" in failed.value.details()
            else:
                release.wait(2)
                release.set()
                assert list(stream) == []
            release.set()
            assert server.metric("nv_server_connections_ended", reason="pings") == ended


def test_a_client_that_is_gone_is_found_by_a_ping(repository):
    flags = ["--grpc-keepalive-time=400", "--grpc-keepalive-timeout=400", "--grpc-keepalive-permit-without-calls=true"]
    with started(repository, *flags) as server:
        link = connect(server)
        # It reads, and answers nothing.
        kinds = [(kind, flags) for kind, flags, _ in frames(link)]
        assert (PING, 0) in kinds
        assert server.metric("nv_server_connections_ended", reason="keepalive") == 1


def test_a_client_that_answers_stays_and_pings_end_without_data(repository):
    flags = ["--grpc-keepalive-time=300", "--grpc-keepalive-timeout=5000", "--grpc-keepalive-permit-without-calls=true"]
    with started(repository, *flags) as server:
        link = connect(server)
        pings = 0
        link.settimeout(3)
        with pytest.raises(TimeoutError):
            for kind, flags, content in frames(link):
                if (kind, flags) == (PING, 0):
                    pings += 1
                    link.sendall(frame(PING, 1, content=content))
        assert pings == 2, "--grpc-http2-max-pings-without-data"
        assert server.metric("nv_server_connections_ended", reason="keepalive") == 0
    # Without the permission, a connection without a call is not asked.
    with started(repository, "--grpc-keepalive-time=300") as server:
        link = connect(server)
        link.settimeout(2)
        with pytest.raises(TimeoutError):
            for kind, flags, _ in frames(link):
                assert (kind, flags) != (PING, 0)


def test_calls_go_on_when_their_connection_grows_old(repository):
    flags = ["--grpc-max-connection-age=500", "--grpc-max-connection-age-grace=60000"]
    with started(repository, *flags) as server:
        link = connect(server)
        assert [kind for kind, _, _ in frames(link)].count(GOAWAY) >= 1, "an idle one is told, and closed"
        with grpc.insecure_channel(server.grpc) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            before = server.metric("nv_server_connections_accepted")
            for _ in range(2000):
                assert stub.ModelInfer(request()).model_name == "identity_fp32"
                if server.metric("nv_server_connections_accepted") > before + 200:
                    break
        with grpc.insecure_channel(server.grpc) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            release = threading.Event()

            def requests():
                yield request()
                release.wait(1.5)
                yield request()

            assert len(list(stub.ModelStreamInfer(requests()))) == 2, "a call has the grace"
    flags = ["--grpc-max-connection-age=300", "--grpc-max-connection-age-grace=300"]
    with started(repository, *flags) as server, grpc.insecure_channel(server.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        ended = threading.Event()

        def never():
            yield request()
            ended.wait(20)

        with pytest.raises(grpc.RpcError):
            list(stub.ModelStreamInfer(never()))
        ended.set()
