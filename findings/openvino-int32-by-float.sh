#!/usr/bin/env bash
# openvino 2026.4.1 beside onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): are two INT32 numbers that differ by one equal?
#
# Guess:   no. That INT64 is cut to 32 bits is known (openvino-int64-by-origin.sh); within 32 bits whole numbers are whole numbers, and the
#          hint says f32 for what is floating.
# Seen:    from 2^24 on they are: Equal(16777217, 16777216) is true, and Greater and Less are false. Equal, Greater, Less, Div, Mod and ReduceMax turn
#          their whole numbers to FP32 and back. 1000000007 % 7 is 64, a remainder larger than the divisor; 123456789 / 3 is one too
#          many; the largest of 2^31 - 1 alone is -2^31. Add, Sub, Mul, TopK and ArgMax are exact.
# Follows: ids are not compared, and not put in buckets by a remainder, inside of such a model: another's row is found, or none. Times in
#          seconds have been beyond 2^24 since July 1970.
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

def both(operator, *values, result=TensorProto.INT32):
    inputs = {f"x{index}": np.array(value, np.int32) for index, value in enumerate(values)}
    graph = helper.make_graph([helper.make_node(operator, list(inputs), ["y"])], "g",
                              [helper.make_tensor_value_info(name, TensorProto.INT32, ["n"]) for name in inputs], [helper.make_tensor_value_info("y", result, None)])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    run = core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, inputs)[0], run(inputs)[0]
    return [each.ravel().tolist() for each in results]

ok = True
BOOL = TensorProto.BOOL
for operator, values, result, wanted in (
    ("Equal", ([16777217], [16777216]), BOOL, ([False], [True])),
    ("Greater", ([16777217], [16777216]), BOOL, ([True], [False])),
    ("Less", ([1764547200], [1764547260]), BOOL, ([True], [False])),
    ("Mod", ([1000000007], [7]), TensorProto.INT32, ([6], [64])),
    ("Div", ([123456789], [3]), TensorProto.INT32, ([41152263], [41152264])),
    ("ReduceMax", ([2147483647],), TensorProto.INT32, ([2147483647], [-2147483648])),
    ("Sub", ([16777217], [16777216]), TensorProto.INT32, ([1], [1])),
    ("Mul", ([41152263], [3]), TensorProto.INT32, ([123456789], [123456789])),
):
    got = both(operator, *values, result=result)
    print(f"{operator} of {values}: onnxruntime {got[0]}, openvino {got[1]}")
    ok &= tuple(got) == wanted
raise SystemExit(not ok)
PY
