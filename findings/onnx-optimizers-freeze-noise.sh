#!/usr/bin/env bash
# onnxslim 0.1.98, onnxsim 0.8.1 and the optimizer of onnxscript 0.7.2 (PyPI), which torch.onnx.export runs by default: does a model that
# draws random numbers still do so once it was made smaller?
#
# Guess:   yes. To fold constants means to fold what is always the same; each of the three has a list of operators to leave alone.
# Seen:    onnxslim draws once, while it optimizes, and writes the numbers into the file as a constant: RandomNormal, RandomUniform, their
#          Like of a constant, or of an input with a fixed shape, Bernoulli, Multinomial and Dropout in training mode. Every answer has
#          the same noise then, and the tool reports success. onnxscript's does so with Bernoulli and Dropout. onnxsim, and what ONNX
#          Runtime itself optimizes when it loads the file, leave all of them alone.
# Follows: a sampler that was slimmed gives one sample for ever, and no comparison of shapes finds it: ask twice. A noise that follows the
#          shape of an input of free size, as speech models have it, is safe in all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 onnxslim==0.1.98 onnxsim==0.8.1 onnxscript==0.7.2 numpy==2.4.6
cd "$work" # the optimizers may leave files behind
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime, onnxscript.optimizer, onnxsim, onnxslim
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
node = helper.make_node
constants = {"half": np.full(64, 0.5, np.float32), "ratio": np.float32(0.5), "true": np.bool_(True), "axis": np.array([0])}
sampled = [
    node("Unsqueeze", ["half", "axis"], ["row"]),
    node("Multinomial", ["row"], ["chosen"], sample_size=64),
    node("Cast", ["chosen"], ["number"], to=TensorProto.FLOAT),
    node("Squeeze", ["number", "axis"], ["noise"]),
]
shaped = [
    node("Shape", ["x"], ["shape"]),
    node("ConstantOfShape", ["shape"], ["zeros"]),
    node("RandomNormalLike", ["zeros"], ["noise"]),
]

def model(nodes, size):
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [size]) for name in "xy")
    graph = helper.make_graph([*nodes, node("Add", ["x", "noise"], ["y"])], "g", [x], [y],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)

def answers_differ(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    one, other = (session.run(None, {"x": np.zeros(64, np.float32)})[0] for _ in range(2))
    return bool((one != other).any())

tools = {
    "no tool": lambda model: model,
    "onnxslim": onnxslim.slim,
    "onnxscript": onnxscript.optimizer.optimize,
    "onnxsim": lambda model: onnxsim.simplify(model)[0],
}
both, slim = {"onnxslim", "onnxscript"}, {"onnxslim"}
ok = True
for what, nodes, size, expected in [
    ("RandomNormal", [node("RandomNormal", [], ["noise"], shape=[64])], "n", slim),
    ("RandomUniform", [node("RandomUniform", [], ["noise"], shape=[64])], "n", slim),
    ("RandomNormalLike of a constant", [node("RandomNormalLike", ["half"], ["noise"])], "n", slim),
    ("RandomNormalLike of a fixed shape", shaped, 64, slim),
    ("RandomNormalLike of a free shape", shaped, "n", set()),
    ("RandomNormalLike of an input", [node("RandomNormalLike", ["x"], ["noise"])], 64, set()),
    ("Bernoulli", [node("Bernoulli", ["half"], ["noise"])], "n", both),
    ("Multinomial", sampled, "n", slim),
    ("Dropout", [node("Dropout", ["half", "ratio", "true"], ["noise"])], "n", both),
]:
    frozen = {tool for tool, optimize in tools.items() if not answers_differ(optimize(model(nodes, size)))}
    print(f"{what}: frozen by {', '.join(sorted(frozen)) or 'none'}")
    ok &= frozen == expected
raise SystemExit(not ok)
PY
