#!/usr/bin/env bash
# onnxruntime 1.32.0 and openvino 2026.4.1 (PyPI, Linux x86_64, CPU): are Sigmoid and Softplus right where they are small?
#
# Guess:   yes, to some last digits, down to 1e-38: both are one exponential there, and a library that differs by more would be noticed. At
#          least a larger number gets a larger result.
# Seen:    each library has one of them right. ONNX Runtime's Sigmoid is exact to 1e-7 of 1, not of its result: below -10 digits go, from
#          -15 on the order (sigmoid of -17 is more than that of -16), and from -18 on it is 0, so that its logarithm is -inf where
#          -18 was meant; torch.onnx.export writes logsigmoid like that. OpenVINO's is exact. OpenVINO's Softplus is negative for one of
#          seven numbers between -30 and -5, which it never is: a deviation that a network gives by it has no logarithm or root.
#          ONNX Runtime's is exact.
# Follows: scores below 1e-6 rank nothing, and losses and log-probabilities are computed from logits, by LogSoftmax or -Softplus(-x) in ONNX
#          Runtime. That one engine's answers are all finite says nothing of another's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime, openvino
from onnx import TensorProto, helper

core = openvino.Core()

def run(x, *operators):
    """What onnxruntime and OpenVINO make of x by these operators, one after the other."""
    names = ["x", *(f"t{i}" for i in range(len(operators) - 1)), "y"]
    nodes = [helper.make_node(operator, [names[i]], [names[i + 1]]) for i, operator in enumerate(operators)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return session.run(None, {"x": x})[0], compiled({"x": x})[0]

ok = True
x = np.linspace(-30, -5, 2501).astype(np.float32)
exact = np.exp(x.astype(np.float64)) / (1 + np.exp(x.astype(np.float64)))
for name, y in zip(("onnxruntime", "openvino"), run(x, "Sigmoid")):
    parts = []
    for low, high in ((-30, -18), (-18, -15), (-12, -10), (-10, -5)):
        part = (x >= low) & (x < high)
        parts.append((float(np.abs(y[part] / exact[part] - 1).max()), float((y[part] == 0).mean()), float((np.diff(y[part]) < 0).mean())))
    print(f"Sigmoid by {name}:", "; ".join(f"{low} to {high} off by {off:.1e} of itself, {zero:.0%} are 0, {down:.0%} go down"
          for (low, high), (off, zero, down) in zip(((-30, -18), (-18, -15), (-12, -10), (-10, -5)), parts)))
    if name == "onnxruntime":
        ok &= parts[0][1] == 1 and parts[1][0] > 0.5 and parts[1][1] > 0 and parts[1][2] > 0.1 and 1e-3 < parts[2][0] < 0.1 and parts[3][0] < 1e-2
    else:
        ok &= all(off < 1e-5 and zero == 0 and down == 0 for off, zero, down in parts)
sixteen, seventeen, twenty = run(np.array([-16, -17, -20], np.float32), "Sigmoid")[0]
print(f"Sigmoid of -16, -17, -20 by onnxruntime: {sixteen:.2e}, {seventeen:.2e}, {twenty}")
ok &= seventeen > sixteen and twenty == 0
logarithm = [float(y[0]) for y in run(np.array([-20], np.float32), "Sigmoid", "Log")]
print(f"its logarithm at -20: {logarithm[0]} by onnxruntime, {logarithm[1]:.4f} by openvino")
ok &= logarithm[0] == -np.inf and abs(logarithm[1] + 20) < 1e-3
below = []
for name, y in zip(("onnxruntime", "openvino"), run(x, "Softplus")):
    below.append(float((y < 0).mean()))
    print(f"Softplus by {name}: {below[-1]:.0%} are negative, down to {min(float(y.min()), 0):.1e}; off by up to {np.abs(y - np.log1p(np.exp(x.astype(np.float64)))).max():.1e}")
rooted = [int(np.isnan(y).sum()) for y in run(x, "Softplus", "Sqrt")]
print(f"its square root: {rooted[0]} of {len(x)} are NaN by onnxruntime, {rooted[1]} by openvino")
ok &= below[0] == 0 and 0.05 < below[1] < 0.3 and rooted[0] == 0 and rooted[1] > 100
raise SystemExit(not ok)
PY
