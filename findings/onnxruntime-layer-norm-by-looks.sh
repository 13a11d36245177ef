#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): what does the optimizer, at its default level, take for a layer normalization?
#
# Guess:   (x - mean) / sqrt(mean((x - mean)^2) + epsilon), scaled and moved, and nothing else; of a graph that differs in a number or in an
#          order it keeps the nodes. Its neighbours, which look for RMS normalization and Gelu, look at their constants.
# Seen:    whatever has these nodes in this order. The exponent is not looked at: normalization by the fourth moment, or by an exponent that
#          comes with the request, becomes layer normalization, and the request's number changes nothing. Nor is the order of what
#          is subtracted and divided: of mean - x every number of the result has the other sign, and the deviation divided by x - mean
#          becomes its inverse. From level "basic" on nine nodes are one LayerNormalization; without optimization all are right.
# Follows: outputs are compared at the level that serves. The setting optimization.disable_specified_optimizers (in Python the
#          argument disabled_optimizers=["LayerNormFusionL1", "LayerNormFusionL2"]) keeps the rest
#          of the optimizations; a Neg or Identity between two of the nodes keeps the fusion away as well.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
node, levels = helper.make_node, onnxruntime.GraphOptimizationLevel
x = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)

def model(exponent=2.0, difference=("x", "mean"), quotient=("difference", "deviation"), asked=False):
    nodes = [node("ReduceMean", ["x", "last"], ["mean"]), node("Sub", list(difference), ["difference"]), node("Pow", ["difference", "exponent"], ["power"]),
             node("ReduceMean", ["power", "last"], ["variance"]), node("Add", ["variance", "epsilon"], ["above"]), node("Sqrt", ["above"], ["deviation"]),
             node("Div", list(quotient), ["normal"]), node("Mul", ["normal", "scale"], ["scaled"]), node("Add", ["scaled", "bias"], ["y"])]
    constants = {"last": np.array([-1]), "epsilon": np.array(1e-5, np.float32), "scale": np.ones(8, np.float32), "bias": np.zeros(8, np.float32)}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8])]
    if asked:
        inputs.append(helper.make_tensor_value_info("exponent", TensorProto.FLOAT, []))
    else:
        constants["exponent"] = np.array(exponent, np.float32)
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 8])],
                              [numpy_helper.from_array(value, name) for name, value in constants.items()])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
    return file, {"x": x} | ({"exponent": np.array(exponent, np.float32)} if asked else {})

def run(file, inputs, level, disabled=()):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled)).run(None, inputs)[0]

def by_numpy(exponent, difference, quotient):
    values = {"x": x.astype(np.float64), "mean": x.astype(np.float64).mean(-1, keepdims=True)}
    values["difference"] = values[difference[0]] - values[difference[1]]
    values["deviation"] = np.sqrt((values["difference"] ** exponent).mean(-1, keepdims=True) + 1e-5)
    return values[quotient[0]] / values[quotient[1]]

usual = dict(exponent=2.0, difference=("x", "mean"), quotient=("difference", "deviation"))
layer_norm = by_numpy(**usual)
ok = True
for what, change in (("layer normalization", {}), ("fourth power", {"exponent": 4.0}), ("fourth power, asked for by the request", {"exponent": 4.0, "asked": True}),
                     ("mean - x", {"difference": ("mean", "x")}), ("deviation / (x - mean)", {"quotient": ("deviation", "difference")})):
    settings = usual | change
    file, inputs = model(**settings)
    settings.pop("asked", None)
    right = by_numpy(**settings)
    near = lambda a, b: bool(np.allclose(a, b, rtol=1e-3, atol=1e-4))
    for name, level, disabled in (("no optimization", levels.ORT_DISABLE_ALL, ()), ("basic", levels.ORT_ENABLE_BASIC, ()), ("all, the default", levels.ORT_ENABLE_ALL, ()),
                                  ("all but LayerNormFusionL1 and L2", levels.ORT_ENABLE_ALL, ["LayerNormFusionL1", "LayerNormFusionL2"])):
        y = run(file, inputs, level, disabled)
        print(f"{what}, {name}: {np.array2string(y[0, 0, :3], precision=3)}, {'right' if near(y, right) else 'layer normalization' if near(y, layer_norm) else 'neither'}")
        ok &= near(y, layer_norm if name in ("basic", "all, the default") else right)
raise SystemExit(not ok)
PY
