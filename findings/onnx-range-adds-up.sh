#!/usr/bin/env bash
# onnxruntime 1.32.0 and openvino 2026.4.1 (PyPI, Linux x86_64, CPU): which numbers, and how many, are Range(start, limit, delta) of FP32?
#
# Guess:   start + i * delta, as the operator's definition has it, each rounded once; both engines have the same, and as many as the definition says.
# Seen:    both add delta to the number before, in FP32, so that every rounding stays in all that follow. Of Range(0, 20000, 0.1) the last
#          number is 19959.4 in ONNX Runtime and 19960.8 in OpenVINO, and not 19999.9; an hour by hundredths of a second is two or three
#          seconds off at its end, and goes beyond the limit. Steps such as 0.125 are exact. OpenVINO gives one number less where
#          the definition has 10001, and all of it is right there if the three are constants of the file: it folds them by another code.
# Follows: axes of time and position are Range of whole numbers, times the step. What is checked with short sequences drifts with long ones.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
core = openvino.Core()

def model(values, fixed):
    names = ["start", "limit", "delta"]
    graph = helper.make_graph([helper.make_node("Range", names, ["y"])], "g",
                              [] if fixed else [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in names],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
                              [numpy_helper.from_array(value, name) for name, value in zip(names, values)] if fixed else [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString(), {} if fixed else dict(zip(names, values))

def by_onnxruntime(values, fixed):
    file, inputs = model(values, fixed)
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, inputs)[0]

def by_openvino(values, fixed):
    file, inputs = model(values, fixed)
    return core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs)[0]

ok = True
for limit, delta in ((20000, 0.1), (100, 0.01), (3600, 0.01), (20000, 0.125)):
    values = [np.array(value, np.float32) for value in (0, limit, delta)]
    step = float(values[2])
    exact = np.arange(int(np.ceil(limit / step))) * step
    for name, engine in (("onnxruntime", by_onnxruntime), ("openvino", by_openvino)):
        for fixed in (False, True):
            y = engine(values, fixed)
            off = np.abs(y - exact[: len(y)]).max()
            print(f"{name}: Range(0, {limit}, {delta}){' of constants' if fixed else ''}: {len(y)} numbers of {len(exact)}, up to {off:.4g} off, the last one is {y[-1]:.6g}")
            if delta == 0.1:
                ok &= bool(off < 0.01 if fixed and name == "openvino" else off > 20)
            elif delta == 0.01:
                ok &= len(y) == len(exact) - (name == "openvino" and not fixed)
            elif delta == 0.125:
                ok &= bool(off == 0) and len(y) == len(exact)
raise SystemExit(not ok)
PY
