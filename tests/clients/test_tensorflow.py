"""TensorFlow models of several kinds give what TensorFlow's own Python gives, bit for bit, over HTTP and gRPC."""

import http.client
import os
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest
from conftest import ROOT, TESTS, Client
from models import make_with
from server_process import ServerProcess

MAKER = os.path.join(TESTS, "tensorflow")
PACKAGES = os.path.join(ROOT, ".cache", "python", "tensorflow")
LIBRARY = os.path.join(ROOT, ".cache", "tensorflow", "lib", "libtensorflow_cc.so.2")
MODELS = [
    "any_rank",
    "as_text",
    "attention",
    "branches",
    "captured",
    "cases_of_three",
    "complex_numbers",
    "convolution_nchw",
    "convolution_nhwc",
    "convolutions_of_all_kinds",
    "decompositions",
    "dense",
    "dense_twice",
    "depthwise",
    "detection-preprocess",
    "detection-preprocess-320",
    "drawn",
    "drawn_by_seed",
    "eight_bits",
    "example_records",
    "faked_quantization",
    "halves",
    "initialised_tables",
    "integers",
    "kept",
    "keras_attention",
    "keras_classifier",
    "keras_columns",
    "keras_convolutions",
    "keras_recurrent",
    "labels_of_frames",
    "lists",
    "nested_functions",
    "nothing",
    "of_tensorflow_1",
    "old_loops",
    "passed_through",
    "perceptron",
    "pictures_of_many",
    "pieces_of_pictures",
    "pipeline",
    "ragged_rows",
    "recurrence",
    "scalars",
    "scattered",
    "several_ids",
    "several_nothing",
    "small_integers",
    "solved",
    "sound",
    "sparse_rows",
    "spectrum",
    "tagged",
    "text_shop",
    "texts_to_numbers",
    "tops",
    "training_flag",
    "types",
    "vocabulary",
    "words",
]
# The order of their requests counts.
STATEFUL = ["kept"]
DATA_TYPES = {
    "float32": "FP32",
    "float64": "FP64",
    "float16": "FP16",
    "int8": "INT8",
    "int16": "INT16",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    # NumPy keeps them as bytes without a type.
    "void16": "BF16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "bool": "BOOL",
    "object": "BYTES",
}


def make(script, *arguments):
    make_with(PACKAGES, os.path.join(MAKER, script), *arguments)


def start(folder, *flags, **named):
    variables = {"HIPPOCAMP_TENSORFLOW_LIBRARY": LIBRARY}
    return ServerProcess(folder, flags=flags, variables=variables, timeout=120, **named)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("tensorflow"))
    make("make_models.py", folder)
    return folder


@pytest.fixture(scope="module")
def served(made):
    # The tutorial's config wants four GPUs, which TensorFlow takes for a wish.
    with start(os.path.join(made, "models"), "--model-control-mode=explicit", "--load-model=*") as server:
        assert "instance group 'detection-preprocess_0' runs on the CPU" in server.log()
        yield server
        assert server.alive(), server.log()[-4000:]


@pytest.fixture(params=["http", "grpc"])
def ask(request, served):
    """ask(model, inputs): the outputs of a request by name."""
    client = Client(request.param, served)

    def infer(model, inputs):
        tensors = []
        for name, array in inputs.items():
            # A scalar is a tensor of one element to clients.
            array = np.array(array).reshape(1) if np.ndim(array) == 0 else array
            data_type = DATA_TYPES[array.dtype.name]
            array = array.view(ml_dtypes.bfloat16) if data_type == "BF16" else array
            tensors.append(client.input(name, array, data_type))
        result = client.infer(model, tensors)
        response = result.get_response()
        names = [output["name"] if isinstance(output, dict) else output.name for output in response_outputs(response)]
        return {name: result.as_numpy(name) for name in names}

    infer.client = client
    yield infer
    client.close()


def response_outputs(response):
    return response["outputs"] if isinstance(response, dict) else response.outputs


def cases(made, model):
    """(inputs, outputs) of each recorded request."""
    recorded = np.load(os.path.join(made, "cases", f"{model}.npz"), allow_pickle=True)
    requests = {}
    for key in recorded.files:
        index, side, name = key.split("/", 2)
        requests.setdefault(int(index), ({}, {}))[side == "o"][name] = recorded[key]
    return [requests[index] for index in sorted(requests)]


def test_every_model_is_asked(made):
    assert sorted(os.listdir(os.path.join(made, "models"))) == MODELS


@pytest.mark.parametrize("model", MODELS)
def test_equals_tensorflow_bit_for_bit(made, ask, model):
    if model in STATEFUL:
        # It begins with what the file has.
        ask.client.unload_model(model)
        ask.client.load_model(model)
    for inputs, expected in cases(made, model):
        outputs = ask(model, inputs)
        assert sorted(outputs) == sorted(expected)
        for name, array in expected.items():
            got = outputs[name]
            # A scalar, one of each row too, is a tensor of one element to clients.
            assert got.shape in (array.shape, (*array.shape, 1)), name
            if array.dtype.kind in "OS":
                assert [bytes(v) for v in got.flat] == [bytes(v) for v in array.flat], name
            else:
                dtype = ml_dtypes.bfloat16 if array.dtype.kind == "V" else array.dtype
                assert got.dtype == dtype and got.tobytes() == array.tobytes(), (name, got, array)


def test_requests_at_the_same_time_get_their_own_rows(served):
    client = Client("grpc", served)

    def sum_of(number):
        a, b = (np.full((1, 4), value, np.int32) for value in (number, 1000 + number))
        result = client.infer("integers", [client.input("a", a, "INT32"), client.input("b", b, "INT32")])
        return result.as_numpy("sum")

    with ThreadPoolExecutor(8) as pool:
        for number, answer in enumerate(pool.map(sum_of, range(200))):
            assert (answer == 1000 + 2 * number).all() and answer.shape == (1, 4)
    client.close()


def test_what_is_no_picture_fails_with_the_text_of_the_graph(served):
    client = Client("http", served)
    raw = np.array([b"no picture"], dtype=object)
    with pytest.raises(Exception) as failure:
        client.infer("detection-preprocess", [client.input("raw_image", raw, "BYTES")])
    assert failure.value.status() == "400"
    text = failure.value.message()
    assert text.startswith("model 'detection-preprocess': Unknown image file format.") and "DecodeImage" in text
    client.close()


def test_the_tutorials_gpus_are_refused_without_soft_placement(made):
    flags = ["--model-control-mode=explicit", "--load-model=detection-preprocess", "--exit-on-error=false"]
    flags += ["--backend-config=tensorflow,allow-soft-placement=false", "--strict-readiness=false"]
    with start(os.path.join(made, "models"), *flags) as server:
        connection = http.client.HTTPConnection(server.http, timeout=60)
        connection.request("POST", "/v2/repository/index", "{}")
        index = connection.getresponse().read().decode()
        connection.close()
        assert "UNAVAILABLE" in index and "KIND_GPU" in index, index
        assert "--cpu-fallback" in server.log()


def test_a_server_without_the_library_says_where_to_get_it(made):
    variables = {"HIPPOCAMP_TENSORFLOW_LIBRARY": "/nowhere/libtensorflow_cc.so.2"}
    flags = ["--model-control-mode=explicit", "--load-model=dense", "--exit-on-error=false", "--strict-readiness=false"]
    with ServerProcess(os.path.join(made, "models"), flags=flags, variables=variables) as server:
        log = server.log()
        assert "TensorFlow cannot be loaded from '/nowhere/libtensorflow_cc.so.2'" in log, log
        assert "scripts/fetch tensorflow" in log
