"""What has to be built before anything is measured: models, Triton's backends, the bare echo and its answers.

A packed folder brings it along in `built/`, so that neither a compiler nor the packages of the tests are needed there.
"""

import json
import os
import shutil
import socket
import subprocess
import sys

from server_process import LIBRARY, ServerProcess

from .. import ROOT
from ..compare import repository
from ..compare import servers as compared
from .rows import ROWS

HERE = os.path.dirname(os.path.abspath(__file__))
PACKED = os.path.join(ROOT, "built")
MODELS = ("identity", "simple", "mlp")
SERVICE = "inference.GRPCInferenceService"
SIZES = {"FP32": 4, "INT32": 4}


class Built:
    """The places of what was built. `folder` has the layout of `built/`."""

    def __init__(self, folder):
        self.folder = folder
        self.echo = os.path.join(folder, "echo")
        self.backends = os.path.join(folder, "backends")

    def repository(self, target, model):
        """A model repository with this model alone."""
        shutil.copytree(os.path.join(self.folder, "models", model), os.path.join(target, model))

    def answers(self, row):
        return os.path.join(self.folder, "answers", row.key)


def compiler():
    found = shutil.which("cc") or shutil.which("gcc")
    if not found:
        sys.exit("bench: a C compiler is needed")
    return found


def build_echo(target):
    sources = [os.path.join(HERE, name) for name in ("echo.c", "echo_http2.c", "echo_hpack.c")]
    command = [compiler(), "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-pthread"]
    subprocess.run([*command, *sources, "-o", target], check=True)


def build_backends(target):
    """Triton's identity and onnxruntime in C. The latter loads the library beside it."""
    for name, library in (("identity", None), ("onnxruntime", LIBRARY)):
        home = os.path.join(target, name)
        os.makedirs(home)
        command = [compiler(), "-std=c11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC"]
        command += [os.path.join(compared.HERE, f"{name}.c")]
        if library:
            soname = os.path.join(home, os.path.basename(library) + ".1")
            os.symlink(library, soname)
            command += [soname, "-Wl,-rpath,$ORIGIN"]
        subprocess.run([*command, "-o", os.path.join(home, f"libtriton_{name}.so")], check=True)


def zeros(row):
    """The data of each input."""
    for name, kind, dims in row.inputs:
        size = SIZES[kind]
        for dim in dims:
            size *= dim
        yield name, kind, dims, bytes(size)


def http_requests(row):
    """(path, bytes): what perf_analyzer asks for."""
    model = f"/v2/models/{row.model}"
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", model, f"{model}/config", f"{model}/stats"):
        yield path, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    tensors = list(zeros(row))
    inputs = [
        {"name": name, "shape": dims, "datatype": kind, "parameters": {"binary_data_size": len(data)}}
        for name, kind, dims, data in tensors
    ]
    outputs = [{"name": name, "parameters": {"binary_data": True}} for name in row.outputs]
    head = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    body = head + b"".join(data for *_, data in tensors)
    lines = f"POST {model}/infer HTTP/1.1\r\nHost: localhost\r\nInference-Header-Content-Length: {len(head)}\r\n"
    yield f"{model}/infer", lines.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def exchange(port, request):
    """The bytes of one answer over HTTP."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        got = bytearray()
        while b"\r\n\r\n" not in got:
            got += connection.recv(1 << 20)
        head, _, body = bytes(got).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"bench: the server says {head!r}")
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        rest = bytearray(body)
        while len(rest) < int(fields[b"content-length"]):
            rest += connection.recv(1 << 20)
    return head + b"\r\n\r\n" + bytes(rest)


def grpc_requests(row):
    """(path, message)"""
    from tritonclient.grpc import service_pb2 as pb

    named = {"name": row.model}
    request = pb.ModelInferRequest(model_name=row.model)
    for name, kind, dims, data in zeros(row):
        request.inputs.add(name=name, datatype=kind, shape=dims)
        request.raw_input_contents.append(data)
    for name in row.outputs:
        request.outputs.add(name=name)
    messages = {
        "ServerLive": pb.ServerLiveRequest(),
        "ServerReady": pb.ServerReadyRequest(),
        "ServerMetadata": pb.ServerMetadataRequest(),
        "ModelReady": pb.ModelReadyRequest(**named),
        "ModelMetadata": pb.ModelMetadataRequest(**named),
        "ModelConfig": pb.ModelConfigRequest(**named),
        "ModelStatistics": pb.ModelStatisticsRequest(**named),
        "ModelInfer": request,
    }
    return {f"/{SERVICE}/{call}": message.SerializeToString() for call, message in messages.items()}.items()


def save(folder, path, content):
    """An echo has no statistics, and does not tell of any: perf_analyzer would have them grow."""
    if path in ("/v2", f"/{SERVICE}/ServerMetadata"):
        content = content.replace(b"statistics", b"no_numbers")
    with open(os.path.join(folder, path.replace("/", "+")), "wb") as f:
        f.write(content)


def record(built, row, target, binary, work):
    """The answers of this server to all that perf_analyzer asks of it for this row."""
    import grpc

    models = os.path.join(work, "recorded")
    built.repository(models, row.model)
    for protocol in ("http", "grpc"):
        os.makedirs(os.path.join(target, protocol))
    with ServerProcess(models, binary=binary) as server:
        for path, request in http_requests(row):
            save(os.path.join(target, "http"), path, exchange(server.http_port, request))
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(server.grpc, limits) as channel:
            for path, request in grpc_requests(row):
                answer = channel.unary_unary(path)(request)
                save(os.path.join(target, "grpc"), path, b"\0" + len(answer).to_bytes(4, "big") + answer)
    shutil.rmtree(models)


def build(folder, binary, work, triton=True):
    """All of it, into a new folder. What a packed folder has is taken as it is."""
    if os.path.isdir(PACKED):
        return Built(PACKED)
    sys.path.insert(0, repository.PACKAGES)
    built = Built(folder)
    os.makedirs(folder)
    for model in MODELS:
        repository.write(os.path.join(folder, "models"), model, "identity")
    build_echo(built.echo)
    if triton:
        build_backends(built.backends)
    for row in ROWS:
        record(built, row, built.answers(row), binary, work)
    return built
