#!/usr/bin/env bash
# openvino 2026.4.1 (PyPI, Linux x86_64, CPU): what becomes of INT64 numbers beyond 32 bits, such as the ids of users and posts?
#
# Guess:   they pass a model that only looks them up, or hands them on; inputs and outputs of the compiled model say int64. At worst all of
#          them are cut to 32 bits alike, so that equal ids stay equal.
# Seen:    which number an id becomes depends on where it comes from. Of a request the lower 32 bits are kept: 2^33 + 5 is 5. Of the file
#          the nearest number of 32 bits is taken: 2^33 + 5 is 2^31 - 1, and so is every other large one. So a table never finds the large
#          ids that are in it, finds all of them for 2^31 - 1, and takes a stranger's 2^33 + 5 for user 5. A model of one Identity
#          answers 5, in an int64 output. Within 32 bits a third power is computed in FP32: 1290^3 is off by 24. UINT8 stops at 255
#          where NumPy, ONNX Runtime and INT32 here go round. Nothing warns.
# Follows: ids go to OpenVINO as text or as two halves, or stay outside of the model. A server of ONNX Runtime gives other, right answers
#          for the same file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

core = openvino.Core()

def run(x, nodes, constants={}, output=None):
    """What ONNX Runtime and OpenVINO answer."""
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, ["n"])],
                              [helper.make_tensor_value_info("y", output or kind, None)],
                              [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    compiled = core.compile_model(core.read_model(file), "CPU")
    assert compiled.input(0).element_type.to_dtype() == x.dtype
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0].tolist(), compiled({"x": x})[0].tolist()

node = helper.make_node
ids = np.array([5, 2**31 - 1, 2**33 + 5, 2**40 + 7])
ok = True
for what, got, expected in [
    ("handed on", run(ids, [node("Identity", ["x"], ["y"])]), ids.tolist()),
    ("taken from the file", run(np.arange(4), [node("Gather", ["ids", "x"], ["y"])], {"ids": ids}), ids.tolist()),
    ("equal to 2^33 + 5 of the file", run(ids, [node("Equal", ["x", "id"], ["y"])], {"id": np.int64(2**33 + 5)}, TensorProto.BOOL),
     [False, False, True, False]),
    ("equal to 5 of the file", run(ids, [node("Equal", ["x", "id"], ["y"])], {"id": np.int64(5)}, TensorProto.BOOL), [True, False, False, False]),
    ("third power of 1290", run(np.array([1290]), [node("Pow", ["x", "three"], ["y"])], {"three": np.int64(3)}), [1290**3]),
    ("250 + 10 in UINT8", run(np.array([250], np.uint8), [node("Add", ["x", "ten"], ["y"])], {"ten": np.uint8(10)}), [4]),
    ("(2^31 - 1) + 1 in INT32", run(np.array([2**31 - 1], np.int32), [node("Add", ["x", "one"], ["y"])], {"one": np.int32(1)}), [-(2**31)]),
]:
    print(f"{what}: {got[0]} by onnxruntime, {got[1]} by openvino")
    ok &= got[0] == expected
    ok &= got[1] == {
        "handed on": [5, 2**31 - 1, 5, 7],
        "taken from the file": [5, 2**31 - 1, 2**31 - 1, 2**31 - 1],
        "equal to 2^33 + 5 of the file": [False, True, False, False],
        "equal to 5 of the file": [True, False, True, False],
        "third power of 1290": [2146689024],
        "250 + 10 in UINT8": [255],
        "(2^31 - 1) + 1 in INT32": [-(2**31)],
    }[what]
raise SystemExit(not ok)
PY
