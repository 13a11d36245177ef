#!/usr/bin/env bash
# onnxsim 0.8.1, onnxslim 0.1.98 and the optimizer of onnxscript 0.7.2 (PyPI), run by onnxruntime 1.32.0: does a simplified model answer as it did?
#
# Guess:   yes, to the last digits: each has tests of it, and of 250 small graphs with odd constants, and 400 random chains of operators, hardly one differs.
#          (That they freeze random numbers is onnx-optimizers-freeze-noise.sh.)
# Seen:    each has two steps that it takes for one. onnxsim makes one of two reductions, and forgets that the first keeps its axis: a mean over
#          height that keeps it, then over width, gives (n, c) instead of (n, c, 1), so that what is added behind is added elsewhere.
#          onnxslim multiplies a convolution's channels by a window along its last axis, where both have one length. onnxscript's, which
#          torch.onnx.export runs, merges Clip between -3 and -2 and a Relu behind it to a Clip at -2, where 0 is right. Nothing is said; each leaves the
#          others' cases alone.
# Follows: a file is compared after it was simplified, with onnxsim's own check_n as well, which is 0 by default.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxsim==0.8.1 onnxslim==0.1.98 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - 2>"$work/log" <<'PY' || { tail -20 "$work/log"; exit 1; }
import contextlib, io, logging
import numpy as np, onnx, onnxruntime, onnxscript.optimizer, onnxsim, onnxslim
from onnx import TensorProto, helper, numpy_helper

logging.disable(logging.CRITICAL)
onnxruntime.set_default_logger_severity(4)
node = helper.make_node

def model(nodes, given, made, constants):
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, made)],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)

def run(file, x):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(file.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]

tools = {"onnxsim": lambda file: onnxsim.simplify(file)[0], "onnxslim": onnxslim.slim, "onnxscript": onnxscript.optimizer.optimize}
random = np.random.default_rng(0)
means = [node("ReduceMean", ["x", "height"], ["rows"], keepdims=1), node("ReduceMean", ["rows", "width"], ["y"], keepdims=0)]
window = [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node("Mul", ["c", "window"], ["y"])]
clips = [node("Clip", ["x", "low", "high"], ["c"]), node("Relu", ["c"], ["y"])]
ok = True
for what, file, x, wrong in (
    ("two means, the first keeps its axis", model(means, [2, 3, 4, 4], [2, 3, 1], {"height": [2], "width": [3]}), (2, 3, 4, 4), {"onnxsim"}),
    ("a convolution times a window along 4 columns, 4 channels", model(window, [1, 2, 4, 4], [1, 4, 4, 4], {
        "w": random.standard_normal((4, 2, 3, 3)).astype(np.float32), "window": np.float32([0, 1, 1, 0])}), (1, 2, 4, 4), {"onnxslim"}),
    ("the same of 5 columns", model(window, [1, 2, 4, 5], [1, 4, 4, 5], {
        "w": random.standard_normal((4, 2, 3, 3)).astype(np.float32), "window": np.float32([0, 1, 1, 1, 0])}), (1, 2, 4, 5), set()),
    ("Clip between -3 and -2, then Relu", model(clips, [8], [8], {"low": np.float32(-3), "high": np.float32(-2)}), (8,), {"onnxscript"}),
    ("Clip between -3 and 2, then Relu", model(clips, [8], [8], {"low": np.float32(-3), "high": np.float32(2)}), (8,), set()),
):
    x = random.standard_normal(x).astype(np.float32)
    before = run(file, x)
    for name, tool in tools.items():
        with contextlib.redirect_stdout(io.StringIO()):
            after = run(tool(onnx.ModelProto.FromString(file.SerializeToString())), x)
        same = before.shape == after.shape and bool(np.allclose(before, after, atol=1e-5))
        print(f"{what}, {name}: {'the same' if same else f'{before.shape} {before.ravel()[:3].round(3).tolist()} was, {after.shape} {after.ravel()[:3].round(3).tolist()} is'}")
        ok &= same == (name not in wrong)
raise SystemExit(not ok)
PY
