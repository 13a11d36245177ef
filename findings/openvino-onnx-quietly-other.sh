#!/usr/bin/env bash
# openvino 2026.4.1 beside onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): are INT8 networks, and files of an older opset, the same in both?
#
# Guess:   yes; OpenVINO reads each version of an operator by a rule of its own, and the format of INT8 networks that ONNX Runtime's quantizer writes
#          is older than most of them. (Attributes that it reads past are openvino-skips-attributes.sh.)
# Seen:    QLinearConv with a scale for each output channel, as per_channel=True of the quantizer writes it, has the scales along the input
#          channels: where there are as many of both, the layer's outputs are wrong, by up to 255 of 255 where scales differ eightfold, and other numbers of
#          channels are refused, so that who sees a layer of 8 to 16 fail may cure that one. One scale for all is right. Softmax of opset 11 and 12, which sums over all axes
#          from its own on, sums over one, though of opset 7 it is right, and LogSoftmax is in all. The peepholes of an LSTM are passed over.
#          RoiAlign without sampling_ratio takes one sample of each bin, where the default is as many as the box has pixels. Nothing is said.
# Follows: a network quantized by channel goes to OpenVINO in QDQ format, which is right there; old files are compared before they move.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnx, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
noise = np.random.default_rng(0)
core = openvino.Core()
core.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32"})
FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
node = helper.make_node

def normal(*shape):
    return noise.standard_normal(shape).astype(np.float32)

def both(nodes, x, constants, opset=18):
    """The output y in OpenVINO, or its refusal, and in ONNX Runtime."""
    kind = UINT8 if x.dtype == np.uint8 else FLOAT
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, x.shape)], [helper.make_tensor_value_info("y", kind, None)],
                              [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))
    onnx.checker.check_model(model, full_check=True)
    file = model.SerializeToString()
    right = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    try:
        return core.compile_model(core.read_model(file), "CPU")([x])[0], right
    except RuntimeError:
        return None, right

ok = True
def say(what, got, least, most):
    global ok
    is_, right = got
    if is_ is None:
        print(f"{what}: OpenVINO refuses it")
        ok &= least is None
    else:
        off = float(np.abs(is_.astype(np.float64) - right).max())
        print(f"{what}: off by up to {off:.2g}")
        ok &= least is not None and least <= off <= most

for inputs, outputs, by_channel, least, most in ((8, 8, False, 0, 1), (8, 16, False, 0, 1), (8, 8, True, 50, 255), (8, 16, True, None, None)):
    x = noise.integers(0, 255, (1, inputs, 6, 6)).astype(np.uint8)
    constants = {"xs": np.float32(0.1), "xz": np.uint8(100), "w": noise.integers(-100, 100, (outputs, inputs, 3, 3)).astype(np.int8),
                 "ws": (0.05 * np.arange(1, outputs + 1)).astype(np.float32) if by_channel else np.float32(0.1), "wz": np.int8(0), "ys": np.float32(6), "yz": np.uint8(128)}
    constants = {name: np.asarray(value) for name, value in constants.items()}
    what = f"convolution, {inputs} to {outputs} channels, {'a scale for each' if by_channel else 'one scale'}"
    say(f"QLinearConv, {what}", both([node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])], x, constants), least, most)
    if by_channel:
        constants["wz"] = np.zeros(outputs, np.int8)
        say(f"QDQ, {what}", both([node("DequantizeLinear", ["x", "xs", "xz"], ["xf"]), node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
                                  node("Conv", ["xf", "wf"], ["yf"]), node("QuantizeLinear", ["yf", "ys", "yz"], ["y"])], x, constants), 0, 1)

x = normal(2, 3, 4)
for operator, opset, least, most in (("Softmax", 7, 0, 1e-5), ("Softmax", 11, 0.1, 1), ("Softmax", 12, 0.1, 1), ("Softmax", 13, 0, 1e-5), ("LogSoftmax", 11, 0, 1e-5), ("Hardmax", 11, 0, 1e-5)):
    got = both([node(operator, ["x"], ["y"], axis=1)], x, {}, opset)
    say(f"{operator} of opset {opset}, axis=1", got, least, most)
    if operator == "Softmax" and least:
        print(f"   a picture's numbers add up to {got[0][0].sum():.3g}, and to {got[1][0].sum():.3g} in ONNX Runtime")

x = normal(5, 2, 3)
weights = {"w": normal(1, 16, 3), "r": normal(1, 16, 4), "b": normal(1, 32), "h": np.zeros((1, 2, 4), np.float32)}
plain = both([node("LSTM", ["x", "w", "r", "b", "", "h", "h"], ["y"], hidden_size=4)], x, weights)
peepholes = both([node("LSTM", ["x", "w", "r", "b", "", "h", "h", "p"], ["y"], hidden_size=4)], x, weights | {"p": normal(1, 12)})
say("LSTM", plain, 0, 1e-5)
say("LSTM with peepholes", peepholes, 0.05, 2)
print(f"   it is that without peepholes: {np.array_equal(plain[0], peepholes[0])}")
ok &= np.array_equal(plain[0], peepholes[0])

x, boxes = normal(1, 1, 16, 16), {"boxes": np.array([[0, 0, 12, 12]], np.float32), "pictures": np.array([0])}
results = {}
for ratio, least, most in ((0, 0, 1e-5), (1, 0, 1e-5), (None, 0.1, 3)):
    attributes = dict(output_height=2, output_width=2) | ({} if ratio is None else {"sampling_ratio": ratio})
    results[ratio] = both([node("RoiAlign", ["x", "boxes", "pictures"], ["y"], **attributes)], x, boxes)
    say(f"RoiAlign, sampling_ratio {ratio}", results[ratio], least, most)
print(f"   without it is that of 1: {np.array_equal(results[None][0], results[1][0])}, and that of 0 in ONNX Runtime: {np.array_equal(results[None][1], results[0][1])}")
ok &= np.array_equal(results[None][0], results[1][0]) and np.array_equal(results[None][1], results[0][1])
raise SystemExit(0 if ok else "OpenVINO answers as ONNX Runtime, or in another way: this finding has changed")
PY
