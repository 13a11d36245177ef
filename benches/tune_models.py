"""The models of `scripts/bench tune`, as they are given to be tuned: one instance, single items."""

import os
import re
import shutil

import numpy as np
from models import ONNX_TYPES, add_sub, onnx_bytes, write_model
from onnx import helper, numpy_helper

from . import ROOT
from . import python as python_models

WIDTH = 1024
# The part of each config that stays; `hippocamp tune` would not lower a batch size that is there.
HEADS = {
    "mlp": f"""backend: "onnxruntime"
input [ {{ name: "INPUT" data_type: TYPE_FP32 dims: [ {WIDTH} ] }} ]
output [ {{ name: "OUTPUT" data_type: TYPE_FP32 dims: [ {WIDTH} ] }} ]
""",
    "simple": """backend: "onnxruntime"
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
""",
    "magika": """backend: "onnxruntime"
input [ { name: "bytes" data_type: TYPE_INT32 dims: [ 2048 ] } ]
output [ { name: "target_label" data_type: TYPE_FP32 dims: [ 214 ] } ]
""",
    "centerface": """backend: "onnxruntime"
input [ { name: "input.1" data_type: TYPE_FP32 dims: [ 3, 320, 320 ] } ]
output [ { name: "537" data_type: TYPE_FP32 dims: [ 1, -1, -1 ] }, { name: "538" data_type: TYPE_FP32 dims: [ 2, -1, -1 ] },
         { name: "539" data_type: TYPE_FP32 dims: [ 2, -1, -1 ] }, { name: "540" data_type: TYPE_FP32 dims: [ 10, -1, -1 ] } ]
""",
}
# The largest number of requests under way that is tried and measured.
CONCURRENCIES = (8, 16, 32)


def mlp(layers=4):
    """Layers of a square matrix and ReLU, as an ONNX file."""
    random = np.random.default_rng(1)
    nodes, weights, last = [], [], "INPUT"
    for number in range(layers):
        values = random.standard_normal((WIDTH, WIDTH)) / np.sqrt(WIDTH)
        weights.append(numpy_helper.from_array(values.astype(np.float32), f"weights{number}"))
        output = "OUTPUT" if number == layers - 1 else f"layer{number}"
        nodes.append(helper.make_node("MatMul", [last, f"weights{number}"], [f"product{number}"]))
        nodes.append(helper.make_node("Relu", [f"product{number}"], [output]))
        last = output
    infos = [helper.make_tensor_value_info(name, ONNX_TYPES["FP32"], ["N", WIDTH]) for name in ("INPUT", "OUTPUT")]
    return onnx_bytes(helper.make_graph(nodes, "mlp", infos[:1], infos[1:], weights))


def written(folder, model):
    """The model in a repository, with one instance and without batches; returns the part of its config that stays, and these settings."""
    if model == "addsub":
        python_models.write(folder)
        with open(os.path.join(folder, model, "config.pbtxt"), encoding="utf-8") as f:
            head = re.sub(r"(?m)^(instance_group|max_batch_size).*\n?", "", f.read())
    else:
        head = HEADS[model]
        write_model(folder, model, "", {"mlp": mlp, "simple": add_sub}[model]() if model in ("mlp", "simple") else None)
    if model in ("magika", "centerface"):
        # As scripts/prepare has made them: published, CenterFace declares batches of ten.
        shutil.copy(os.path.join(ROOT, "model_repository", model, "1", "model.onnx"), os.path.join(folder, model, "1", "model.onnx"))
    given = (1, None, 0 if model == "addsub" else 1, None)
    configure(folder, model, head, given)
    return head, given


def configure(folder, model, head, settings):
    """Writes the config with instances, threads, batch size and delay."""
    instances, threads, batch, delay = settings
    text = f"{head}max_batch_size: {batch}\ninstance_group [ {{ count: {instances} kind: KIND_CPU }} ]\n"
    if threads:
        text += f'parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}\n'
    if delay is not None:
        text += f"dynamic_batching {{ max_queue_delay_microseconds: {delay} }}\n"
    with open(os.path.join(folder, model, "config.pbtxt"), "w", encoding="utf-8") as f:
        f.write(text)


def settings_of(text):
    """What a config has of these settings."""
    number = {key: re.search(pattern, text) for key, pattern in (
        ("instances", r"count: (\d+)"), ("threads", r'intra_op_thread_count"[^"]*"(\d+)"'), ("batch", r"max_batch_size: (\d+)"),
        ("delay", r"max_queue_delay_microseconds: (\d+)"))}
    value = {key: int(found[1]) if found else None for key, found in number.items()}
    if value["delay"] is None and "dynamic_batching" in text:
        value["delay"] = 0
    return value["instances"] or 1, value["threads"], value["batch"] or 0, value["delay"]


def words(settings):
    instances, threads, batch, delay = settings
    parts = [f"instances {instances}", threads and f"threads {threads}", batch and f"batch {batch}", delay is not None and f"delay {delay} us"]
    return ", ".join(filter(None, parts))
