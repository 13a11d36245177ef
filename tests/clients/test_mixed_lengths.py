"""Requests of different lengths in one execution: each gets what it would get alone."""

import numpy as np
import pytest
from models import onnx_bytes, write_model
from onnx import TensorProto, helper, numpy_helper
from server_process import ServerProcess

FLOAT = TensorProto.FLOAT
LENGTHS = [5, 8, 6, 7, 5, 6, 8, 7]

# The batch is complete when all of them wait.
BATCHING = """
max_batch_size: 8
dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 10000000 }
instance_group { count: 1 kind: KIND_CPU }
"""


def tensor(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def masked_mean():
    """MEAN of what the mask keeps, and CENTRED: each element less the mean."""
    axes = numpy_helper.from_array(np.array([1], np.int64), "axes")
    nodes = [
        helper.make_node("Cast", ["mask"], ["kept"], to=FLOAT),
        helper.make_node("Mul", ["x", "kept"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axes"], ["sum"]),
        helper.make_node("ReduceSum", ["kept", "axes"], ["count"]),
        helper.make_node("Div", ["sum", "count"], ["MEAN"]),
        helper.make_node("Sub", ["x", "MEAN"], ["CENTRED"]),
    ]
    inputs = [tensor("x", ["N", "L"]), tensor("mask", ["N", "L"], TensorProto.INT64)]
    outputs = [tensor("MEAN", ["N", 1]), tensor("CENTRED", ["N", "L"])]
    return onnx_bytes(helper.make_graph(nodes, "masked_mean", inputs, outputs, [axes]))


PADDED = (
    BATCHING
    + """
backend: "onnxruntime"
input { name: "x" data_type: TYPE_FP32 dims: -1 }
input { name: "mask" data_type: TYPE_INT64 dims: -1 optional: true }
output { name: "MEAN" data_type: TYPE_FP32 dims: 1 }
output { name: "CENTRED" data_type: TYPE_FP32 dims: -1 }
parameters { key: "padding.buckets" value { string_value: "4,8" } }
parameters { key: "padding.input.x" value { string_value: "value=1000" } }
parameters { key: "padding.input.mask" value { string_value: "value=0 fill=1" } }
parameters { key: "padding.output.CENTRED" value { string_value: "" } }
"""
)


def attention():
    """A transformer in small: embeddings, one head of self-attention with a mask, and the mean of what it gives."""
    table = np.random.default_rng(7).normal(size=(100, 8)).astype(np.float32)
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([1], np.int64), "queries"),
        numpy_helper.from_array(np.array([2], np.int64), "width"),
        numpy_helper.from_array(np.array(1.0, np.float32), "one"),
        numpy_helper.from_array(np.array(-1e9, np.float32), "never"),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("Transpose", ["embedded"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["embedded", "keys"], ["scores"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
        helper.make_node("Sub", ["one", "mask"], ["padding"]),
        helper.make_node("Mul", ["padding", "never"], ["penalty"]),
        helper.make_node("Unsqueeze", ["penalty", "queries"], ["penalties"]),
        helper.make_node("Add", ["scores", "penalties"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["weights"], axis=2),
        helper.make_node("MatMul", ["weights", "embedded"], ["hidden"]),
        helper.make_node("Unsqueeze", ["mask", "width"], ["wide_mask"]),
        helper.make_node("Mul", ["hidden", "wide_mask"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "queries"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["wide_mask", "queries"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["embedding"]),
    ]
    inputs = [tensor(name, ["N", "L"], TensorProto.INT64) for name in ("input_ids", "attention_mask")]
    outputs = [tensor("hidden", ["N", "L", 8]), tensor("embedding", ["N", 8])]
    return onnx_bytes(helper.make_graph(nodes, "attention", inputs, outputs, constants))


BERT = (
    BATCHING
    + """
backend: "onnxruntime"
input { name: "input_ids" data_type: TYPE_INT64 dims: -1 }
input { name: "attention_mask" data_type: TYPE_INT64 dims: -1 optional: true }
output { name: "hidden" data_type: TYPE_FP32 dims: [ -1, 8 ] }
output { name: "embedding" data_type: TYPE_FP32 dims: 8 }
parameters { key: "padding.buckets" value { string_value: "16,32" } }
parameters { key: "padding.length" value { string_value: "bucket" } }
parameters { key: "padding.input.input_ids" value { string_value: "value=99" } }
parameters { key: "padding.input.attention_mask" value { string_value: "value=0 fill=1" } }
parameters { key: "padding.output.hidden" value { string_value: "" } }
"""
)


def ragged():
    """DOUBLED, and ENDS: where each request's elements end."""
    nodes = [
        helper.make_node("Add", ["x", "x"], ["DOUBLED"]),
        helper.make_node("Identity", ["ends"], ["ENDS"]),
    ]
    inputs = [tensor("x", ["elements"]), tensor("ends", ["requests"])]
    outputs = [tensor("DOUBLED", ["elements"]), tensor("ENDS", ["requests"])]
    return onnx_bytes(helper.make_graph(nodes, "ragged", inputs, outputs))


RAGGED = (
    BATCHING
    + """
backend: "onnxruntime"
input { name: "x" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true }
output { name: "DOUBLED" data_type: TYPE_FP32 dims: -1 }
output { name: "ENDS" data_type: TYPE_FP32 dims: 1 reshape { shape: [ ] } }
batch_input { kind: BATCH_ACCUMULATED_ELEMENT_COUNT target_name: "ends" data_type: TYPE_FP32 source_input: "x" }
batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "DOUBLED" source_input: "x" }
"""
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    repository = tmp_path_factory.mktemp("mixed")
    write_model(repository, "padded", PADDED, masked_mean())
    write_model(repository, "ragged", RAGGED, ragged())
    write_model(repository, "bert", BERT, attention())
    write_model(repository, "bert_alone", BERT.replace("dynamic_batching", "#"), attention())
    with ServerProcess(repository) as server:
        yield server


def infer_together(client, model, rows, name="x", datatype="FP32"):
    """Sends one request a row at the same time; returns the results and the executions that they took."""

    def executions():
        (stats,) = client.json("get_inference_statistics", model)["model_stats"]
        return int(stats.get("execution_count", 0))

    before = executions()
    waiting = []
    for row in rows:
        inputs = [client.input(name, row[np.newaxis], datatype)]
        waiting.append(client.real.async_infer(model, inputs))
    results = [sent.get_result() for sent in waiting]
    return results, executions() - before


@pytest.fixture
def client(client_of, mixed, request):
    connected = client_of("http", mixed)
    # As many connections as there are requests.
    connected.real.close()
    connected.real = connected.module.InferenceServerClient(mixed.http, concurrency=len(LENGTHS))
    return connected


def test_padded_requests_share_an_execution(client):
    rows = [np.arange(n, dtype=np.float32) * (i + 1) for i, n in enumerate(LENGTHS)]
    results, executions = infer_together(client, "padded", rows)
    assert executions == 1
    for row, result in zip(rows, results):
        np.testing.assert_allclose(result.as_numpy("MEAN"), [[row.mean()]], rtol=1e-6)
        np.testing.assert_allclose(result.as_numpy("CENTRED"), [row - row.mean()], rtol=1e-5)


def test_a_transformer_gives_in_a_batch_what_it_gives_alone(client):
    rows = [np.arange(n, dtype=np.int64) * (i + 1) % 98 for i, n in enumerate(LENGTHS)]
    together, executions = infer_together(client, "bert", rows, "input_ids", "INT64")
    assert executions == 1
    for row, result in zip(rows, together):
        given = [
            client.input("input_ids", row[np.newaxis], "INT64"),
            client.input("attention_mask", np.ones((1, len(row)), np.int64), "INT64"),
        ]
        alone = client.infer("bert_alone", given)
        assert result.as_numpy("hidden").shape == (1, len(row), 8)
        for output in ("hidden", "embedding"):
            np.testing.assert_allclose(result.as_numpy(output), alone.as_numpy(output), atol=1e-5)


def test_ragged_requests_share_an_execution(client):
    rows = [np.full(n, i, np.float32) for i, n in enumerate(LENGTHS)]
    results, executions = infer_together(client, "ragged", rows)
    assert executions == 1
    for row, result in zip(rows, results):
        assert result.as_numpy("DOUBLED").tolist() == [(row * 2).tolist()]
    # Their order in the batch is that of their arrival, which differs; the last of them ends it all.
    assert max(float(result.as_numpy("ENDS")[0, 0]) for result in results) == sum(LENGTHS)


def test_lengths_that_differ_within_a_request_are_refused(client):
    inputs = [
        client.input("x", np.ones((1, 3), np.float32), "FP32"),
        client.input("mask", np.ones((1, 2), np.int64), "INT64"),
    ]
    expected = "inputs 'x' and 'mask' of model 'padded' are padded together.* got 3 and 2"
    with pytest.raises(Exception, match=expected):
        client.infer("padded", inputs)
