#!/usr/bin/env bash
# onnxruntime 1.31.1 and 1.32.0 (PyPI, Linux x86_64, CPU): how exact is a product whose weights alone are INT8?
#
# Guess:   as exact as FP32: the file says DequantizeLinear, then MatMul of floats. What was lost was lost when the weights were quantized,
#          and no optimization that is on by default makes a difference in the second decimal.
# Seen:    the optimizer, at its default level, makes one MatMulNBits of both, which by default rounds the other side, the request's
#          numbers, to 8 bits, too: results of size 1 are off by 0.02 instead of 0.000001, of weights by tensor, by channel and in blocks,
#          of MatMul and Gemm. Up to level "basic" they are exact, and so they are at any level with
#          session.qdq_matmulnbits_accuracy_level=0. OpenVINO 2026.4.1 does the same, unless DYNAMIC_QUANTIZATION_GROUP_SIZE is 0.
# Follows: who keeps activations in floats for their exactness sets the option. Outputs that were compared with the optimizer off, as
#          converters do, are not those that are served.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/product.py" <<'PY'
import numpy as np, onnxruntime
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
noise = np.random.default_rng(0)
FLOAT, DEEP, WIDE = TensorProto.FLOAT, 768, 256
LEVELS = onnxruntime.GraphOptimizationLevel

def make(operator, scales):
    """A file and, of given numbers, the exact product with the weights as the file has them."""
    weights = noise.standard_normal((DEEP, WIDE)) / DEEP**0.5
    largest = {"tensor": np.abs(weights).max(), "channel": np.abs(weights).max(0), "block": np.abs(weights.reshape(-1, 32, WIDE)).max(1)}[scales]
    scale = (largest / 127).astype(np.float32)
    whole = np.repeat(scale, 32, 0) if scales == "block" else scale
    attributes = {"tensor": {}, "channel": {"axis": 1}, "block": {"axis": 0, "block_size": 32}}[scales]
    quantized = np.clip(np.rint(weights / whole), -127, 127).astype(np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["floats"], **attributes),
        helper.make_node(operator, ["x", "floats"], ["y"]),
    ]
    constants = {"w": quantized, "scale": scale, "zero": np.zeros_like(scale, np.int8)}
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", FLOAT, ["n", DEEP])], [helper.make_tensor_value_info("y", FLOAT, ["n", WIDE])],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    return file, quantized * whole.astype(np.float64)

def run(file, x, level=LEVELS.ORT_ENABLE_ALL, **settings):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    for key, value in settings.items():
        options.add_session_config_entry(f"session.{key}", value)
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]

ok = True
for operator, scales in (("MatMul", "tensor"), ("MatMul", "channel"), ("MatMul", "block"), ("Gemm", "tensor")):
    file, weights = make(operator, scales)
    x = noise.standard_normal((4, DEEP)).astype(np.float32)
    exact = x @ weights
    basic, full, option = (
        float(np.abs(y - exact).max())
        for y in (run(file, x, LEVELS.ORT_ENABLE_BASIC), run(file, x), run(file, x, qdq_matmulnbits_accuracy_level="0"))
    )
    print(f"onnxruntime {onnxruntime.__version__}, {operator}, scales by {scales}: results of {exact.std():.2f} are off by {basic:.1e} at level basic, "
          f"{full:.1e} by default, {option:.1e} with the option")
    ok &= basic < 1e-5 and 5e-3 < full < 0.1 and option < 1e-5
try:
    import openvino
except ImportError:
    raise SystemExit(not ok)
core = openvino.Core()
settings = {"INFERENCE_PRECISION_HINT": "f32"}
default, off = (
    float(np.abs(core.compile_model(core.read_model(file), "CPU", settings | more)({"x": x})[0] - exact).max())
    for more in ({}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"})
)
print(f"openvino: {default:.1e} by default, {off:.1e} with a group size of 0")
raise SystemExit(not (ok and 5e-3 < default < 0.1 and off < 1e-4))
PY
for release in 1.31.1: 1.32.0:openvino==2026.4.1; do
    python3 -m venv "$work/${release%%:*}"
    "$work/${release%%:*}/bin/pip" --quiet install "onnxruntime==${release%%:*}" onnx==1.23.2 numpy==2.4.6 ${release#*:}
    ORT_DISABLE_TELEMETRY=1 "$work/${release%%:*}/bin/python" -W ignore "$work/product.py"
done
