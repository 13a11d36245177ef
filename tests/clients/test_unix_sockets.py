"""HTTP and gRPC on unix sockets, and what becomes of their files; HTTP/2 on the HTTP port."""

import os
import signal
import socket
import stat
import subprocess

import numpy as np
import pytest
import tritonclient.grpc
from server_process import ServerProcess


def started(repository, *flags):
    always = ["--model-control-mode=explicit", "--load-model=identity_fp32"]
    return ServerProcess(repository[0], flags=[*always, *flags])


def curl(*options):
    """(HTTP version, status, error) of a request by curl."""
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return (*done.stdout.split(), done.stderr)


def infer(url):
    client = tritonclient.grpc.InferenceServerClient(url)
    values = np.arange(1 << 20, dtype=np.float32)
    tensor = tritonclient.grpc.InferInput("INPUT0", list(values.shape), "FP32")
    tensor.set_data_from_numpy(values)
    assert np.array_equal(client.infer("identity_fp32", [tensor]).as_numpy("OUTPUT0"), values)
    client.close()


def test_both_protocols_are_served_on_unix_sockets_beside_their_ports(repository, tmp_path):
    http, grpc = tmp_path / "http.sock", tmp_path / "grpc.sock"
    with started(repository, f"--http-unix-socket={http}", f"--grpc-unix-socket={grpc}") as server:
        infer(f"unix:{grpc}")
        infer(f"unix://{grpc}")
        infer(server.grpc)
        for option, version in (("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")):
            answer = curl(option, "--unix-socket", str(http), "http://localhost/v2/health/ready")
            assert answer == (version, "200", "")
        assert server.get("/v2/health/ready")[0] == 200
        for path in (http, grpc):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        assert server.stop() == 0
    assert os.listdir(tmp_path) == []


def test_an_address_may_be_a_unix_socket_alone(repository, tmp_path):
    path = tmp_path / "grpc.sock"
    flags = [f"--grpc-address=unix:{path}", "--unix-socket-mode=600"]
    with started(repository, *flags) as server:
        infer(f"unix:{path}")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.grpc_port))


def test_the_socket_of_a_killed_server_is_replaced_and_that_of_a_living_one_is_not(repository, tmp_path):
    path = tmp_path / "grpc.sock"
    flag = f"--grpc-unix-socket={path}"
    with started(repository, flag) as first:
        second = started(repository, flag).launch()
        assert second.process.wait(30) != 0
        assert "another process listens there" in second.log()
        infer(f"unix:{path}")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    assert path.exists()
    with started(repository, flag):
        infer(f"unix:{path}")
    path.write_text("x", encoding="ascii")
    third = started(repository, flag).launch()
    assert third.process.wait(30) != 0
    assert "is no socket, and is left alone" in third.log()
    assert path.read_text(encoding="ascii") == "x"


@pytest.mark.parametrize(
    ("option", "version"), [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2"), ("--http2", "1.1")]
)
def test_the_http_port_speaks_http_2_in_the_clear(server, option, version):
    """A client that asks to upgrade is answered in HTTP/1.1, as RFC 9110 allows; browsers and curl go on with that."""
    url = f"http://{server.http}/v2/health/ready"
    assert curl(option, url) == (version, "200", "")
    body = '{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[2],"data":[1,2]}]}'
    assert curl(option, "-d", body, f"http://{server.http}/v2/models/identity_fp32/infer")[1] == "200"
