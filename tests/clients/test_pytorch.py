"""TorchScript models of several kinds give what PyTorch's own Python gives, bit for bit, over HTTP and gRPC."""

import http.client
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest
from conftest import ROOT, TESTS, Client
from models import make_with
from PIL import Image
from server_process import ServerProcess

MAKER = os.path.join(TESTS, "torch")
PACKAGES = os.path.join(ROOT, ".cache", "python", "torch")
LIBRARY = os.path.join(ROOT, ".cache", "torch", "lib", "libtorch_cpu.so")
PICTURE = os.path.join(TESTS, "references", "images", "astronaut.png")
TORCHSERVE_PORTS = ["inference", "management", "metrics", "grpc-inference", "grpc-management"]
MODELS = [
    "addsub",
    "algebra",
    "arguments",
    "attention",
    "bits",
    "cells",
    "collatz",
    "complexwithin",
    "convnet",
    "counter",
    "deepresults",
    "dictin",
    "dictout",
    "dynamiclstm",
    "dynamicshapes",
    "empty",
    "encoder",
    "frozen",
    "frozenexport",
    "grustates",
    "halfconvolution",
    "halves",
    "inplace",
    "keeps",
    "keptattributes",
    "kindsofconvolution",
    "language",
    "layouts",
    "lightfile",
    "listout",
    "lstm",
    "maybe",
    "named",
    "numbers",
    "onednn",
    "packed",
    "quantized",
    "quantizedembedding",
    "recurrent",
    "sameinput",
    "sampled",
    "samplers",
    "seeded",
    "silero_vad",
    "smallintegers",
    "sparsewithin",
    "spectrum",
    "staticquantized",
    "stringrows",
    "strings",
    "textout",
    "traceddict",
    "tracedsizes",
    "transformer",
    "types",
    "views",
    "words",
]
# The order of their requests counts.
STATEFUL = ["counter", "keeps", "silero_vad"]
DATA_TYPES = {
    "float32": "FP32",
    "float64": "FP64",
    "float16": "FP16",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "bool": "BOOL",
    "object": "BYTES",
    # NumPy knows them by their bits only.
    "uint16": "BF16",
}


def make(script, *arguments):
    make_with(PACKAGES, os.path.join(MAKER, script), *arguments)


def start(folder, *flags, **named):
    variables = {"HIPPOCAMP_PYTORCH_LIBRARY": LIBRARY}
    return ServerProcess(folder, flags=flags, variables=variables, timeout=120, **named)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("torch"))
    make("make_models.py", folder)
    return folder


@pytest.fixture(scope="module")
def served(made):
    with start(os.path.join(made, "models"), "--model-control-mode=explicit", "--load-model=*") as server:
        yield server
        assert server.alive(), server.log()[-4000:]


@pytest.fixture(params=["http", "grpc"])
def client(request, served):
    client = Client(request.param, served)
    yield client
    client.close()


def tensor(client, name, array):
    data_type = DATA_TYPES[array.dtype.name]
    if data_type == "BF16":
        array = array.view(ml_dtypes.bfloat16)
    return client.input(name, array, data_type)


def ask(client, model, inputs):
    """The outputs of a request by name."""
    # A row that is one string has a dimension to clients.
    rows = {name: array.reshape(-1, 1) if model == "stringrows" else array for name, array in inputs.items()}
    result = client.infer(model, [tensor(client, name, array) for name, array in rows.items()])
    response = result.get_response()
    outputs = response["outputs"] if isinstance(response, dict) else response.outputs
    names = [output["name"] if isinstance(output, dict) else output.name for output in outputs]
    return {name: result.as_numpy(name) for name in names}


def cases(made, model):
    """(inputs, outputs) of each recorded request, in their order."""
    recorded = np.load(os.path.join(made, "cases", f"{model}.npz"), allow_pickle=True)
    requests = {}
    for key in recorded.files:
        index, side, name = key.split("/")
        requests.setdefault(int(index), ({}, {}))[side == "o"][name] = recorded[key]
    return [requests[index] for index in sorted(requests)]


def assert_equal(outputs, expected):
    assert sorted(outputs) == sorted(expected)
    for name, array in expected.items():
        got = outputs[name]
        # A scalar, and a string of each row, is a tensor of one element to clients.
        assert got.shape in (array.shape, (*array.shape, 1)), (name, got.shape, array.shape)
        if array.dtype.kind in "OS":
            assert [bytes(v) for v in got.flat] == [bytes(v) for v in array.flat], name
        elif array.dtype == np.uint16:
            assert got.dtype == ml_dtypes.bfloat16 and got.tobytes() == array.tobytes(), name
        else:
            assert got.dtype == array.dtype and got.tobytes() == array.tobytes(), name


def reload(client, model):
    """The server begins with what the file has."""
    client.unload_model(model)
    client.load_model(model)


def test_every_model_is_asked(made):
    assert sorted(os.listdir(os.path.join(made, "models"))) == MODELS


@pytest.mark.parametrize("model", MODELS)
def test_equals_pytorch_bit_for_bit(made, client, model):
    if model in STATEFUL:
        reload(client, model)
    # Again, when the executor has seen what it optimizes for.
    for _ in range(1 if model in STATEFUL else 3):
        for inputs, expected in cases(made, model):
            assert_equal(ask(client, model, inputs), expected)


def test_training_mode_is_told_where_it_changes_something(served):
    """Layers that were quantized or fused are marked as training, too, but nothing asks them."""
    log = re.sub(r"\x1b\[[0-9;]*m", "", served.log())
    told = set(re.findall(r'it was saved in training mode: .* model="?(\w+)', log))
    assert told == {"counter"}


def test_requests_at_the_same_time_get_their_own_rows(served):
    client = Client("grpc", served)

    def sums(number):
        a, b = (np.full((1, 16), value, np.int32) for value in (number, 1000 + number))
        return ask(client, "addsub", {"INPUT__0": a, "INPUT__1": b})

    with ThreadPoolExecutor(8) as pool:
        for number, outputs in enumerate(pool.map(sums, range(200))):
            assert (outputs["OUTPUT__0"] == 1000 + 2 * number).all() and outputs["OUTPUT__0"].shape == (1, 16)
    client.close()


def failure(client, model, inputs):
    with pytest.raises(Exception) as failed:
        ask(client, model, inputs)
    return failed.value


def test_what_a_model_cannot_do_fails_with_its_own_text(client):
    arrays = {"left": np.ones((2, 5), np.float32), "right": np.ones((5, 3), np.float32)}
    assert ask(client, "arguments", arrays)["product"].shape == (2, 3)
    error = failure(client, "encoder", {"tokens": np.full((1, 4), 500), "mask": np.zeros((1, 4), bool)})
    assert "model 'encoder': PyTorch execute failure: RuntimeError: index out of range in self" in error.message()
    assert "\n" not in error.message()
    assert error.status() in ("500", "StatusCode.INTERNAL")
    # Nothing else is disturbed.
    assert ask(client, "encoder", {"tokens": np.full((1, 4), 499), "mask": np.zeros((1, 4), bool)})


def archive(folder, model, handler, *extra):
    """A .mar as TorchServe's own archiver makes it."""
    command = [sys.executable, "-m", "model_archiver.model_packaging", "--model-name", "classifier", "--version", "1.0"]
    command += ["--serialized-file", model, "--handler", handler, "--export-path", folder]
    subprocess.run([*command, *(["--extra-files", ",".join(extra)] if extra else [])], check=True)


def picture_as_tensor(path):
    """As TorchServe's image_classifier prepares it: the shorter side to 256, the middle, and ImageNet's mean and deviation."""
    picture = Image.open(path).convert("RGB")
    scale = 256 / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    picture = picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
    values = (np.asarray(picture, np.float32) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return values.transpose(2, 0, 1)[None].astype(np.float32)


def test_an_archive_of_a_classifier_names_the_classes_of_a_picture(made, tmp_path):
    names = tmp_path / "index_to_name.json"
    names.write_text(json.dumps({str(index): f"class-{index}" for index in range(10)}))
    store = tmp_path / "store"
    store.mkdir()
    archive(store, os.path.join(made, "classifier.pt"), "image_classifier", str(names))
    with open(PICTURE, "rb") as f:
        picture = f.read()
    flags = ["--allow-torchserve", *(f"--ts-{port}-port=0" for port in TORCHSERVE_PORTS)]
    with start(store, *flags) as server:
        (port,) = re.findall(r"TorchServe inference on [\d.]+:(\d+)", server.log())
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        connection.request("PUT", "/predictions/classifier", picture)
        classes = json.loads(connection.getresponse().read())
        connection.close()
        # The network alone, with the picture as Pillow prepares it.
        client = Client("http", server)
        logits = ask(client, "classifier-network", {"INPUT__0": picture_as_tensor(PICTURE)})["OUTPUT__0"][0]
        client.close()
    expected = np.exp(logits - logits.max())
    expected /= expected.sum()
    best = expected.argsort()[::-1][:5]
    assert list(classes) == [f"class-{index}" for index in best]
    assert np.allclose(list(classes.values()), expected[best], atol=2e-3)


def test_an_archive_of_tensors_has_its_config_within(made, tmp_path):
    config = tmp_path / "config.pbtxt"
    with open(os.path.join(made, "models", "addsub", "config.pbtxt"), encoding="utf-8") as f:
        config.write_text(f.read())
    store = tmp_path / "store"
    store.mkdir()
    archive(store, os.path.join(made, "models", "addsub", "1", "model.pt"), "base_handler", str(config))
    with start(store) as server:
        client = Client("http", server)
        for inputs, expected in cases(made, "addsub")[:1]:
            assert_equal(ask(client, "classifier", inputs), expected)
        client.close()


def test_a_server_without_the_library_says_where_to_get_it(made):
    variables = {"HIPPOCAMP_PYTORCH_LIBRARY": "/nowhere/libtorch_cpu.so"}
    flags = ["--model-control-mode=explicit", "--load-model=addsub", "--exit-on-error=false", "--strict-readiness=false"]
    with ServerProcess(os.path.join(made, "models"), flags=flags, variables=variables) as server:
        log = server.log()
        assert "PyTorch cannot be loaded from '/nowhere/libtorch_cpu.so'" in log, log
        assert "scripts/fetch torch and scripts/torch-shim" in log
