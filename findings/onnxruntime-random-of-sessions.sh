#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, CPU): do two sessions of a model that draws random numbers, without a seed, draw different ones?
#
# Guess:   yes; "if not specified we will auto generate one" says the operator's definition of its seed, and a session is made anew. And
#          two random nodes of one graph are independent of each other.
# Seen:    the seed is taken once for each process, from the clock: every session of a process begins with the same numbers and goes on
#          with the same ones, RandomNormal, RandomUniform, Bernoulli and Multinomial alike; another process has others. A node's seed is
#          that one plus the node's place in the graph, and what a uniform draw begins with is nearly proportional to it: the first numbers
#          of ten nodes side by side are within 0.0001 of each other, the second ones climb by 0.13 from node to node. With seed=1.0 the
#          first number is 7.8e-06, and the sequence goes on from run to run, so that not even a model with a seed answers twice alike.
# Follows: a model that samples, loaded by several instances, gives every draw once from each of them; a reload begins again. Noise comes
#          as an input from whoever wants it fresh, or the same again.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat >"$work/draw.py" <<'PY'
import json
import numpy as np, onnxruntime
from onnx import TensorProto, helper

FLOAT, INT32 = TensorProto.FLOAT, TensorProto.INT32

def session(nodes, *outputs):
    x = helper.make_tensor_value_info("x", FLOAT, [1, 64])
    outputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], outputs), opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

x = np.full((1, 64), 0.5, np.float32)
result = {}
for name, node, kind in (
    ("RandomNormal", helper.make_node("RandomNormal", [], ["y"], shape=[64]), FLOAT),
    ("RandomUniform", helper.make_node("RandomUniform", [], ["y"], shape=[64]), FLOAT),
    ("Bernoulli", helper.make_node("Bernoulli", ["x"], ["y"]), FLOAT),
    ("Multinomial", helper.make_node("Multinomial", ["x"], ["y"], sample_size=64), INT32),
):
    first, second = (session([node], ("y", kind)) for _ in range(2))
    draws = [each.run(None, {"x": x})[0].ravel().tolist() for each in (first, first, second, second)]
    result[name] = draws
nodes = [helper.make_node("RandomUniform", [], [f"y{i}"], shape=[2]) for i in range(10)]
result["side by side"] = [y.tolist() for y in session(nodes, *((f"y{i}", FLOAT) for i in range(10))).run(None, {"x": x})]
seeded = session([helper.make_node("RandomUniform", [], ["y"], shape=[2], seed=1.0)], ("y", FLOAT))
result["seed"] = [seeded.run(None, {"x": x})[0].tolist() for _ in range(2)]
print(json.dumps(result))
PY
cat >"$work/look.py" <<'PY'
import json, sys

one, other = (json.load(open(path)) for path in sys.argv[1:])
ok = True
for name in ("RandomNormal", "RandomUniform", "Bernoulli", "Multinomial"):
    a, a_again, b, b_again = one[name]
    print(f"{name}: two sessions alike: {a == b} and in the next run {a_again == b_again}; two runs alike: {a == a_again}; "
          f"two processes alike: {a == other[name][0]}")
    ok &= a == b and a_again == b_again and a != a_again and a != other[name][0]
for process in (one, other):
    first = [y[0] for y in process["side by side"]]
    # One of two hundred thousand starts wraps from 1 to 0 within the ten.
    print(f"first numbers of ten nodes: {first[0]:.6f} to {first[-1]:.6f}; second numbers: {[round(y[1], 3) for y in process['side by side']]}")
    ok &= (first[-1] - first[0]) % 1 < 1e-4
    print("seed=1.0, two runs:", process["seed"])
    ok &= process["seed"][0] != process["seed"][1] and process["seed"] == one["seed"] and process["seed"][0][0] < 1e-5
raise SystemExit(not ok)
PY
for process in one other; do
    ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" "$work/draw.py" >"$work/$process"
done
"$work/venv/bin/python" "$work/look.py" "$work/one" "$work/other"
