#!/usr/bin/env bash
# onnx 1.23.2 and onnxscript 0.7.2 (PyPI), run by onnxruntime 1.32.0: does a model that was brought to a newer opset compute the same?
#
# Guess:   yes, or the converter says that it cannot: that is its whole task, and the files are old, not odd. Both packages have a
#          version_converter; the one written in Python is the newer and better one.
# Seen:    each breaks in silence what the other keeps. onnx's shifts a bilinear Upsample or Resize of opset 9 or 10 by a part of a pixel
#          (nearest stays), and makes Hardmax one of the last axis only; it converts Softmax and RoiAlign rightly. onnxscript's takes a file
#          below opset 18 without a word, writes 18 on it, and changes none of its nodes: Softmax and LogSoftmax sum over another axis, RoiAlign
#          reads half a pixel aside, and what has other inputs since (Clip, Pad, TopK, Unsqueeze) does not load. fallback=True hands the
#          file to onnx's.
# Follows: a model is served in the opset that it came in; ONNX Runtime has kernels for all of them. Whoever converts compares outputs.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime
import onnx.version_converter, onnxscript.version_converter
from onnx import TensorProto, helper, numpy_helper
from onnxscript import ir

picture = np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32)
double = {"scales": np.array([1, 1, 2, 2], np.float32)}
boxes = {"rois": np.array([[0, 0, 4, 4], [1, 1, 5, 3]], np.float32), "batch": np.array([0, 1])}

def by_onnx(model):
    return onnx.version_converter.convert_version(model, 18)

def by_onnxscript(model):
    model = ir.from_proto(model)
    onnxscript.version_converter.convert_version(model, 18)
    return ir.to_proto(model)

def run(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": picture})[0]

def compare(operator, opset, constants={}, **attributes):
    node = helper.make_node(operator, ["x", *constants], ["y"], **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 6, 6])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    exact, seen = run(model), []
    for convert in (by_onnx, by_onnxscript):
        newer = convert(model)
        newer.ir_version = 8
        assert [each.version for each in newer.opset_import if each.domain == ""] == [18]
        try:
            got = run(newer)
        except Exception:
            seen.append("does not load")
            continue
        assert got.shape == exact.shape
        off = float(np.abs(got - exact).max())
        seen.append("same" if off < 1e-5 else "other" if off > 0.05 else f"off by {off:.1e}")
    return seen

ok = True
for operator, opset, constants, attributes, expected in [
    ("Upsample", 9, double, {"mode": "linear"}, ["other", "does not load"]),
    ("Upsample", 9, double, {"mode": "nearest"}, ["same", "does not load"]),
    ("Resize", 10, double, {"mode": "linear"}, ["other", "does not load"]),
    ("Hardmax", 11, {}, {"axis": 1}, ["other", "other"]),
    ("Softmax", 11, {}, {"axis": 1}, ["same", "other"]),
    ("LogSoftmax", 11, {}, {"axis": 2}, ["same", "other"]),
    ("RoiAlign", 10, boxes, {"output_height": 3, "output_width": 3}, ["same", "other"]),
    ("Clip", 7, {}, {"min": 0.0}, ["same", "does not load"]),
    ("LRN", 7, {}, {"size": 3}, ["same", "same"]),
    ("AveragePool", 7, {}, {"kernel_shape": [3, 3]}, ["same", "same"]),
]:
    seen = compare(operator, opset, constants, **attributes)
    print(f"{operator} of opset {opset} {attributes}: by onnx {seen[0]}, by onnxscript {seen[1]}")
    ok &= seen == expected
raise SystemExit(not ok)
PY
