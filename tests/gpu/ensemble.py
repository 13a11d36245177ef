"""An ensemble of two models on one GPU: what is between them never reaches the host, by the server's own counters."""

import os

import numpy as np

from .client import Client
from .models import MAGIKA
from .results import requests

CONFIG = """
name: "both"
platform: "ensemble"
max_batch_size: 32
input { name: "input_ids" data_type: TYPE_INT64 dims: [ 128 ] }
output { name: "doubled" data_type: TYPE_FP32 dims: [ 384 ] }
ensemble_scheduling { step [
  { model_name: "embed" model_version: -1
    input_map { key: "input_ids" value: "input_ids" } output_map { key: "embedding" value: "between" } },
  { model_name: "double" model_version: -1
    input_map { key: "embedding" value: "between" } output_map { key: "doubled" value: "doubled" } }
] }
"""
ROWS, COUNT = 3, 20


def make_doubling(path, width=384):
    """A model that doubles what it gets."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    two = numpy_helper.from_array(np.array(2, np.float32), "two")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["embedding", "two"], ["doubled"])],
        "double",
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("doubled", TensorProto.FLOAT, ["batch", width])],
        [two],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def check(table, run):
    what = "an ensemble on one GPU"
    if "minilm" not in run.files:
        table.skip(what, "stays there", "there is no transformer, and none can be made without the package onnx")
        return
    try:
        run.files["double"] = os.path.join(run.folder, "double.onnx")
        make_doubling(run.files["double"])
    except ImportError as error:
        table.skip(what, "stays there", str(error))
        return
    repository = run.repository("ensemble")
    plans = {"plan_batch_sizes": "4"}
    repository.add("embed", "minilm", MAGIKA, run.kind, parameters=plans)
    repository.add("double", "double", MAGIKA, run.kind, parameters=plans)
    os.makedirs(os.path.join(repository.folder, "both", "1"), exist_ok=True)
    with open(os.path.join(repository.folder, "both", "config.pbtxt"), "w", encoding="utf-8") as file:
        file.write(CONFIG)
    with run.server(repository) as server:
        try:
            ask(table, run, what, server, Client(server.http))
        except Exception as error:
            table.add(what, "stays there", "failed", False, str(error)[:500])
            run.show_log(server)


def ask(table, run, what, server, client):
    inputs = requests("minilm", np.random.default_rng(5), ROWS)
    expected = 2 * client.infer("embed", inputs)["embedding"]
    copied = lambda: [
        server.metric("nv_gpu_copied_bytes", direction=direction) for direction in ("from_host", "to_host")
    ]
    before = copied()
    for _ in range(COUNT):
        got = client.infer("both", inputs)["doubled"]
    difference = float(np.abs(got - expected).max())
    table.add(f"{what}: answers", "as of its steps", f"{difference:.2g}", difference <= 1e-5)
    if not run.on_gpu:
        table.skip(what, "stays there", "no GPU was asked for")
        return
    from_host, to_host = ((now - then) / COUNT for now, then in zip(copied(), before))
    due = ROWS * 128 * 8, ROWS * 384 * 4
    text = f"{from_host:.0f} and {to_host:.0f} bytes a request to and from the GPU"
    table.add(what, f"{due[0]} and {due[1]}, the client's", text, (from_host, to_host) == due)
