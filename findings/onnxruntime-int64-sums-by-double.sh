#!/usr/bin/env bash
# onnxruntime 1.31.1 and 1.32.0 (PyPI, Linux x86_64, CPU): is the sum of one INT64 number that number?
#
# Guess:   yes. INT64 has kernels of its own for all of arithmetic, is handed on exactly, and ONNX Runtime is the engine that is right where OpenVINO
#          cuts ids (openvino-int64-by-origin.sh).
# Seen:    from 2^53 on not: ReduceSum, ReduceProd, ReduceMean and ReduceL1 of INT64 are computed as FP64, so that the sum of 9007199254740993
#          alone is 9007199254740992, and of ids that are looked up by a mask, as where(mask, id, 0).sum() does, every second one is another's.
#          Products beyond 2^63 are 2^63 - 1 instead of going round, and ReduceSumSquare is that for INT32 as well, from 46341 squared on. Pow is by
#          FP64, too: 3^34 is one too many. Add, Mul, Mod, Div, CumSum, MatMul, Einsum and ScatterElements with reduction="add" are exact.
# Follows: ids are picked by Gather or by MatMul with ones, not by a sum; times in nanoseconds, which have been beyond 2^53 since April 1970, are
#          not summed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/compare.py" <<'PY'
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
print("onnxruntime", onnxruntime.__version__)

def run(operator, x, second, **attributes):
    kind = {np.dtype(np.int64): TensorProto.INT64, np.dtype(np.int32): TensorProto.INT32}[x.dtype]
    graph = helper.make_graph([helper.make_node(operator, ["x", "second"], ["y"], **attributes)], "g", [helper.make_tensor_value_info("x", kind, x.shape)],
                              [helper.make_tensor_value_info("y", kind, None)], [numpy_helper.from_array(np.asarray(second), "second")])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]

ok = True
def say(what, is_, exact, seen):
    global ok
    print(f"{what}: {is_}" + ("" if is_ == exact else f" instead of {exact}"))
    ok &= is_ == seen

first, most = 2**53 + 1, 2**63 - 1
one, axis = np.array([first]), np.array([0])
for operator in ("ReduceSum", "ReduceProd", "ReduceMean", "ReduceL1"):
    say(f"{operator} of one number", int(run(operator, one, axis, keepdims=0)), first, first - 1)
say("ReduceMax of one number", int(run("ReduceMax", one, axis, keepdims=0)), first, first)
say("CumSum of one number", int(run("CumSum", one, np.array(0))[0]), first, first)
say("MatMul of one number and 1", int(run("MatMul", one, np.array([1]))), first, first)
say("Einsum of one number and 1", int(run("Einsum", one, np.array([1]), equation="i,i->")), first, first)
say("Add of 0", int(run("Add", one, np.array([0]))[0]), first, first)
ids = first + np.arange(1000)
masked = run("ReduceSum", np.diag(ids), np.array([1]), keepdims=0)
say("ids found by a mask that are others", int((masked != ids).sum()), 0, 500)
large = np.array([2**62, 2, 3])
say("ReduceProd beyond 2^63", int(run("ReduceProd", large, axis, keepdims=0)), int(large.prod()), most)
square = np.array([46341], np.int32)
say("ReduceSumSquare of INT32 beyond 2^31", int(run("ReduceSumSquare", square, axis, keepdims=0)), int((square * square)[0]), 2**31 - 1)
say("Mul of INT32 beyond 2^31", int(run("Mul", square, square)[0]), int((square * square)[0]), int((square * square)[0]))
say("3^34 by Pow", int(run("Pow", np.array([3]), np.array([34]))[0]), 3**34, 3**34 + 1)
raise SystemExit(0 if ok else "ONNX Runtime sums INT64 exactly, or in another way: this finding has changed")
PY
python3 -m venv "$work/venv"
for version in 1.31.1 1.32.0; do
    "$work/venv/bin/pip" --quiet install "onnxruntime==$version" onnx==1.23.2 numpy==2.4.6
    ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore "$work/compare.py"
done
