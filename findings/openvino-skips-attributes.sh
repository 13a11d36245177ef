#!/usr/bin/env bash
# openvino 2026.4.1 (PyPI, Linux x86_64) beside onnxruntime 1.32.0: what does OpenVINO make of an attribute of ONNX that it does not have?
#
# Guess:   an error when the model is read, as it gives for an operator that it does not have; or the right result.
# Seen:    it reads past the attribute, without a word, and computes the operator without it. Resize with antialias=1 is Resize without, of
#          half the size each number is another one. keep_aspect_ratio_policy is not kept: the output has another shape. A cubic
#          Resize with exclude_outside=1 takes the outside in. LSTM and GRU with layout=1, whose first axis is the batch, take
#          the batch for time: the rows of a batch reach each other, and a row alone is one step of each sequence.
#          ONNX Runtime computes the first three, and refuses the others. And where ONNX has TopK take the lower of two equal places,
#          OpenVINO's order of the first three of four equal numbers is 1, 2, 0.
# Follows: that a model loads in both engines does not say that it is one model. Between OpenVINO Model Server and a server of ONNX
#          Runtime, outputs of real requests are compared before clients are moved.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
noise, core = np.random.default_rng(0), openvino.Core()

def model(operator, inputs, outputs, x, constants, attributes, opset):
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    node = helper.make_node(operator, inputs, outputs, **attributes)
    kinds = [TensorProto.INT64 if name == "places" else TensorProto.FLOAT for name in outputs]
    graph = helper.make_graph([node], "g", [value("x", TensorProto.FLOAT, ["n", *x.shape[1:]])],
                              [value(name, kind, None) for name, kind in zip(outputs, kinds) if name],
                              [numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10).SerializeToString()

def by_openvino(operator, inputs, x, constants={}, outputs=("y",), opset=21, **attributes):
    file = model(operator, inputs, outputs, x, constants, attributes, opset)
    run = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return run({"x": x})[len([name for name in outputs if name]) - 1]

def by_onnxruntime(operator, inputs, x, constants={}, outputs=("y",), opset=21, **attributes):
    file = model(operator, inputs, outputs, x, constants, attributes, opset)
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[-1]

def refused(*arguments, **attributes):
    try:
        by_onnxruntime(*arguments, **attributes)
    except Exception:
        return True
    return False

ok = True
picture = noise.standard_normal((2, 4, 8, 8)).astype(np.float32)
half, double = ({"scales": np.array([1, 1, by, by], np.float32)} for by in (0.5, 2))
for what, constants, attributes in [
    ("antialias, linear", half, {"mode": "linear", "antialias": 1}),
    ("antialias, cubic", half, {"mode": "cubic", "antialias": 1}),
    ("exclude_outside", double, {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1}),
]:
    arguments = "Resize", ["x", "", "scales"], picture, constants
    without = {name: value for name, value in attributes.items() if name not in ("antialias", "exclude_outside")}
    exact, got, plain = by_onnxruntime(*arguments, **attributes), by_openvino(*arguments, **attributes), by_openvino(*arguments, **without)
    wrong = float((np.abs(exact - got) > 1e-4).mean())
    print(f"Resize, {what}: {wrong:.0%} of the numbers differ by up to {np.abs(exact - got).max():.2f}; the same as without: {(got == plain).all()}")
    ok &= wrong > 0.5 and bool((got == plain).all())

arguments = "Resize", ["x", "", "", "sizes"], picture, {"sizes": np.array([7, 5])}
shapes = [f(*arguments, mode="nearest", axes=[2, 3], keep_aspect_ratio_policy="not_larger").shape for f in (by_onnxruntime, by_openvino)]
print(f"Resize of 8x8 to 7x5 at most, keep_aspect_ratio_policy=not_larger: {shapes[0][2:]} and {shapes[1][2:]}")
ok &= shapes[0][2:] == (5, 5) and shapes[1][2:] == (7, 5)

for operator, gates in (("LSTM", 4), ("GRU", 3)):
    weights = {"w": noise.standard_normal((1, 5 * gates, 3)).astype(np.float32), "r": noise.standard_normal((1, 5 * gates, 5)).astype(np.float32)}
    batch = noise.standard_normal((2, 7, 3)).astype(np.float32)
    arguments = operator, ["x", "w", "r"], batch, weights, ("all",)
    got, plain = by_openvino(*arguments, hidden_size=5, layout=1), by_openvino(*arguments, hidden_size=5)
    alone = by_openvino(operator, ["x", "w", "r"], batch[1:], weights, ("all",), hidden_size=5, layout=1)
    reach = float(np.abs(got.ravel()[-alone.size:] - alone.ravel()).max())
    print(f"{operator}, layout=1: the same as without: {got.shape == plain.shape and (got == plain).all()}; a row by the row before it: {reach:.2f}; "
          f"onnxruntime refuses: {refused(*arguments, hidden_size=5, layout=1)}")
    ok &= got.shape == plain.shape and bool((got == plain).all()) and reach > 0.1 and refused(*arguments, hidden_size=5, layout=1)

equal = np.zeros((1, 4), np.float32)
arguments = "TopK", ["x", "k"], equal, {"k": np.array([3])}, ("values", "places")
places = [f(*arguments).ravel().tolist() for f in (by_onnxruntime, by_openvino)]
print(f"TopK, the first three of four equal numbers: {places[0]} and {places[1]}")
ok &= places == [[0, 1, 2], [1, 2, 0]]
raise SystemExit(not ok)
PY
