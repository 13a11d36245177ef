"""hippocamp check --fix, with real model files: what it writes makes the model load, and nothing else of a config changes."""

import json
import os
import subprocess

import numpy as np
import pytest
from models import write_model
from onnx import TensorProto, helper
from server_process import BINARY, LIBRARY, ServerProcess

FLAG = f"--backend-config=onnxruntime,library={LIBRARY}"


def twice(shape_in, shape_out=None):
    """y = 2x, FP32, of these shapes."""
    floats = TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, floats, shape) for name, shape in
            (("x", shape_in), ("y", shape_out or shape_in)))
    nodes = [helper.make_node("Add", ["x", "x"], ["y"])]
    graph = helper.make_graph(nodes, "twice", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def config(batch, x, y, more=""):
    return f"""# By hand.
platform: "onnxruntime_onnx"
max_batch_size: {batch}  # at a time
input [ {{ name: "x", data_type: TYPE_FP32, {x} }} ]
output [
  {{
    name: "y"
    data_type: TYPE_FP32
    {y}
  }}
]
{more}"""


def check(folder, *arguments, status=0):
    done = subprocess.run(
        [BINARY, "check", str(folder), *arguments, FLAG], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


CASES = {
    # The batch in the dims, of a model whose batch is fixed.
    "whole shapes": (
        ["N", 3, 4],
        config(4, "dims: [-1, 3, 4]", "dims: [ 3, 4 ]"),
        config(4, "dims: [3, 4]", "dims: [ 3, 4 ]"),
    ),
    "a batch that the model has not": (
        [2, 3],
        config(8, "dims: [2, 3]", "dims: [ 2, 3 ]"),
        config(0, "dims: [2, 3]", "dims: [ 2, 3 ]"),
    ),
    "a batch of one": (
        [1, 3],
        config(8, "dims: [3]", "dims: [ 3 ]"),
        config(1, "dims: [3]", "dims: [ 3 ]"),
    ),
    "a batch of one in the dims": (
        [1, 3, 4],
        config(8, "dims: [1, 3, 4]", "dims: [ 1, 3, 4 ]"),
        config(0, "dims: [1, 3, 4]", "dims: [ 1, 3, 4 ]"),
    ),
    "dims with a 1 that the model has not": (
        [3, 4],
        config(0, "dims: [1, 3, 4]", "dims: [ 3, 4 ]"),
        config(0, "dims: [1, 3, 4], reshape: { shape: [3, 4] }", "dims: [ 3, 4 ]"),
    ),
    "another layout": (
        [3, 4],
        config(0, "dims: [4, 3]", "dims: [ 4, 3 ]  # rows first"),
        config(0, "dims: [3, 4]", "dims: [3, 4]  # rows first"),
    ),
    "a reshape of other elements": (
        ["N", 12],
        config(2, "dims: [12], reshape: { shape: [4, 4] }", "dims: [ 3, 4 ]\n    reshape: { shape: [ 12 ] }"),
        config(2, "dims: [12],", "dims: [ 3, 4 ]\n    reshape: { shape: [ 12 ] }"),
    ),
    "types and GPUs": (
        ["N", 2],
        config(2, "dims: [2]", "dims: [ 2 ]", "instance_group [ { count: 3, kind: KIND_GPU, gpus: [0, 1] } ]  # two\n").replace(
            "TYPE_FP32", "TYPE_FP16", 1
        ),
        config(2, "dims: [2]", "dims: [ 2 ]", "instance_group [ { count: 3, kind: KIND_CPU, } ]  # two\n"),
    ),
    "a typo in the platform": (
        ["N", 2],
        config(2, "dims: [2]", "dims: [ 2 ]").replace("onnxruntime_onnx", "onnxruntime_onx"),
        config(2, "dims: [2]", "dims: [ 2 ]"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_makes_the_model_load(tmp_path, name, client_of):
    shape, before, after = CASES[name]
    repository = tmp_path / "models"
    write_model(repository, "m", before, twice(shape))
    check(repository, status=1)
    shown = check(repository, "--fix", "--dry-run", status=1)
    path = repository / "m" / "config.pbtxt"
    assert path.read_text() == before, "nothing is written"
    assert f"--- {path}\n+++ {path}\n" in shown and "would load with this" in shown, shown
    fixed = check(repository, "--fix")
    assert path.read_text() == after, fixed
    assert fixed.endswith("1 model, 0 errors, 0 warnings\n"), fixed
    # As written it is complete, and it answers what the file computes.
    with ServerProcess(repository, flags=["--disable-auto-complete-config"]) as server:
        client = client_of("http", server)
        (tensor,) = client.get_model_metadata("m")["inputs"]
        x = np.random.default_rng(1).random([1 if size < 0 else size for size in map(int, tensor["shape"])], np.float32)
        result = client.infer("m", [client.input("x", x, "FP32")]).as_numpy("y")
        assert result.reshape(-1).tolist() == (2 * x).reshape(-1).tolist()
        client.close()
    assert check(repository, "--fix") == "1 model, 0 errors, 0 warnings\n", "there is nothing more"


def test_what_cannot_be_mended_is_left(tmp_path):
    repository = tmp_path / "models"
    write_model(repository, "broken", config(2, "dims: [2]", "dims: [ 3 ]"), b"not a model")
    half = config(2, "dims: [3]", "dims: [ 2 ]").replace('name: "y"', 'name: "z"')
    write_model(repository, "half", half, twice(["N", 2]))
    write_model(repository, "good", config(2, "dims: [2]", "dims: [ 2 ]"), twice(["N", 2]))
    report = json.loads(check(repository, "--fix", "--format=json", status=1))
    outcomes = {fix["model"]: (fix["outcome"], fix["why"]) for fix in report["fixes"]}
    assert list(outcomes) == ["half"] and outcomes["half"][0] == "left alone", outcomes
    assert "unexpected inference output 'z'" in outcomes["half"][1]
    assert (repository / "half" / "config.pbtxt").read_text() == half
    assert report["errors"] >= 2


def test_a_model_file_beside_its_config_is_moved(tmp_path):
    model = tmp_path / "models" / "m"
    model.mkdir(parents=True)
    (model / "config.pbtxt").write_text(config(2, "dims: [2]", "dims: [ 2 ]") + 'default_model_filename: "model.onnx"\n')
    (model / "model.onnx").write_bytes(twice(["N", 2]))
    shown = check(tmp_path / "models", "--fix")
    assert "move model.onnx to 1/model.onnx" in shown
    assert sorted(os.listdir(model)) == ["1", "config.pbtxt"] and os.listdir(model / "1") == ["model.onnx"]


def test_an_ensemble_is_mended_with_its_steps(tmp_path):
    repository = tmp_path / "models"
    write_model(repository, "step", config(8, "dims: [3]", "dims: [ 3 ]"), twice([1, 3]))
    ensemble = repository / "both"
    ensemble.mkdir()
    (ensemble / "config.pbtxt").write_text("""platform: "ensemble"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 3 }
output { name: "y" data_type: TYPE_FP32 dims: 3 }
ensemble_scheduling { step { model_name: "step" model_version: 1
  input_map { key: "x" value: "x" } output_map { key: "y" value: "y" } } }
""")
    shown = check(repository, "--fix")
    assert "max_batch_size: 1" in (ensemble / "config.pbtxt").read_text(), shown
    assert shown.count("loads with this, and it is written") == 2


def test_the_flags_say_what_they_need(tmp_path):
    for arguments, word in ([["--dry-run"], "--fix"], [["--fix", "--configs-only"], "cannot be used with"]):
        done = subprocess.run([BINARY, "check", str(tmp_path), *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and word in done.stderr, done.stderr
