"""The models that the acceptance scripts of V1's clients expect, and a few more for the tests of V1."""

import os
import shutil

import numpy as np
from models import GOLDEN, add_sub, onnx_bytes, sum_config, write_model
from onnx import TensorProto, helper, numpy_helper

# Loaded by tests, not at the start.
NOT_LOADED = {"broken", "changing"}


def string_add_sub():
    """The ONNX file of `simple_string`: as `simple`, with numbers as text."""
    names = ("INPUT0", "INPUT1", "OUTPUT0", "OUTPUT1")
    rows = [helper.make_tensor_value_info(name, TensorProto.STRING, ["N", 16]) for name in names]
    ints = [helper.make_node("Cast", [name], [f"{name}_int"], to=TensorProto.INT32) for name in names[:2]]
    given = ["INPUT0_int", "INPUT1_int"]
    made = [
        helper.make_node("Add", given, ["OUTPUT0_int"]),
        helper.make_node("Sub", given, ["OUTPUT1_int"]),
    ]
    texts = [helper.make_node("Cast", [f"{name}_int"], [name], to=TensorProto.STRING) for name in names[2:]]
    return onnx_bytes(helper.make_graph([*ints, *made, *texts], "strings", rows[:2], rows[2:]))


def colours():
    """The ONNX file of a classifier of pictures: which colour there is most of, as a share, of FP32 [N, 3, H, W]."""
    floats = TensorProto.FLOAT
    picture = helper.make_tensor_value_info("data", floats, ["N", 3, "H", "W"])
    share = helper.make_tensor_value_info("prob", floats, ["N", 3])
    axes = numpy_helper.from_array(np.array([2, 3], np.int64), "axes")
    nodes = [
        helper.make_node("ReduceSum", ["data", "axes"], ["sums"], keepdims=0),
        helper.make_node("ReduceSum", ["sums", "one"], ["all"], keepdims=1),
        helper.make_node("Div", ["sums", "all"], ["prob"]),
    ]
    one = numpy_helper.from_array(np.array([1], np.int64), "one")
    return onnx_bytes(helper.make_graph(nodes, "colours", [picture], [share], [axes, one]))


def tensors(kind, *described):
    each = (f'{{ name: "{name}" data_type: TYPE_{t} dims: {list(dims)} {more} }}' for name, t, dims, more in described)
    return f"{kind} [ {', '.join(each)} ]\n"


STRING_CONFIG = (
    'platform: "onnxruntime_onnx"\nmax_batch_size: 8\n'
    + tensors("input", *((name, "STRING", [16], "") for name in ("INPUT0", "INPUT1")))
    + tensors("output", *((name, "STRING", [16], "") for name in ("OUTPUT0", "OUTPUT1")))
)

COLOURS_CONFIG = (
    'platform: "onnxruntime_onnx"\nmax_batch_size: 4\n'
    + tensors("input", ("data", "FP32", [3, 64, 64], "format: FORMAT_NCHW"))
    + tensors("output", ("prob", "FP32", [3], 'label_filename: "labels.txt"'))
)

# A picture's file, made a tensor and classified. Its labels are those of the inner model.
ENSEMBLE_CONFIG = f"""
platform: "ensemble"
max_batch_size: 4
{tensors("input", ("raw", "STRING", [1], ""))}
{tensors("output", ("found", "FP32", [3], ""))}
ensemble_scheduling {{
  step [
    {{ model_name: "pixels" model_version: -1
       input_map {{ key: "raw" value: "raw" }} output_map {{ key: "data" value: "data" }} }},
    {{ model_name: "colours" model_version: -1
       input_map {{ key: "data" value: "data" }} output_map {{ key: "prob" value: "found" }} }}
  ]
}}
"""

PIXELS_CONFIG = (
    'backend: "vision"\nmax_batch_size: 4\n'
    + tensors("input", ("raw", "STRING", [1], ""))
    + tensors("output", ("data", "FP32", [3, 64, 64], ""))
)

PIXELS = """
[[step]]
op = "decode"
input = "raw"
output = "picture"

[[step]]
op = "resize"
input = "picture"
output = "small"
width = 64
height = 64

[[step]]
op = "tensor"
input = "small"
output = "data"
"""

# Of any length, without a batch dimension.
ANY_CONFIG = (
    'backend: "identity"\n'
    + tensors("input", ("INPUT0", "{0}", [-1], ""))
    + tensors("output", ("OUTPUT0", "{0}", [-1], ""))
)

RESHAPED_CONFIG = (
    'backend: "identity"\nmax_batch_size: 4\n'
    + tensors("input", ("INPUT0", "FP32", [1, 2, -1], "reshape { shape: [ 2, -1 ] }"))
    + tensors("output", ("OUTPUT0", "FP32", [1, 2, -1], "reshape { shape: [ 2, -1 ] }"))
)


def make_v1_repository(folder):
    """Writes all models; returns the names of those that a server is to load at start."""
    shutil.copytree(os.path.join(GOLDEN, "models", "simple"), os.path.join(folder, "simple"))
    for name in ("simple", "changing"):
        write_model(folder, name, onnx_file=add_sub())
    write_model(folder, "simple_string", STRING_CONFIG, string_add_sub())
    write_model(folder, "simple_sequence", sum_config("sequence", "direct { }"))
    colour = write_model(folder, "colours", COLOURS_CONFIG, colours())
    with open(os.path.join(colour, "labels.txt"), "w", encoding="utf-8") as f:
        f.write('red\ngreen "leaf"\nbleu é\n')
    pixels = write_model(folder, "pixels", PIXELS_CONFIG)
    with open(os.path.join(pixels, "1", "pipeline.toml"), "w", encoding="utf-8") as f:
        f.write(PIXELS)
    write_model(folder, "ensemble", ENSEMBLE_CONFIG)
    for data_type in ("FP16", "FP32", "BOOL", "STRING", "INT64"):
        config = ANY_CONFIG.replace("{0}", data_type)
        write_model(folder, f"any_{data_type.lower()}", config)
    write_model(folder, "reshaped", RESHAPED_CONFIG)
    write_model(folder, "broken", ANY_CONFIG.replace("{0}", "FP32").replace('"identity"', '"onnxruntime"'), b"none")
    return sorted(set(os.listdir(folder)) - NOT_LOADED)
