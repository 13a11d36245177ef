#!/usr/bin/env bash
# onnx-graphsurgeon 0.6.1 and polygraphy 0.53.6 (PyPI), with which files are prepared for TensorRT, run by onnxruntime 1.32.0: does a model answer as before
# its constants were folded?
#
# Guess:   yes, to the last bit: a shape that is known is whole numbers, and 560 single nodes of all kinds come back equal.
# Seen:    Shape has had a start and an end since opset 15 (2021), by which exporters ask for one size, and both read past them: it becomes the whole
#          shape. A mean that is a sum divided by the size of the last axis divides the columns of five rows of 3 by 5, 3 and 8 instead of
#          all by 8. Where three numbers do not fit, the file no longer loads. As long as any size of the tensor is open nothing is folded, so that a
#          file with a free batch is right, and goes wrong when its batch is fixed, as `polygraphy surgeon sanitize` does in one step
#          (--override-input-shapes, --fold-constants). ONNX Runtime, onnxsim and onnxslim fold the same Shape rightly.
# Follows: a file is compared after it was prepared, not before; Shape and Gather in the stead of start and end are folded rightly.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnx-graphsurgeon==0.6.1 polygraphy==0.53.6 onnxsim==0.8.1 onnxslim==0.1.98 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 sympy==1.14.0 colored==2.3.2
cd "$work"
ORT_DISABLE_TELEMETRY=1 POLYGRAPHY_AUTOINSTALL_DEPS=0 venv/bin/python -W ignore - 2>log <<'PY' || { tail -5 log; exit 1; }
import contextlib, io, subprocess

import numpy as np, onnx, onnx_graphsurgeon, onnxruntime, onnxsim, onnxslim
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
node = helper.make_node
x = np.random.default_rng(0).random((5, 3, 8)).astype(np.float32)

def mean(size, shape):
    """A mean over the last axis, by a sum and the size of that axis."""
    nodes = [node("ReduceSum", ["x", "last"], ["sum"], keepdims=0), *size, node("Cast", ["size"], ["divisor"], to=TensorProto.FLOAT), node("Div", ["sum", "divisor"], ["y"])]
    constants = {"last": np.array([2]), "third": np.array([2])}
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 3])],
                              [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))
    onnx.checker.check_model(model, full_check=True)
    return model

def run(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]

def graphsurgeon(model):
    return onnx_graphsurgeon.export_onnx(onnx_graphsurgeon.import_onnx(model).fold_constants().cleanup())

def polygraphy(model):
    onnx.save(model, "in.onnx")
    subprocess.run(["venv/bin/polygraphy", "surgeon", "sanitize", "in.onnx", "--fold-constants", "--override-input-shapes", "x:[5,3,8]", "-o", "out.onnx"], check=True, capture_output=True)
    return onnx.load("out.onnx")

by_end = [node("Shape", ["x"], ["size"], start=2, end=3)]
by_gather = [node("Shape", ["x"], ["all"]), node("Gather", ["all", "third"], ["size"])]
ok = True
for what, size in (("Shape with start and end", by_end), ("Shape and Gather", by_gather)):
    for batch in ("n", 5):
        for tool, fold in (("graphsurgeon", graphsurgeon), ("polygraphy", polygraphy), ("onnxsim", lambda model: onnxsim.simplify(model)[0]), ("onnxslim", onnxslim.slim)):
            model = mean(size, [batch, 3, 8])
            right = run(model)
            with contextlib.redirect_stdout(io.StringIO()):
                folded = fold(model)
            ratio = (run(folded) / right).mean(0)
            print(f"{what}, batch {batch}, {tool}: {np.round(ratio, 3).tolist()} of the mean")
            wrong = size is by_end and (tool == "polygraphy" or tool == "graphsurgeon" and batch == 5)
            ok &= np.allclose(right, x.mean(2), atol=1e-5) and np.allclose(ratio, [8 / 5, 8 / 3, 1] if wrong else [1, 1, 1], atol=1e-3)
raise SystemExit(0 if ok else "folding keeps what a model answers, or changes it in another way: this finding has changed")
PY
