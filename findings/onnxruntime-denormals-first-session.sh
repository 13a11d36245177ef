#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux x86_64): what does the session option session.set_denormal_as_zero make of numbers too small for the
# usual form?
#
# Guess:   zero, in all operators of that session and in no other.
# Seen:    whose threads have it depends on which session of the process was the first. The thread that makes the first session gets
#          the mode of that session for good, everything else that it computes included (NumPy halves 1.2e-38 to 0 then), and so do other
#          sessions on it. The option of every later session reaches the threads of its pool alone, not the one that calls run: of one
#          element-wise product of equal numbers with four threads, a part is 0 and the rest is 6e-39.
# Follows: the option is no property of a model. Whoever wants it sets the mode of the calling thread by himself around each run, and puts
#          it back after sessions are made.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/denormals.py" <<'PY'
import sys
import numpy as np, onnxruntime
from onnx import TensorProto, helper, numpy_helper

def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])

half = numpy_helper.from_array(np.array([0.5], np.float32), "half")
graph = helper.make_graph([helper.make_node("Mul", ["x", "half"], ["y"])], "g", [value("x")], [value("y")], [half])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
small = np.full(4_000_000, 1.2e-38, np.float32)

def session(threads, zero):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if zero:
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

def zeros(session):
    """The part of the results that are zero, by their bits: comparing floats would flush them as well."""
    (y,) = session.run(None, {"x": small})
    return float((y.view(np.int32) == 0).mean())

first_has_it = sys.argv[1] == "with"
first = zeros(session(1, first_has_it))
later_with, later_without = zeros(session(1, True)), zeros(session(1, False))
# How the threads divide the work differs from run to run, and on a busy machine the caller may do it all.
four = session(4, True)
four_with = next((part for part in (zeros(four) for _ in range(200)) if 0 < part < 1), first)
numpy_flushes = float((small[:8] * np.float32(0.5)).view(np.int32).any() == 0)
print(f"first session {sys.argv[1]} it: {first:.0%} zeros; later ones with it {later_with:.0%}, without {later_without:.0%}, "
      f"with it and four threads {four_with:.0%}; NumPy flushes: {bool(numpy_flushes)}")
if first_has_it:
    sys.exit(not (first == later_with == later_without == four_with == numpy_flushes == 1))
sys.exit(not (first == later_with == later_without == numpy_flushes == 0 and 0 < four_with < 1))
PY
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
export ORT_DISABLE_TELEMETRY=1
"$work/venv/bin/python" "$work/denormals.py" with
"$work/venv/bin/python" "$work/denormals.py" without
