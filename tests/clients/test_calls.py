"""Every call of the clients that asks about the server or a model."""

import pytest
from tritonclient.utils import InferenceServerException

EXTENSIONS = {
    "classification",
    "model_repository",
    "model_repository(unload_dependents)",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
}


def test_server_is_live_and_ready(client):
    assert client.is_server_live() is True
    assert client.is_server_ready() is True


@pytest.mark.parametrize(
    "model, version, ready",
    [
        ("simple", "", True),
        ("simple", "1", True),
        ("simple", "9", False),
        ("simple_v2", "3", True),
        ("mlp_auto", "", False),
        ("nobody", "", False),
    ],
)
def test_model_is_ready(client, model, version, ready):
    assert client.is_model_ready(model, version) is ready


def test_server_metadata(client):
    metadata = client.json("get_server_metadata")
    assert metadata["name"] and metadata["version"]
    assert EXTENSIONS <= set(metadata["extensions"])


def numbers(values):
    """64-bit numbers are strings in JSON made of protobuf."""
    return [int(value) for value in values]


def test_model_metadata(client):
    metadata = client.json("get_model_metadata", "simple")
    assert metadata["name"] == "simple"
    assert metadata["versions"] == ["1"]
    assert metadata["platform"] == "onnxruntime_onnx"
    tensors = metadata["inputs"] + metadata["outputs"]
    assert [t["name"] for t in tensors] == ["INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1"]
    assert all(t["datatype"] == "INT32" and numbers(t["shape"]) == [-1, 16] for t in tensors)


def test_model_metadata_of_one_version(client):
    assert client.json("get_model_metadata", "simple_v2")["versions"] == ["1", "3"]
    assert client.json("get_model_metadata", "simple_v2", "3")["versions"] == ["3"]


def test_model_config(client):
    config = client.json("get_model_config", "identity_batch")
    config = config.get("config", config)
    assert config["name"] == "identity_batch"
    assert config["backend"] == "identity"
    assert config["max_batch_size"] == 4
    assert numbers(config["input"][0]["dims"]) == [2]
    assert int(config["dynamic_batching"]["max_queue_delay_microseconds"]) == 100
    assert config["instance_group"][0]["kind"] == "KIND_CPU"


def test_model_config_is_completed_from_the_onnx_file(client):
    config = client.json("get_model_config", "onnx_fp32")
    config = config.get("config", config)
    (tensor,) = config["input"]
    assert (tensor["name"], tensor["data_type"]) == ("INPUT", "TYPE_FP32")
    assert numbers(tensor["dims"]) == [-1]
    assert config["max_batch_size"] > 0
    assert config["platform"] == "onnxruntime_onnx"
    assert "dynamic_batching" in config


def test_statistics_of_one_model_and_of_all(client):
    one = client.json("get_inference_statistics", "simple")["model_stats"]
    assert [(entry["name"], entry["version"]) for entry in one] == [("simple", "1")]
    both = client.json("get_inference_statistics", "simple_v2")["model_stats"]
    assert sorted(entry["version"] for entry in both) == ["1", "3"]
    everything = client.json("get_inference_statistics")["model_stats"]
    assert {"simple", "identity_fp32"} <= {entry["name"] for entry in everything}


def test_repository_index(client):
    index = client.json("get_model_repository_index")
    models = index if isinstance(index, list) else index["models"]
    states = {(m["name"], m.get("version", "")): m.get("state", "") for m in models}
    assert states["simple", "1"] == "READY"
    assert states["simple_v2", "1"] == states["simple_v2", "3"] == "READY"
    assert states["badcfg", ""] == ""


@pytest.mark.parametrize(
    "call, arguments, text",
    [
        ("get_model_metadata", ["nobody"], "Request for unknown model: 'nobody' is not found"),
        ("get_model_config", ["nobody"], "Request for unknown model: 'nobody' is not found"),
        (
            "get_model_metadata",
            ["simple", "9"],
            "Request for unknown model: 'simple' version 9 is not found",
        ),
        ("get_inference_statistics", ["nobody"], "requested model 'nobody' is not available"),
        (
            "get_inference_statistics",
            ["simple", "9"],
            "requested model version is not available for model 'simple'",
        ),
    ],
)
def test_unknown_models_are_named(client, call, arguments, text):
    with pytest.raises(InferenceServerException) as error:
        getattr(client, call)(*arguments)
    assert error.value.message() == text


@pytest.mark.parametrize("kind", ["grpc", "grpc.aio"])
@pytest.mark.parametrize("letter", ["e", "ü", "の", "\n"])
def test_a_long_text_of_an_error_is_cut_so_that_it_arrives(client_of, kind, letter):
    client = client_of(kind)
    # gRPC's library drops headers that are too long by chance.
    for _ in range(20):
        with pytest.raises(InferenceServerException) as error:
            client.get_model_metadata(letter * 20_000)
        assert error.value.status() == "StatusCode.NOT_FOUND"
        assert error.value.message().startswith(f"Request for unknown model: '{letter * 400}")
        assert error.value.message().endswith(f"{letter}...")


def test_many_clients_at_once(client_of):
    for _ in range(10):
        for kind in ("http", "grpc"):
            assert client_of(kind).is_server_live()
