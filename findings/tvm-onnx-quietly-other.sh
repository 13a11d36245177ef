#!/usr/bin/env bash
# apache-tvm 0.27.0.post1 beside onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): does a file of ONNX that TVM compiles answer as in ONNX Runtime?
#
# Guess:   yes; what its reader does not know is an error with the operator's name, as it is for LSTM, and of 450 single nodes that compile nine in
#          ten agree. Versions and attributes that it knows by name are handled.
# Seen:    TopK of opset 10 gives one column whatever k is; of opset 11 it is right. Upsample by 2, which repeats each pixel, has some of
#          them once and others three times. Resize by a factor is done by the quotient of both sizes, as if sizes were given, so that 10 columns by
#          0.35 are other ones; antialias is passed over. IsInf finds infinities of the sign that it shall leave alone. ReduceLogSum
#          and ReduceSumSquare of no axes, with noop_with_empty_axes=1, are the number itself instead of its logarithm and square; ReduceSum is right.
#          ConvTranspose has another size than output_shape says. Nothing is said.
# Follows: what TVM compiled is compared with the file it came from, on a real picture, and for a k and factors that are those of the model.
#
# Fetches some 120 MB.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install apache-tvm==0.27.0.post1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat >"$work/compare.py" <<'PY'
import logging

import numpy as np, onnx, onnxruntime, tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

logging.disable(logging.CRITICAL)
onnxruntime.set_default_logger_severity(3)
noise = np.random.default_rng(0)

def both(operator, x, constants=(), opset=18, **attributes):
    """The first output in TVM and in ONNX Runtime."""
    names = ["" if value is None else f"c{i}" for i, value in enumerate(constants)]
    outputs = ["y", "z"] if operator == "TopK" else ["y"]
    graph = helper.make_graph([helper.make_node(operator, ["x", *names], outputs, **attributes)], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [onnx.ValueInfoProto(name=name) for name in outputs],
                              [numpy_helper.from_array(np.asarray(value), name) for value, name in zip(constants, names) if name])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))
    onnx.checker.check_model(model, full_check=True)
    right = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    program = tvm.compile(from_onnx(model, keep_params_in_input=False), target="llvm")
    result = relax.VirtualMachine(program, tvm.cpu())["main"](tvm.runtime.tensor(x))
    return (result.numpy() if hasattr(result, "numpy") else result[0].numpy()), right

ok = True
def say(what, wrong, *case, show=False, **attributes):
    global ok
    is_, right = both(*case, **attributes)
    if is_.shape != right.shape:
        difference = f"shape {is_.shape} instead of {right.shape}"
    else:
        difference = f"off by up to {np.abs(is_.astype(float) - right).max():.2g}"
    print(f"{what}: {difference}" + (f", {np.squeeze(is_).tolist()} instead of {np.squeeze(right).tolist()}" if show else ""))
    ok &= (is_.shape != right.shape or not np.allclose(is_, right, atol=1e-4)) == wrong

def normal(*shape):
    return noise.standard_normal(shape).astype(np.float32)

k, scores = np.array([3]), normal(5, 8)
say("TopK of opset 11, k=3", False, "TopK", scores, [k], 11)
say("TopK of opset 10, k=3", True, "TopK", scores, [k], 10)
row = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)
say("Upsample by 2", True, "Upsample", row, [], 7, mode="nearest", scales=[1.0, 1.0, 1.0, 2.0], show=True)
say("Upsample by 3", True, "Upsample", row, [], 7, mode="nearest", scales=[1.0, 1.0, 1.0, 3.0], show=True)
row = np.arange(10, dtype=np.float32).reshape(1, 1, 1, 10)
for mode in ("nearest", "linear"):
    say(f"Resize to 3 columns, {mode}", False, "Resize", row, [None, None, np.array([1, 1, 1, 3])], mode=mode)
    say(f"Resize by 0.35 to 3 columns, {mode}", True, "Resize", row, [None, np.array([1, 1, 1, 0.35], np.float32)], mode=mode, show=True)
picture, half = normal(1, 1, 8, 8), np.array([1, 1, 0.5, 0.5], np.float32)
say("Resize to half", False, "Resize", picture, [None, half], mode="linear")
say("Resize to half, antialias=1", True, "Resize", picture, [None, half], mode="linear", antialias=1)
infinite = np.array([np.inf, -np.inf, 1], np.float32)
say("IsInf", False, "IsInf", infinite)
say("IsInf, detect_negative=0", True, "IsInf", infinite, detect_negative=0, show=True)
say("IsInf, detect_positive=0", True, "IsInf", infinite, detect_positive=0, show=True)
positive = np.abs(normal(2, 3)) + 1
for operator, wrong in (("ReduceSum", False), ("ReduceLogSum", True), ("ReduceSumSquare", True)):
    say(f"{operator} of no axes", wrong, operator, positive, noop_with_empty_axes=1)
small, weights = normal(1, 2, 4, 4), normal(2, 2, 3, 3)
say("ConvTranspose, strides=2", False, "ConvTranspose", small, [weights], strides=[2, 2])
say("ConvTranspose, strides=2, output_shape=8 by 8", True, "ConvTranspose", small, [weights], strides=[2, 2], output_shape=[8, 8])
raise SystemExit(0 if ok else "TVM answers as ONNX Runtime, or in another way: this finding has changed")
PY
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore "$work/compare.py" 2>"$work/log" || {
    tail -5 "$work/log"
    exit 1
}
