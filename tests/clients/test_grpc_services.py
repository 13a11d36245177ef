"""The services of gRPC beside inference: reflection by two clients that have no .proto file, and health with Watch."""

import json
import os
import platform
import queue
import subprocess
import threading

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from server_process import ROOT, ServerProcess

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
INFERENCE = "inference.GRPCInferenceService"


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


def test_reflection_describes_every_service_to_python(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    assert {
        INFERENCE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    } <= services
    pool = DescriptorPool(database)
    for service in services:
        for method in pool.FindServiceByName(service).methods:
            assert method.input_type.full_name and method.output_type.full_name
    # A call with messages that only reflection has told of.
    request = GetMessageClass(pool.FindMessageTypeByName("inference.ModelMetadataRequest"))(name="simple")
    response = GetMessageClass(pool.FindMessageTypeByName("inference.ModelMetadataResponse"))
    call = channel.unary_unary(
        f"/{INFERENCE}/ModelMetadata",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=response.FromString,
    )
    assert [tensor.name for tensor in call(request).inputs] == ["INPUT0", "INPUT1"]
    with pytest.raises(KeyError):
        pool.FindMessageTypeByName("inference.Nobody")


def grpcurl(server, *arguments, data=None):
    program = os.path.join(ROOT, ".cache", "grpcurl", "grpcurl")
    options = ["-plaintext"] + (["-d", "@"] if data else [])
    text = json.dumps(data) if data else None
    ran = subprocess.run(
        [program, *options, server.grpc, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the package has grpcurl for x86_64 only")
def test_grpcurl_needs_no_proto(server):
    assert INFERENCE in grpcurl(server, "list").split()
    assert f"{INFERENCE}.ModelInfer" in grpcurl(server, "list", INFERENCE).split()
    assert "rpc ModelStreamInfer ( stream" in grpcurl(server, "describe", INFERENCE)
    assert "raw_input_contents" in grpcurl(server, "describe", "inference.ModelInferRequest")
    values = list(range(16))
    tensor = {"datatype": "INT32", "shape": [1, 16], "contents": {"int_contents": values}}
    request = {
        "model_name": "simple",
        "inputs": [{"name": "INPUT0", **tensor}, {"name": "INPUT1", **tensor}],
        "outputs": [{"name": "OUTPUT0"}],
    }
    reply = json.loads(grpcurl(server, f"{INFERENCE}/ModelInfer", data=request))
    assert reply["modelName"] == "simple" and reply["outputs"][0]["name"] == "OUTPUT0"
    assert json.loads(grpcurl(server, "grpc.health.v1.Health/Check")) == {"status": "SERVING"}


def test_reflection_can_be_switched_off(repository):
    flags = ["--model-control-mode=explicit", "--grpc-reflection=false"]
    with ServerProcess(repository[0], flags=flags) as process, grpc.insecure_channel(process.grpc) as channel:
        with pytest.raises(grpc.RpcError) as error:
            ProtoReflectionDescriptorDatabase(channel).get_services()
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def check(stub, service):
    return stub.Check(health_pb2.HealthCheckRequest(service=service)).status


def test_health_of_the_server_and_of_models(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    assert check(stub, "") == SERVING
    assert check(stub, INFERENCE) == SERVING
    assert check(stub, "simple") == SERVING
    # As Triton answers for whatever it does not know.
    assert check(stub, "nobody") == SERVING


class Watched:
    """The states that a watch tells of, in their order."""

    def __init__(self, stub, service):
        self.call = stub.Watch(health_pb2.HealthCheckRequest(service=service))
        self.states = queue.Queue()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            for reply in self.call:
                self.states.put(reply.status)
            self.states.put("end")
        except grpc.RpcError as error:
            self.states.put(error.code())

    def next(self):
        return self.states.get(timeout=10)


def test_watch_tells_of_models_and_of_the_end(repository, client_of):
    flags = ["--model-control-mode=explicit", "--load-model=simple"]
    with ServerProcess(repository[0], flags=flags) as process, grpc.insecure_channel(process.grpc) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        server, model, gone = (Watched(stub, service) for service in ("", "simple", "simple"))
        assert [watched.next() for watched in (server, model, gone)] == [SERVING] * 3
        gone.call.cancel()
        assert gone.next() == grpc.StatusCode.CANCELLED
        client = client_of("grpc", of=process)
        client.unload_model("simple")
        assert model.next() == NOT_SERVING
        assert check(stub, "simple") == NOT_SERVING
        client.load_model("simple")
        assert model.next() == SERVING
        # Only what changes is told, and a watch does not hold up the end of the server.
        assert server.states.empty()
        assert process.stop() == 0
        for watched in (server, model):
            assert watched.next() == NOT_SERVING
            assert watched.next() == "end"
