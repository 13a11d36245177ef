"""The ensemble `detection` as the tutorial of TensorRT Inference Server writes it, with CenterFace as its network."""

import os

import onnx
from server_process import ROOT

NETWORK = os.path.join(ROOT, "model_repository", "detection-network", "1", "model.onnx")


def tensor_text(name, data_type, dims, is_reshaped):
    """A tensor as the tutorial's tool writes it: commas, and lists as Python prints them."""
    reshape = f",\n    reshape: {{ shape: {dims[1:]} }}" if is_reshaped else ""
    return f'  {{\n    name: "{name}",\n    data_type: {data_type},\n    dims: {dims}{reshape}\n  }}'


def tool_config(name, platform, max_batch_size, inputs, outputs):
    is_reshaped = max_batch_size > 0
    written = [
        ",\n".join(tensor_text(*t, is_reshaped) for t in tensors) for tensors in (inputs, outputs)
    ]
    return f"""name: "{name}"
{platform}
version_policy: {{ all {{ }} }}
max_batch_size: {max_batch_size}
input [
{written[0]}
]
output [
{written[1]}
]
instance_group [
  {{
    count: 2
    kind: KIND_CPU
  }}
]
"""


FP32, INT32 = "TYPE_FP32", "TYPE_INT32"
IMAGE = ("process_img", FP32, [1, 3, 512, 512])
MATRIX = ("affine_trans_mat", FP32, [2, 3])
MAPS = [
    ("heatmap", FP32, [1, 1, 128, 128]),
    ("bbox_wh", FP32, [1, 2, 128, 128]),
    ("center_shift", FP32, [1, 2, 128, 128]),
]
FOUND = [("score", FP32, [1, 100]), ("category", INT32, [1, 100]), ("bbox", FP32, [1, 100, 4])]

TUTORIAL_ENSEMBLE = """name: "detection"
platform: "ensemble"
max_batch_size: 0
input [
  {
    name: "raw_image"
    data_type: TYPE_STRING
    dims: [ 1 ]
  }
]
output [
  {
    name: "score"
    data_type: TYPE_FP32
    dims: [ 1, 100 ]
  },
  {
    name: "category"
    data_type: TYPE_INT32
    dims: [ 1, 100 ]
  },
  {
    name: "bbox"
    data_type: TYPE_FP32
    dims: [ 1, 100, 4 ]
  }
]
ensemble_scheduling {
  step [
"""

PREPROCESS = """
[[step]]
op = "decode"
input = "raw_image"
output = "picture"

[[step]]
op = "warp"
input = "picture"
output = "square"
width = 512
height = 512
matrix = { output = "affine_trans_mat" }

[[step]]
op = "tensor"
input = "square"
output = "process_img"
"""

POSTPROCESS = """
[[step]]
op = "centernet_decode"
heatmap = "heatmap"
size = "bbox_wh"
offset = "center_shift"
matrix = "affine_trans_mat"
output = "found"
stride = 4
center = 0.5
offset_axes = "yx"
size_axes = "yx"
size_exp = true

[[step]]
op = "write_detections"
input = "found"
rows = 100
score = "score"
category = "category"
bbox = "bbox"
"""


def step_text(model, inputs, outputs):
    """A step whose tensors have the same names inside and outside."""
    maps = [("input_map", t[0]) for t in inputs] + [("output_map", t[0]) for t in outputs]
    lines = [f'      {kind} {{ key: "{name}" value: "{name}" }}' for kind, name in maps]
    body = "\n".join(lines)
    return f'    {{\n      model_name: "{model}"\n      model_version: 1\n{body}\n    }}'


def make_tutorial_repository(folder):
    """Writes the ensemble and its three models."""
    raw_image = [("raw_image", "TYPE_STRING", [1])]
    models = [
        ("detection-preprocess", 'backend: "vision"', 0, raw_image, [IMAGE, MATRIX]),
        ("detection-network", 'platform: "onnxruntime_onnx"', 1, [IMAGE], MAPS),
        ("detection-postprocess", 'backend: "vision"', 0, [*MAPS, MATRIX], FOUND),
    ]
    for model in models:
        version = folder / model[0] / "1"
        version.mkdir(parents=True)
        (version.parent / "config.pbtxt").write_text(tool_config(*model))
    (folder / "detection-preprocess/1/pipeline.toml").write_text(PREPROCESS)
    (folder / "detection-postprocess/1/pipeline.toml").write_text(POSTPROCESS)

    network = onnx.load(NETWORK)
    for value in [*network.graph.input, *network.graph.output]:
        for dim in value.type.tensor_type.shape.dim[2:]:
            dim.dim_value = dim.dim_value * 512 // 640
    for node in network.graph.node:
        node.output[:] = ["bbox_wh" if name == "box_scale" else name for name in node.output]
    for value in network.graph.output:
        value.name = "bbox_wh" if value.name == "box_scale" else value.name
    del network.graph.output[3:]
    onnx.save(network, str(folder / "detection-network/1/model.onnx"))

    steps = ",\n".join(step_text(name, inputs, outputs) for name, _, _, inputs, outputs in models)
    (folder / "detection/1").mkdir(parents=True)
    (folder / "detection/config.pbtxt").write_text(TUTORIAL_ENSEMBLE + steps + "\n  ]\n}\n")
