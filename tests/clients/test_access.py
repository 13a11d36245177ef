"""Who may make which call: Triton's restricted categories, and tokens with roles by model."""

import http.client
import json
import os
import subprocess

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.grpc.auth
import tritonclient.http
import tritonclient.http.auth
from server_process import ServerProcess
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

MODELS = ("simple", "identity_fp32", "sequence")
ADMIN, TENANT, WATCHER = "admin-0123456789abcdef", "tenant-0123456789abcdef", "watcher-0123456789abcdef"

TOKENS = f"""
[[tokens]]
name = "ops"
token_file = "ops.token"
admin = ["*"]

[[tokens]]
name = "tenant"
token = "{TENANT}"
infer = ["identity*"]

[[tokens]]
name = "watcher"
token = "{WATCHER}"
read = ["simple"]
"""


def started(repository, *flags, **named):
    loaded = [name for name in MODELS if name in repository[1]]
    always = ["--model-control-mode=explicit", *(f"--load-model={name}" for name in loaded)]
    return ServerProcess(repository[0], flags=[*always, *flags], **named)


def call(server, method, path, headers=None, body=b"", port=None):
    """Status, headers and body of a request on a connection of its own."""
    link = http.client.HTTPConnection("127.0.0.1", port or server.http_port, timeout=20)
    try:
        link.request(method, path, body=body, headers=headers or {})
        reply = link.getresponse()
        return reply.status, reply.headers, reply.read().decode()
    finally:
        link.close()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# Every category: a path of HTTP with its method, a call of gRPC with its message.
CALLS = {
    "health": (("GET", "/v2/health/live"), ("ServerLive", service_pb2.ServerLiveRequest())),
    "metadata": (("GET", "/v2"), ("ServerMetadata", service_pb2.ServerMetadataRequest())),
    "inference": (
        ("POST", "/v2/models/simple/infer"),
        ("ModelInfer", service_pb2.ModelInferRequest(model_name="simple")),
    ),
    "shared-memory": (
        ("GET", "/v2/systemsharedmemory/status"),
        ("SystemSharedMemoryStatus", service_pb2.SystemSharedMemoryStatusRequest()),
    ),
    "model-config": (
        ("GET", "/v2/models/simple/config"),
        ("ModelConfig", service_pb2.ModelConfigRequest(name="simple")),
    ),
    "model-repository": (
        ("POST", "/v2/repository/index"),
        ("RepositoryIndex", service_pb2.RepositoryIndexRequest()),
    ),
    "statistics": (
        ("GET", "/v2/models/stats"),
        ("ModelStatistics", service_pb2.ModelStatisticsRequest()),
    ),
    "trace": (("GET", "/v2/trace/setting"), ("TraceSetting", service_pb2.TraceSettingRequest())),
    "logging": (("GET", "/v2/logging"), ("LogSettings", service_pb2.LogSettingsRequest())),
}


@pytest.fixture(scope="module")
def restricted(repository):
    names = list(CALLS)
    flags = []
    for protocol, flag in (("http", "http-restricted-api"), ("grpc", "grpc-restricted-protocol")):
        flags.append(f"--{flag}={','.join(names[:5])}:first-{protocol}=one=1")
        flags.append(f"--{flag}={','.join(names[5:])}:second-{protocol}=two")
    # The server itself is asked for its health, which is restricted.
    with started(repository, *flags, headers={"first-http": "one=1"}) as server:
        yield server


@pytest.mark.parametrize("category", CALLS)
def test_a_restricted_category_needs_its_header(restricted, category):
    (method, path), (rpc, message) = CALLS[category]
    key, value = ("first", "one=1") if list(CALLS).index(category) < 5 else ("second", "two")
    refused = json.dumps({"error": f"This API is restricted, expecting header '{key}-http'"}, separators=(",", ":"))
    for headers in ({}, {f"{key}-http": value + "x"}, {f"{key}-http": ""}, {f"x{key}-http": value}):
        status, _, body = call(restricted, method, path, headers)
        assert (status, body) == (403, refused)
    # Before the method is looked at.
    assert call(restricted, "DELETE", path)[0] == 403
    assert call(restricted, "DELETE", path, {f"{key}-http": value})[0] == 405
    assert call(restricted, method, path, {f"{key.upper()}-HTTP": value})[0] not in (401, 403)
    with grpc.insecure_channel(restricted.grpc) as channel:
        stub = getattr(service_pb2_grpc.GRPCInferenceServiceStub(channel), rpc)
        name = f"triton-grpc-protocol-{key}-grpc"
        for metadata in ((), ((name, "wrong"),), ((f"{key}-grpc", value),)):
            with pytest.raises(grpc.RpcError) as failed:
                stub(message, metadata=metadata)
            assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
            assert failed.value.details() == f"This protocol is restricted, expecting header '{name}'"
        try:
            stub(message, metadata=((name, value),))
        except grpc.RpcError as error:
            assert "restricted" not in error.details()


def test_a_restricted_stream_ends_at_once(restricted):
    with grpc.insecure_channel(restricted.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failed:
            list(stub.ModelStreamInfer(iter([])))
        assert failed.value.code() == grpc.StatusCode.UNAVAILABLE


def test_the_metrics_are_not_restricted(restricted):
    assert call(restricted, "GET", "/metrics", port=restricted.metrics_port)[0] == 200


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "ops.token").write_text(ADMIN + "\n", encoding="ascii")
    (tmp_path / "auth.toml").write_text(TOKENS, encoding="ascii")
    return tmp_path


@pytest.fixture
def tokens(repository, folder):
    with started(repository, f"--auth-config={folder / 'auth.toml'}") as server:
        yield server


def infer_with(client, module, model="identity_fp32"):
    values = np.arange(16, dtype=np.float32)
    tensor = module.InferInput("INPUT0", [16], "FP32")
    tensor.set_data_from_numpy(values)
    return client.infer(model, [tensor]).as_numpy("OUTPUT0")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_plugin_of_tritonclient_sends_name_and_token(tokens, protocol):
    module = getattr(tritonclient, protocol)
    client = module.InferenceServerClient(getattr(tokens, protocol))
    with pytest.raises(InferenceServerException) as failed:
        infer_with(client, module)
    assert "this call needs a token" in str(failed.value)
    client.register_plugin(module.auth.BasicAuth("tenant", TENANT))
    assert infer_with(client, module).shape == (16,)
    assert client.get_model_metadata("identity_fp32")
    with pytest.raises(InferenceServerException) as failed:
        client.get_model_metadata("simple")
    assert "token 'tenant' has no role for model 'simple'" in str(failed.value)
    client.unregister_plugin()
    client.register_plugin(module.auth.BasicAuth("ops", TENANT))
    with pytest.raises(InferenceServerException) as failed:
        infer_with(client, module)
    assert "the token that was sent is not known" in str(failed.value)
    client.close()


def test_statuses_of_http(tokens):
    status, headers, body = call(tokens, "GET", "/v2/models/simple/config")
    assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer ")
    assert json.loads(body) == {"error": "this call needs a token: send it as 'Authorization: Bearer TOKEN'"}
    assert call(tokens, "GET", "/v2/models/simple/config", bearer("x" * 20))[0] == 401
    assert call(tokens, "GET", "/v2/models/simple/config", bearer(TENANT))[0] == 403
    assert call(tokens, "GET", "/v2/models/simple/config", bearer(WATCHER))[0] == 200
    assert call(tokens, "GET", "/v2/models/no-such-model/config", bearer(TENANT))[0] == 403, "as one that is there"
    # Probes have no token.
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert call(tokens, "GET", path)[0] == 200
    assert call(tokens, "GET", "/v2/models/simple/ready")[0] == 401
    # The path is decoded before it is checked.
    assert call(tokens, "GET", "/v2/models/s%69mple/config", bearer(TENANT))[0] == 403
    assert call(tokens, "GET", "/v2/models/s%69mple/config", bearer(WATCHER))[0] == 200


def test_lists_show_what_the_token_may_read(tokens):
    def names(token):
        index = json.loads(call(tokens, "POST", "/v2/repository/index", bearer(token))[2])
        stats = json.loads(call(tokens, "GET", "/v2/models/stats", bearer(token))[2])["model_stats"]
        return {model["name"] for model in index}, {model["name"] for model in stats}

    assert names(WATCHER) == ({"simple"}, {"simple"})
    every, served = names(ADMIN)
    assert {"simple", "identity_fp32"} <= served <= every
    assert call(tokens, "POST", "/v2/repository/index", bearer(TENANT))[0] == 403
    with grpc.insecure_channel(tokens.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        metadata = (("authorization", f"Bearer {WATCHER}"),)
        index = stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), metadata=metadata)
        assert {model.name for model in index.models} == {"simple"}
        stats = stub.ModelStatistics(service_pb2.ModelStatisticsRequest(), metadata=metadata)
        assert {model.name for model in stats.model_stats} == {"simple"}


def test_who_may_administer_may_do_everything_and_nobody_else(tokens):
    path = "/v2/repository/models/simple/load"
    for token in (TENANT, WATCHER):
        assert call(tokens, "POST", path, bearer(token), b"{}")[0] == 403
        assert call(tokens, "GET", "/v2/systemsharedmemory/status", bearer(token))[0] == 403
        assert call(tokens, "GET", "/metrics", bearer(token), port=tokens.metrics_port)[0] == 403
    assert call(tokens, "GET", "/metrics", port=tokens.metrics_port)[0] == 401
    assert call(tokens, "POST", path, bearer(ADMIN), b"{}")[0] == 200
    assert call(tokens, "GET", "/v2/systemsharedmemory/status", bearer(ADMIN))[0] not in (401, 403)
    status, _, page = call(tokens, "GET", "/metrics", bearer(ADMIN), port=tokens.metrics_port)
    assert status == 200 and "nv_inference_count" in page


def refusal(call_):
    with pytest.raises(grpc.RpcError) as failed:
        call_()
    return failed.value.code(), failed.value.details()


def test_statuses_of_grpc(tokens):
    with grpc.insecure_channel(tokens.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        message = service_pb2.ModelInferRequest(model_name="simple")
        code, text = refusal(lambda: stub.ModelInfer(message))
        assert code == grpc.StatusCode.UNAUTHENTICATED and "this call needs a token" in text
        metadata = (("authorization", f"Bearer {TENANT}"),)
        code, text = refusal(lambda: stub.ModelInfer(message, metadata=metadata))
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert text == "token 'tenant' has no role 'infer' for model 'simple'"
        # A compressed message goes another way.
        compressed = lambda: stub.ModelInfer(message, metadata=metadata, compression=grpc.Compression.Gzip)
        assert refusal(compressed) == (code, text)
        for name, request in (
            ("RepositoryModelLoad", service_pb2.RepositoryModelLoadRequest(model_name="identity_fp32")),
            ("RepositoryModelUnload", service_pb2.RepositoryModelUnloadRequest(model_name="identity_fp32")),
            ("SystemSharedMemoryUnregister", service_pb2.SystemSharedMemoryUnregisterRequest()),
            ("RepositoryIndex", service_pb2.RepositoryIndexRequest()),
        ):
            assert refusal(lambda: getattr(stub, name)(request, metadata=metadata))[0] == grpc.StatusCode.PERMISSION_DENIED
        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live


def test_each_request_of_a_stream_is_checked(tokens):
    values = np.arange(4, dtype=np.float32)
    tensor = service_pb2.ModelInferRequest.InferInputTensor(name="INPUT0", datatype="FP32", shape=[4])
    requests = [
        service_pb2.ModelInferRequest(
            id=str(number), model_name=name, inputs=[tensor], raw_input_contents=[values.tobytes()]
        )
        for number, name in enumerate(("identity_fp32", "simple", "identity_fp32"))
    ]
    with grpc.insecure_channel(tokens.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        metadata = (("authorization", f"Bearer {TENANT}"),)
        answers = list(stub.ModelStreamInfer(iter(requests), metadata=metadata))
        assert [answer.error_message for answer in answers] == ["", "token 'tenant' has no role 'infer' for model 'simple'", ""]
        code, _ = refusal(lambda: list(stub.ModelStreamInfer(iter(requests))))
        assert code == grpc.StatusCode.UNAUTHENTICATED


def test_tokens_change_while_the_server_runs(tokens, folder, eventually):
    metadata = "/v2/models/simple"
    fresh = "fresh-0123456789abcdef"
    assert call(tokens, "GET", metadata, bearer(ADMIN))[0] == 200
    (folder / "new").write_text(fresh, encoding="ascii")
    os.replace(folder / "new", folder / "ops.token")
    eventually(lambda: call(tokens, "GET", metadata, bearer(fresh))[0] == 200, "the new token")
    assert call(tokens, "GET", metadata, bearer(ADMIN))[0] == 401
    (folder / "auth.toml").write_text("[[tokens]]\nname = 7\n", encoding="ascii")
    eventually(lambda: "the tokens that were read before still hold" in tokens.log(), "the fault")
    assert call(tokens, "GET", metadata, bearer(fresh))[0] == 200
    assert fresh not in tokens.log() and TENANT not in tokens.log()


COMMANDS = {
    "infer over HTTP": lambda server: ["infer", "identity_fp32", "--input=INPUT0=1,2,3", f"--url=127.0.0.1:{server.http_port}"],
    "infer over gRPC": lambda server: ["infer", "identity_fp32", "--input=INPUT0=1,2,3", f"--url=grpc://{server.grpc}"],
    "bench over HTTP": lambda server: [*BENCH, f"--url=127.0.0.1:{server.http_port}"],
    "bench over gRPC": lambda server: [*BENCH, f"--url=grpc://{server.grpc}"],
    "bench on streams": lambda server: [*BENCH, "--stream", f"--url=grpc://{server.grpc}"],
    "top": lambda server: ["top", f"127.0.0.1:{server.metrics_port}", "--count=1", "--interval=0.1"],
}
BENCH = ["bench", "identity_fp32", "--shape=INPUT0:4", "--requests=10", "--warm-up=0"]


def run(server, *flags, text=None):
    return subprocess.run([server.binary, *flags], input=text, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", COMMANDS)
def test_our_own_clients_send_a_token(tokens, folder, command):
    flags = COMMANDS[command](tokens)
    without = run(tokens, *flags)
    assert without.returncode != 0 and "token" in without.stderr, without
    (folder / "wrong").write_text("nobody-0123456789abcdef", encoding="ascii")
    wrong = run(tokens, *flags, f"--token-file={folder / 'wrong'}")
    assert wrong.returncode != 0 and "nobody-0123" not in wrong.stdout + wrong.stderr, wrong
    answered = run(tokens, *flags, f"--token-file={folder / 'ops.token'}")
    assert answered.returncode == 0 and "identity_fp32" in answered.stdout and "failed: " not in answered.stdout, answered
    assert run(tokens, *flags, "--token-file=-", text=ADMIN).returncode == 0
    assert run(tokens, *flags, f"--header=Authorization: Bearer {ADMIN}").returncode == 0


def test_our_own_clients_send_headers_of_restricted_categories(restricted):
    for url, names in (
        (f"127.0.0.1:{restricted.http_port}", ("first-http", "second-http")),
        (f"grpc://{restricted.grpc}", ("triton-grpc-protocol-first-grpc", "triton-grpc-protocol-second-grpc")),
    ):
        flags = [*BENCH[:1], "simple", *BENCH[3:], f"--url={url}"]
        refused = run(restricted, *flags)
        assert refused.returncode == 1 and "restricted" in refused.stderr, refused
        headers = [f"--header={names[0]}:one=1", f"--header={names[1]}: two"]
        answered = run(restricted, *flags, *headers)
        assert answered.returncode == 0 and "failed: " not in answered.stdout, answered


def test_a_faulty_file_is_an_error_at_start(repository, folder):
    (folder / "ops.token").write_text("short", encoding="ascii")
    server = started(repository, f"--auth-config={folder / 'auth.toml'}").launch()
    assert server.process.wait(30) == 1
    assert "token 'ops': expected a token of at least 16 bytes, got 5" in server.log()
    server.stop()


def test_every_other_protocol_of_the_ports_asks_for_a_token_too(tokens):
    """V1, reflection and the document of what is served."""
    for method, path in (
        ("GET", "/api/status"),
        ("GET", "/api/status/simple"),
        ("POST", "/api/infer/simple"),
        ("GET", "/api/repository/index"),
        ("POST", "/api/modelcontrol/load/simple"),
        ("GET", "/api/sharedmemorycontrol/status"),
    ):
        # V1 has a status of its own in a header.
        request = {"NV-InferRequest": "batch_size: 1"}
        status, headers, _ = call(tokens, method, path, request)
        assert status >= 400 and "this call needs a token" in headers["NV-Status"], path
        status, headers, _ = call(tokens, method, path, {**request, **bearer("x" * 20)})
        assert status >= 400 and "the token that was sent is not known" in headers["NV-Status"], path
        _, headers, _ = call(tokens, method, path, {**request, **bearer(ADMIN)})
        assert "token" not in headers["NV-Status"], path
    for method, path in (
        ("GET", "/v2/trace/setting"),
        ("POST", "/v2/trace/setting"),
        ("GET", "/v2/logging"),
        ("POST", "/v2/logging"),
        ("GET", "/v2/models/simple/trace/setting"),
    ):
        assert call(tokens, method, path)[0] == 401, path
        assert call(tokens, method, path, bearer(TENANT))[0] == 403, path
        assert call(tokens, method, path, bearer(ADMIN))[0] not in (401, 403), path
    for path in ("/v2/trace/setting", "/v2/logging"):
        assert call(tokens, "GET", path, bearer(WATCHER))[0] == 403, "its role is for one model"
    with grpc.insecure_channel(tokens.grpc) as channel:
        for name in ("Status", "Repository", "ModelControl", "SharedMemoryControl", "Infer"):
            # V1 has a status of its own in the message.
            answer = channel.unary_unary(f"/nvidia.inferenceserver.GRPCService/{name}")(b"")
            assert b"this call needs a token" in answer, name
        for path in (
            "/inference.GRPCInferenceService/NoSuchCall",
            "/no.such.Service/Call",
        ):
            code, _ = refusal(lambda: channel.unary_unary(path)(b""))
            assert code == grpc.StatusCode.UNAUTHENTICATED, path
        reflection = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        assert refusal(lambda: list(reflection(iter([b"\x3a\x00"]))))[0] == grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", f"Bearer {TENANT}"),)
        assert list(reflection(iter([b"\x3a\x00"]), metadata=metadata))
        logs = service_pb2.LogSettingsRequest()
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        watcher = (("authorization", f"Bearer {WATCHER}"),)
        assert refusal(lambda: stub.LogSettings(logs, metadata=watcher))[0] == grpc.StatusCode.PERMISSION_DENIED
        trace = service_pb2.TraceSettingRequest(model_name="simple")
        assert stub.TraceSetting(trace, metadata=watcher).settings
        trace.settings["trace_rate"].value.append("7")
        assert refusal(lambda: stub.TraceSetting(trace, metadata=watcher))[0] == grpc.StatusCode.PERMISSION_DENIED
