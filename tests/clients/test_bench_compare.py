"""`hippocamp bench --compare` on real engines: an exact pair, a pair that differs where it is known to, and TensorFlow against ONNX."""

import json
import subprocess

import numpy as np
import pytest
from models import write_model
from onnx import TensorProto, helper, numpy_helper
from server_process import BINARY, ServerProcess

FLOATS = TensorProto.FLOAT


def model(offset, names=("x", "y", "label")):
    """y = x + offset, and label = the place of the largest of y."""
    x, y, label = names
    values = [helper.make_tensor_value_info(x, FLOATS, ["N", 4]), helper.make_tensor_value_info(y, FLOATS, ["N", 4])]
    labels = helper.make_tensor_value_info(label, TensorProto.INT64, ["N", 1])
    weights = [numpy_helper.from_array(np.array(offset, np.float32), "offset")]
    nodes = [
        helper.make_node("Add", [x, "offset"], [y]),
        helper.make_node("ArgMax", [y], [label], axis=1, keepdims=1),
    ]
    graph = helper.make_graph(nodes, "offset", values[:1], [values[1], labels], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    config = 'platform: "onnxruntime_onnx"\nmax_batch_size: 8\n'
    write_model(folder, "a", config, model([0, 0, 0, 0]))
    write_model(folder, "same", config, model([0, 0, 0, 0]))
    write_model(folder, "renamed", config, model([0, 0, 0, 0], ("input", "output", "class")))
    write_model(folder, "off", config, model([0, 0, 0.25, 1000]))
    with ServerProcess(folder) as process:
        yield process


def compare(server, tmp_path, *arguments, status=0):
    file = tmp_path / "result.json"
    where = ["--url", f"http://{server.http}", "--requests", "20", "--rounds", "2", "--warm-up", "0", "--json", str(file)]
    done = subprocess.run([BINARY, "bench", *arguments, *where], capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(file.read_text()), done.stdout


def test_models_that_agree(server, tmp_path):
    for other, matched in (("same", "name"), ("renamed", "position")):
        result, text = compare(server, tmp_path, "--compare", f"a,{other}", "--tolerance", "0", "-c", "1,2")
        assert result["is_within_tolerance"] is True and result["outputs_matched_by"] == matched
        assert [output["different"] for output in result["outputs"]] == [0, 0]
        assert [level["a"]["requests"] for level in result["results"]] == [20, 20]
        assert "within the tolerance\n" in text and "B / A" in text, text


def test_the_differences_are_those_that_were_made(server, tmp_path):
    result, text = compare(server, tmp_path, "--compare", "a,off", "--samples", "3", "--batch", "2", "--tolerance", "0.5", status=1)
    y, label = result["outputs"]
    # Two of four numbers differ, in three answers of two rows.
    assert (y["elements"], y["different"], y["above_tolerance"]) == (24, 12, 6)
    largest = y["max_absolute"]
    assert largest["difference"] == pytest.approx(1000, abs=1e-3) and largest["index"][1] == 3
    assert largest["b"] - largest["a"] == pytest.approx(1000, abs=1e-3)
    assert 0.99 < y["max_relative"]["difference"] <= 1
    assert label["datatype"] == "INT64" and 1 <= label["different"] <= 6
    assert label["max_absolute"]["b"] == 3, "the largest is the last"
    assert "NOT within the tolerance" in text, text
    loose, _ = compare(server, tmp_path, "--compare", "a,off", "--tolerance", "1001")
    assert loose["is_within_tolerance"] is True
    untold, text = compare(server, tmp_path, "--compare", "a,off")
    assert untold["is_within_tolerance"] is None and "tolerance" not in text


def test_given_inputs_are_compared_once(server, tmp_path):
    result, text = compare(server, tmp_path, "--compare", "a,off", "--input", "x=1,2,3,4")
    assert result["samples"] == 1
    assert result["outputs"][0]["max_absolute"] == {
        "difference": 1000.0, "sample": 0, "index": [0, 3], "a": 4.0, "b": 1004.0
    }
    assert "on 1 input " in text, text


def test_mistakes_are_told(server):
    def told(*arguments):
        done = subprocess.run([BINARY, "bench", *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode in (1, 2)
        return done.stderr

    assert "required" in told(), "a model or two"
    assert "cannot be used with" in told("a", "--compare", "a,b")
    assert "expected one or two numbers" in told("--compare", "a,b", "--tolerance", "x")
    url = ["--url", f"http://{server.http}"]
    assert "the names of two models" in told("--compare", "a", *url)
    assert "nobody" in told("--compare", "a,nobody", *url)


def test_help_teaches():
    text = subprocess.run([BINARY, "bench", "--help"], capture_output=True, text=True, timeout=60).stdout
    assert "hippocamp bench --compare net-torch,net-trt" in text and "--tolerance" in text
