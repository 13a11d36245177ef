#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI): what does a session say of an output that the file declares with a wrong rank?
#
# Guess:   loading fails, or the declared shape is shown, or the inferred one.
# Seen:    loading warns ("Falling back to lenient merge"), and the session shows the shape [], which is a scalar's; running gives
#          the whole tensor, (2, 4) here. A wrong size in the right rank keeps the declared shape and warns at every run.
# Follows: [] of a session is no scalar unless the graph says so; ask TensorTypeAndShape_HasShape, or the file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" - 2> "$work/log" <<'PY'
import numpy, onnxruntime
from onnx import TensorProto, helper
def session(declared):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, declared)
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
for declared, shown in ((["n", 4], ["n", 4]), (["n", 4, 1], []), (["n"], []), ([1, 4], [1, 4])):
    s = session(declared)
    shape = s.run(None, {"x": numpy.ones((2, 4), "float32")})[0].shape
    print(f"declared {declared}: shown {s.get_outputs()[0].shape}, returned {shape}")
    assert s.get_outputs()[0].shape == shown and shape == (2, 4)
PY
grep -c 'Falling back to lenient merge' "$work/log" | grep -qx 2
