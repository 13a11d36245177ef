#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux x86_64): do equal rows of one batch get equal results?
#
# Guess:   yes. What may change the last bits is the size of the batch, by another kernel for a product of matrices, and the number
#          of threads.
# Seen:    products of matrices and convolutions give equal rows, as Tanh, Sigmoid, Erf and Softmax do. Others depend on the place: what is
#          vectorized over the whole tensor, or from an aligned address on, takes the elements left over one by one, in another way. Log,
#          Cos, Atan, Elu and Softplus differ in the last bit or two, InstanceNormalization and GroupNormalization of pictures with an
#          odd number of pixels in further ones, with one thread as with four.
#          And DynamicQuantizeLinear, which int8 models of onnxruntime.quantization begin with, measures the whole batch: a row changes in
#          the second decimal with those beside it.
# Follows: where requests are batched an answer is equal to that of the request alone within the rounding of the operators, not bit for
#          bit, and of a dynamically quantized model not even that: caches, golden files and comparisons of two servers need bounds.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" - <<'PY'
import numpy as np, onnxruntime
from onnx import TensorProto, helper, numpy_helper

noise = np.random.default_rng(0)

def session(nodes, shape, threads, weights):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(w, name) for name, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

def off(operator, shape, weights={}, **attributes):
    """The largest difference between two equal rows of a batch, over its sizes and numbers of threads."""
    most = 0.0
    for _ in range(20):
        row = noise.standard_normal((1, *shape)).astype(np.float32)
        row = np.abs(row) if operator == "Log" else row
        for threads in (1, 4):
            node = helper.make_node(operator, ["x", *weights], ["y"], **attributes)
            run = session([node], shape, threads, weights)
            for size in (2, 3, 4, 7):
                (y,) = run.run(None, {"x": np.repeat(row, size, 0)})
                most = max(most, float(np.abs(y - y[:1]).max()))
    return most

def normal(*shape):
    return noise.standard_normal(shape).astype(np.float32)

def scales(channels):
    return {"scale": np.ones(channels, np.float32), "bias": normal(channels)}

ok = True
for operator, shape, weights, attributes in [
    ("Log", (37,), {}, {}),
    ("Cos", (37,), {}, {}),
    ("Atan", (37,), {}, {}),
    ("Elu", (37,), {}, {}),
    ("Softplus", (37,), {}, {}),
    ("InstanceNormalization", (5, 9, 9), scales(5), {}),
    ("GroupNormalization", (6, 9, 9), scales(6), {"num_groups": 2}),
]:
    seen = off(operator, shape, weights, **attributes)
    print(f"{operator}: equal rows differ by up to {seen:.1e}")
    ok &= 0 < seen < 1e-5
for operator, shape, weights in [
    ("Sigmoid", (37,), {}),
    ("Tanh", (37,), {}),
    ("Erf", (37,), {}),
    ("Softmax", (37,), {}),
    ("MatMul", (100,), {"w": normal(100, 33)}),
    ("Conv", (3, 9, 9), {"w": normal(4, 3, 3, 3)}),
]:
    seen = off(operator, shape, weights)
    print(f"{operator}: equal rows differ by {seen}")
    ok &= seen == 0
nodes = [
    helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
    helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
]
run, row = session(nodes, (37,), 1, {}), normal(1, 37)
alone, beside = (run.run(None, {"x": x})[0][:1] for x in (row, np.concatenate([row, 4 * normal(1, 37)])))
print(f"DynamicQuantizeLinear: {np.abs(alone - beside).max():.1e} by the row beside it")
raise SystemExit(not (ok and np.abs(alone - beside).max() > 1e-2))
PY
