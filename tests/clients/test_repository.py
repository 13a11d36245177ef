"""Loading and unloading by the clients, with all overrides, while other models are served."""

import json

import grpc
import numpy as np
import pytest
from models import add_sub
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

A = np.arange(16, dtype=np.int32).reshape(1, 16)


def add(client, model, **options):
    """OUTPUT0 of a model like `simple`."""
    inputs = [client.input("INPUT0", A, "INT32"), client.input("INPUT1", A, "INT32")]
    return client.infer(model, inputs, **options).as_numpy("OUTPUT0")


def config_of(client, model):
    config = client.json("get_model_config", model)
    return config.get("config", config)


def state(client, model):
    index = client.json("get_model_repository_index")
    models = index if isinstance(index, list) else index.get("models", [])
    return {m.get("version", ""): m.get("state", "") for m in models if m["name"] == model}


@pytest.fixture
def unloading(client):
    """Puts the models of these tests back to where they were: not loaded, and none of them failed."""
    yield client
    for model in ("changing", "mlp_auto", "from_file", "nofile", "broken"):
        client.unload_model(model)


def test_load_and_unload(unloading):
    client = unloading
    assert not client.is_model_ready("changing")
    client.load_model("changing")
    assert client.is_model_ready("changing")
    assert state(client, "changing") == {"1": "READY", "3": "READY"}
    assert add(client, "changing").tolist() == (A + A).tolist()
    client.unload_model("changing")
    assert not client.is_model_ready("changing")
    with pytest.raises(InferenceServerException, match="'changing' has no available versions"):
        add(client, "changing")


def test_the_name_is_found_where_kserve_has_it(client_of, server):
    # KServe's messages for load and unload have the model's name in field 1, which is Triton's repository_name.
    client = client_of("grpc")
    message = service_pb2.RepositoryModelLoadRequest(repository_name="changing").SerializeToString()
    with grpc.insecure_channel(server.grpc) as channel:
        for call, ready in (("Load", True), ("Unload", False)):
            channel.unary_unary(f"/inference.GRPCInferenceService/RepositoryModel{call}")(message)
            assert client.is_model_ready("changing") is ready
        with pytest.raises(grpc.RpcError) as error:
            both = service_pb2.RepositoryModelLoadRequest(repository_name="a", model_name="changing")
            channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelLoad")(both.SerializeToString())
        assert error.value.details() == "'repository_name' specification is not supported"


def test_loading_twice_does_no_harm(unloading):
    unloading.load_model("changing")
    unloading.load_model("changing")
    assert add(unloading, "changing").tolist() == (A + A).tolist()


def test_unload_dependents_is_accepted(unloading):
    unloading.load_model("changing")
    unloading.unload_model("changing", unload_dependents=True)
    assert not unloading.is_model_ready("changing")


def test_a_config_override_stays_until_the_model_is_unloaded(unloading):
    client = unloading
    override = {"backend": "onnxruntime", "max_batch_size": 16}
    client.load_model("mlp_auto", config=json.dumps(override))
    assert config_of(client, "mlp_auto")["max_batch_size"] == 16
    client.load_model("mlp_auto")
    assert config_of(client, "mlp_auto")["max_batch_size"] == 16
    client.unload_model("mlp_auto")
    client.load_model("mlp_auto")
    assert config_of(client, "mlp_auto")["max_batch_size"] == 4


def test_what_a_client_sends_is_no_line_of_the_log(unloading, server):
    forged = "nosuch\n2026-01-01T00:00:00.000000Z  INFO forged\u2028\u202e.txt"
    output = {"name": "OUTPUT0", "data_type": "TYPE_INT32", "dims": [16], "label_filename": forged}
    inputs = [{"name": "INPUT0", "data_type": "TYPE_INT32", "dims": [16]}]
    config = {"backend": "identity", "max_batch_size": 8, "input": inputs, "output": [output]}
    with pytest.raises(InferenceServerException):
        unloading.load_model("from_file", config=json.dumps(config), files={"file:1/none": b"x"})
    assert r"nosuch\n2026-01-01T00:00:00.000000Z  INFO forged\u{2028}\u{202e}.txt" in server.log()
    assert not [line for line in server.log().splitlines() if line.startswith("2026-01-01T00:00:00.000000Z")]


def test_a_version_policy_by_override(unloading):
    client = unloading
    config = {"backend": "onnxruntime", "max_batch_size": 8}
    config["version_policy"] = {"specific": {"versions": [1]}}
    client.load_model("changing", config=json.dumps(config))
    assert client.is_model_ready("changing", "1")
    assert not client.is_model_ready("changing", "3")


def test_a_model_that_exists_only_in_the_request(unloading):
    client = unloading
    config = json.dumps({"backend": "onnxruntime", "max_batch_size": 8})
    client.load_model("from_file", config=config, files={"file:1/model.onnx": add_sub()})
    assert add(client, "from_file").tolist() == (A + A).tolist()
    client.unload_model("from_file")
    assert not client.is_model_ready("from_file")


@pytest.mark.parametrize(
    "model, options, text",
    [
        ("nobody", {}, "failed to load 'nobody', failed to poll from model repository"),
        ("badcfg", {}, "failed to load 'badcfg'"),
        ("nofile", {}, "load failed for model 'nofile'"),
        (
            "broken",
            {},
            "configuration expects datatype TYPE_FP32 for input 'INPUT0', model provides TYPE_INT32",
        ),
        ("mlp_auto", {"config": "{not json"}, "failed to load 'mlp_auto'"),
        ("mlp_auto", {"config": '{"nothing_known": 1}'}, "failed to load 'mlp_auto'"),
        (
            "from_file",
            {
                "config": '{"backend": "onnxruntime"}',
                "files": {"file:../../../x/model.onnx": b"x"},
            },
            "failed to load 'from_file'",
        ),
        (
            "from_file",
            {"config": '{"backend": "onnxruntime"}', "files": {"file:1/model.onnx": b"garbage"}},
            "load failed for model 'from_file'",
        ),
    ],
)
def test_what_cannot_be_loaded_says_why(unloading, model, options, text):
    client = unloading
    with pytest.raises(InferenceServerException) as error:
        client.load_model(model, **options)
    assert text in error.value.message()
    assert not client.is_model_ready(model)
    assert add(client, "simple").tolist() == (A + A).tolist()


def test_a_failed_load_leaves_what_was_serving(unloading):
    client = unloading
    client.load_model("mlp_auto")
    with pytest.raises(InferenceServerException):
        client.load_model("mlp_auto", config='{"max_batch_size": "many"}')
    assert client.is_model_ready("mlp_auto")
    assert config_of(client, "mlp_auto")["max_batch_size"] == 4


def test_files_want_a_config(unloading):
    client = unloading
    with pytest.raises(InferenceServerException):
        client.load_model("from_file", files={"file:1/model.onnx": add_sub()})


def test_unloading_what_is_not_there_succeeds(client):
    client.unload_model("nobody")


def test_other_models_are_served_while_one_is_loaded(client_of):
    """Loads and unloads one model over and over while another answers without an error."""
    busy, changing = client_of("grpc"), client_of("http")
    for _ in range(10):
        changing.load_model("changing")
        assert add(busy, "simple").tolist() == (A + A).tolist()
        changing.unload_model("changing")
        assert add(busy, "simple").tolist() == (A + A).tolist()
