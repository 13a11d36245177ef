#!/usr/bin/env bash
# openvino 2026.4.1 beside onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): what is a number that was cast to FP16, or FP8, and back?
#
# Guess:   the nearest number of the narrow type, infinite beyond 65504; that is what both casts are in a graph for. FP8 ends at 448, as Cast
#          saturates by default.
# Seen:    OpenVINO removes the pair, as if it did nothing: 1/3 keeps all digits and 1e6 stays 1e6, and the same where FP16 goes on to INT32. With FP8
#          in the middle numbers are rounded, and beyond 448 they are NaN, as with saturate=0, which nobody said. ONNX Runtime does what
#          the file says, at every level of optimization.
# Follows: a model that rounds on purpose, to answer as its FP16 form does or to imitate quantization, does not in OpenVINO; FP8 is clipped
#          before the cast.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime, openvino
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(3)
core = openvino.Core()
x = np.array([1 / 3, 300.3, 500, 70000, 1e6], np.float32)

def both(narrow, last):
    nodes = [helper.make_node("Cast", ["x"], ["narrow"], to=narrow), helper.make_node("Cast", ["narrow"], ["y"], to=last)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])], [helper.make_tensor_value_info("y", last, ["n"])])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    run = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0], run({"x": x})[0]

print("numbers:", x.tolist())
exact, got = both(TensorProto.FLOAT16, TensorProto.FLOAT)
print(f"by FP16: onnxruntime {exact.tolist()}, openvino {got.tolist()}")
ok = bool((exact == x.astype(np.float16).astype(np.float32)).all() and (got == x).all())
exact, got = both(TensorProto.FLOAT16, TensorProto.INT32)
print(f"by FP16 to INT32: openvino {got.tolist()}")
ok &= got[3:].tolist() == [70000, 1000000]
exact, got = both(TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT)
print(f"by FP8: onnxruntime {exact.tolist()}, openvino {got.tolist()}")
ok &= bool(np.isnan(got[2:]).all()) and exact[2:].tolist() == [448, 448, 448] and bool((exact[:2] == got[:2]).all())
raise SystemExit(not ok)
PY
