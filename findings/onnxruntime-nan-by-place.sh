#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): what is the largest of numbers of which one is no number?
#
# Guess:   NaN, as in NumPy and PyTorch: ReduceMax and MaxPool let it through, and ArgMax and TopK find its place.
# Seen:    it depends on the operator, and on the place. TopK finds it anywhere. ReduceMax and ReduceMin give NaN for the first place alone,
#          else the largest of the others. ArgMax finds it at every fourth place, GlobalMaxPool gives NaN for the last fourth place alone:
#          the lanes of a vector are compared one by one at the end.
# Follows: a classifier that ends in ArgMax answers with a class, and nothing tells that its scores were none. Whoever wants to notice
#          broken numbers looks at the scores, not at what the graph makes of them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" - <<'PY'
import numpy as np, onnxruntime
from onnx import TensorProto, helper, numpy_helper

def session(operator, outputs=("y",), result=TensorProto.FLOAT, inputs=("x",), weights=(), **attributes):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    y = helper.make_tensor_value_info("y", result, None)
    node = helper.make_node(operator, inputs, outputs, **attributes)
    graph = helper.make_graph([node], "g", [x], [y], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    made = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda values: made.run(None, {"x": values})[0].ravel()[0]

one = numpy_helper.from_array(np.array([1]), "k")
largest, smallest = session("ReduceMax", keepdims=0), session("ReduceMin", keepdims=0)
place = session("ArgMax", result=TensorProto.INT64, keepdims=0)
best = session("TopK", outputs=("v", "y"), result=TensorProto.INT64, inputs=("x", "k"), weights=[one])
pooled = session("GlobalMaxPool")

def noticed(how, numbers=16):
    """The places at which a NaN is noticed."""
    places = []
    for at in range(numbers):
        values = np.linspace(1, 2, numbers, dtype=np.float32)
        values[at] = np.nan
        if how(values, at):
            places.append(at)
    return places

seen = {
    "ReduceMax": noticed(lambda values, at: np.isnan(largest(values))),
    "ReduceMin": noticed(lambda values, at: np.isnan(smallest(values))),
    "ArgMax": noticed(lambda values, at: place(values) == at),
    "TopK": noticed(lambda values, at: best(values) == at),
    "GlobalMaxPool": noticed(lambda values, at: np.isnan(pooled(values.reshape(1, 1, -1)))),
    "NumPy's max": noticed(lambda values, at: np.isnan(values.max())),
    "NumPy's argmax": noticed(lambda values, at: values.argmax() == at),
}
for name, places in seen.items():
    print(f"{name} of 16 notices a NaN at {'every place' if len(places) == 16 else places}")
everywhere = list(range(16))
raise SystemExit(list(seen.values()) != [[0], [0], [0, 4, 8, 12], everywhere, [15], everywhere, everywhere])
PY
