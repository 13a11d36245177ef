#!/usr/bin/env bash
# openvino 2026.4.1 beside onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): does NonMaxSuppression keep a box whose overlap is the threshold itself?
#
# Guess:   yes: the threshold is for boxes that overlap too much, and ONNX Runtime, TensorFlow and torchvision drop what is above it. At least a
#          box that touches no other is kept.
# Seen:    OpenVINO drops it. A half of a box is gone at 0.5. And the threshold's default is 0, which boxes that are apart have as well: with 0,
#          or without the input, of all boxes of a class only the best is left, wherever the others are. ONNX Runtime keeps all of
#          them. With 1, which means to drop nothing, OpenVINO drops equal boxes.
# Follows: a detector that is moved between both engines has its threshold as an input that is no round number; 0 is written as 1e-6.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
core = openvino.Core()

def kept(boxes, scores, threshold):
    constants = {"most": np.array([len(boxes)])} | ({} if threshold is None else {"threshold": np.array([threshold], np.float32)})
    graph = helper.make_graph([helper.make_node("NonMaxSuppression", ["boxes", "scores", *constants], ["y"])], "g",
                              [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, len(boxes), 4]), helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, len(boxes)])],
                              [helper.make_tensor_value_info("y", TensorProto.INT64, ["n", 3])], [numpy_helper.from_array(value, name) for name, value in constants.items()])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    inputs = {"boxes": np.array([boxes], np.float32), "scores": np.array([[scores]], np.float32)}
    run = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, inputs)[0], run(inputs)[0]
    return [result[:, 2].tolist() for result in results]

halves = [[0, 0, 8, 8], [0, 0, 8, 4], [0, 4, 8, 8]], [0.9, 0.8, 0.7]
apart = [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5], [6, 6, 7, 7]], [0.9, 0.8, 0.7, 0.6]
ok = True
for what, case, threshold, wanted in (
    ("a box and its two halves, threshold 0.5", halves, 0.5, ([0, 1, 2], [0])),
    ("the same, threshold 0.51", halves, 0.51, ([0, 1, 2], [0, 1, 2])),
    ("four boxes apart, threshold 0", apart, 0.0, ([0, 1, 2, 3], [0])),
    ("four boxes apart, no threshold, which is 0", apart, None, ([0, 1, 2, 3], [0])),
    ("four boxes apart, threshold 1e-6", apart, 1e-6, ([0, 1, 2, 3], [0, 1, 2, 3])),
    ("twice the same box, threshold 1", ([apart[0][0]] * 2, [0.9, 0.8]), 1.0, ([0, 1], [0])),
):
    got = kept(*case, threshold)
    print(f"{what}: onnxruntime keeps {got[0]}, openvino {got[1]}")
    ok &= tuple(got) == wanted
raise SystemExit(not ok)
PY
