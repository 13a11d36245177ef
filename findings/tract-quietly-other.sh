#!/usr/bin/env bash
# tract 0.23.9 beside onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): does tract answer as ONNX Runtime, where it loads the file?
#
# Guess:   yes: its authors run onnx's own cases, and what it has no rule for is an error with the node's name. Of 563 single nodes with settings of
#          all kinds most agree. A recurrent network is right in each direction if it is in both.
# Seen:    an LSTM, GRU or RNN with direction="reverse" is computed from the front to the back, as "forward", bit for bit; "bidirectional" is
#          right. Their activations are left as they are by default, and clip and input_forget are passed over. ReduceLogSumExp of 1000 is inf,
#          as the formula has it, and Celu with an alpha of 0.3 is 0.7 off. All load and run without a word.
# Follows: reverse layers, which exporters write for one half of a network that is read in both directions, are compared before a model
#          moves to tract. As one half of a bidirectional node they are right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install tract==0.23.9 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - "$work/model.onnx" <<'PY'
import sys

import numpy as np, onnx, onnxruntime, tract
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
noise = np.random.default_rng(0)

def normal(*shape):
    return noise.standard_normal(shape).astype(np.float32)

def outputs(operator, x, constants, attributes):
    """The first output in both, in this order."""
    names = [f"c{i}" for i in range(len(constants))]
    graph = helper.make_graph([helper.make_node(operator, ["x", *names], ["y"], **attributes)], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(value, name) for name, value in zip(names, constants)])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, sys.argv[1])
    engine = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    return (tract.onnx().load(sys.argv[1]).into_model().into_runnable().run([x])[0].to_numpy(), engine.run(None, {"x": x})[0])

ok = True
for operator, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
    x = normal(6, 2, 3)
    for direction, ways in (("forward", 1), ("bidirectional", 2), ("reverse", 1)):
        weights = [normal(ways, gates * 4, 3), normal(ways, gates * 4, 4), normal(ways, 2 * gates * 4)]
        settings = {"hidden_size": 4, "direction": direction}
        is_, should = outputs(operator, x, weights, settings)
        print(f"{operator}, {direction}: off by up to {np.abs(is_ - should).max():.2g}")
        if direction == "reverse":
            forward = outputs(operator, x, weights, settings | {"direction": "forward"})
            print(f"   it is that of \"forward\": {np.array_equal(is_, forward[0])}")
            ok &= np.array_equal(is_, forward[0]) and np.abs(is_ - should).max() > 0.1
        else:
            ok &= np.abs(is_ - should).max() < 1e-5
    weights = [normal(1, gates * 4, 3), normal(1, gates * 4, 4), normal(1, 2 * gates * 4)]
    usual = outputs(operator, x, weights, {"hidden_size": 4})[0]
    of_its_own = {"LSTM": ["HardSigmoid", "Softsign", "Softsign"], "GRU": ["HardSigmoid", "Softsign"], "RNN": ["Softsign"]}[operator]
    for what in [{"activations": of_its_own}, {"clip": 0.5}] + [{"input_forget": 1}] * (operator == "LSTM"):
        is_, should = outputs(operator, x, weights, {"hidden_size": 4} | what)
        print(f"{operator}, {what}: off by up to {np.abs(is_ - should).max():.2g}, as without: {np.array_equal(is_, usual)}")
        ok &= np.abs(is_ - should).max() > 0.05 and np.array_equal(is_, usual)
for operator, x, constants, attributes, wrong in (("ReduceLogSumExp", np.array([1, 2], np.float32), [np.array([0])], {"keepdims": 0}, False),
                                                  ("ReduceLogSumExp", np.array([1000, 1001], np.float32), [np.array([0])], {"keepdims": 0}, True),
                                                  ("Celu", np.array([-5, -1, 2], np.float32), [], {}, False),
                                                  ("Celu", np.array([-5, -1, 2], np.float32), [], {"alpha": 0.3}, True)):
    is_, should = outputs(operator, x, constants, attributes)
    print(f"{operator} of {x.tolist()} {attributes}: {is_.tolist()}, and {should.tolist()} in ONNX Runtime")
    ok &= np.allclose(is_, should, atol=1e-4) != wrong
raise SystemExit(0 if ok else "tract answers as ONNX Runtime, or in another way: this finding has changed")
PY
