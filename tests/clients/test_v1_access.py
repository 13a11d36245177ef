"""Restricted calls and tokens hold for V1 as they do for v2: what is refused there is not to be had here."""

import hashlib
import http.client

import grpc
import pytest
from server_process import ServerProcess
from v1_models import make_v1_repository

TOKENS = {"shop": "s" * 32, "ops": "o" * 32}

AUTH = f"""
[[tokens]]
name = "shop"
token_sha256 = "{hashlib.sha256(TOKENS["shop"].encode()).hexdigest()}"
infer = ["simple"]

[[tokens]]
name = "ops"
token_sha256 = "{hashlib.sha256(TOKENS["ops"].encode()).hexdigest()}"
read = ["*"]
infer = ["*"]
admin = ["*"]
"""

CALLS = [
    ("POST", "/api/infer/simple", "Infer"),
    ("GET", "/api/status", "Status"),
    ("GET", "/api/status/simple", "Status"),
    ("GET", "/api/repository/index", "Repository"),
    ("POST", "/api/modelcontrol/load/simple", "ModelControl"),
    ("POST", "/api/modelcontrol/unload/simple", "ModelControl"),
    ("GET", "/api/sharedmemorycontrol/status", "SharedMemoryControl"),
    ("POST", "/api/sharedmemorycontrol/unregisterall", "SharedMemoryControl"),
]

HEADER = 'batch_size: 1 input { name: "INPUT0" } input { name: "INPUT1" } output { name: "OUTPUT0" }'


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("v1_access"))
    make_v1_repository(folder)
    return folder


def serve(models, *flags):
    loaded = [f"--load-model={name}" for name in ("simple", "any_fp32")]
    control = ["--model-control-mode=explicit", "--allow-client-shm=true"]
    return ServerProcess(models, flags=[*control, *loaded, *flags])


def ask(server, method, path, **headers):
    """(status, NV-Status, body) of a call, with the two inputs of `simple`."""
    link = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = bytes(128) if "infer" in path else b""
        link.request(method, path, body, {"NV-InferRequest": HEADER, **named})
        reply = link.getresponse()
        return reply.status, reply.getheader("nv-status"), reply.read()
    finally:
        link.close()


def call(server, name, message=b"", **metadata):
    """The code and text of a call over gRPC: its reply begins with them, whatever the call."""
    path = f"/nvidia.inferenceserver.GRPCService/{name}"
    with grpc.insecure_channel(server.grpc) as channel:
        reply = channel.unary_unary(path)(message, metadata=[*metadata.items()])
    assert reply[0] == 1 << 3 | 2, reply
    size, begin = (reply[1], 2) if reply[1] < 128 else (reply[1] & 127 | reply[2] << 7, 3)
    status = reply[begin : begin + size]
    text = status[2:]
    return status[1], text[2 : 2 + text[1]].decode() if text[0] == 2 << 3 | 2 else ""


SUCCESS, UNAVAILABLE = 1, 6


def test_restricted_categories(models):
    all_of_them = "inference,metadata,model-config,statistics,model-repository,shared-memory"
    flags = [
        f"--http-restricted-api={all_of_them}:key=word",
        f"--grpc-restricted-protocol={all_of_them}:key=word",
    ]
    with serve(models, *flags) as server:
        for method, path, name in CALLS:
            status, told, body = ask(server, method, path)
            assert (status, body) == (400, b""), path
            assert told.startswith("code: UNAVAILABLE msg: ") and "restricted" in told, (path, told)
            code, text = call(server, name)
            assert code == UNAVAILABLE and "restricted" in text, name
            assert ask(server, method, path, key="wrong")[0] == 400
            assert ask(server, method, path, key="word")[0] == 200, path
        code, _ = call(server, "Status", **{"triton-grpc-protocol-key": "word"})
        assert code == SUCCESS
        # Probes need nothing.
        assert ask(server, "GET", "/api/health/live")[0] == 200
        assert call(server, "Health", b"\x0a\x04live")[0] == SUCCESS


@pytest.mark.parametrize("category", ["metadata", "model-config", "statistics"])
def test_the_status_belongs_to_three_categories(models, category):
    with serve(models, f"--http-restricted-api={category}:key=word") as server:
        assert ask(server, "GET", "/api/status/simple")[0] == 400
        assert ask(server, "GET", "/api/status/simple", key="word")[0] == 200
        assert ask(server, "POST", "/api/infer/simple")[0] == 200


def test_tokens(models, tmp_path):
    auth = tmp_path / "auth.toml"
    auth.write_text(AUTH)
    with serve(models, f"--auth-config={auth}") as server:
        bearer = {name: {"Authorization": f"Bearer {token}"} for name, token in TOKENS.items()}
        for method, path, name in CALLS:
            status, told, body = ask(server, method, path)
            assert (status, body) == (400, b"") and told.startswith("code: UNAVAILABLE"), path
            assert call(server, name)[0] == UNAVAILABLE
            assert ask(server, method, path, Authorization="Bearer " + "x" * 32)[0] == 400
        # One may infer with its model, and see it, and nothing else.
        assert ask(server, "POST", "/api/infer/simple", **bearer["shop"])[0] == 200
        _, told, _ = ask(server, "POST", "/api/infer/any_fp32", **bearer["shop"])
        assert "code: UNAVAILABLE" in told and "any_fp32" in told
        assert ask(server, "POST", "/api/infer/nobody", **bearer["shop"])[1].replace("nobody", "any_fp32").split(
            "request_id"
        )[0] == told.split("request_id")[0]
        status, _, text = ask(server, "GET", "/api/status", **bearer["shop"])
        assert (status, b'key: "simple"' in text, b"any_fp32" in text) == (200, True, False)
        assert b"infer_stats" not in text and b"model_inference_count" not in text
        assert ask(server, "GET", "/api/status/any_fp32", **bearer["shop"])[0] == 400
        for path in ("/api/modelcontrol/unload/simple", "/api/sharedmemorycontrol/unregisterall"):
            assert ask(server, "POST", path, **bearer["shop"])[0] == 400, path
        assert ask(server, "GET", "/api/repository/index", **bearer["shop"])[0] == 400
        # The other may do everything.
        _, _, text = ask(server, "GET", "/api/status", **bearer["ops"])
        assert b"any_fp32" in text and b"model_inference_count" in text
        for method, path, _ in CALLS:
            assert ask(server, method, path, **bearer["ops"])[0] == 200, path
        assert ask(server, "GET", "/api/health/ready")[0] == 200
