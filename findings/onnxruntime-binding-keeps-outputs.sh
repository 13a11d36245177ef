#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): whose memory is an output that a binding leaves to the engine?
#
# Guess:   new memory for each run, as run() gives it: bind_output(name) without a buffer or a shape says that the engine allocates, and
#          a result that was taken by get_outputs() is the caller's.
# Seen:    the first run's, from then on. What it allocated counts as bound: the next run of the same shape writes into it, so that a result that was
#          kept becomes the next request's, without a word; one of another batch size fails, "When calling Run() with pre-allocated
#          output OrtValues ...", though nobody allocated any. copy_outputs_to_cpu() gives copies. clear_binding_outputs() and bind_output() before each run, or a
#          binding for each, are right.
# Follows: a binding that is kept for many requests binds its outputs anew for each of them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(4)
graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])])
session = onnxruntime.InferenceSession(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString(),
                                       providers=["CPUExecutionProvider"])

def run(binding, number, rows=1, anew=False):
    if anew:
        binding.clear_binding_outputs()
        binding.bind_output("y")
    binding.bind_cpu_input("x", np.full((rows, 2), number, np.float32))
    session.run_with_iobinding(binding)
    return binding.get_outputs()[0]

ok = True
for anew in (False, True):
    binding = session.io_binding()
    binding.bind_output("y")
    first = run(binding, 1, anew=anew)
    before = first.numpy().tolist()
    run(binding, 2, anew=anew)
    after = first.numpy().tolist()
    try:
        other = str(run(binding, 3, rows=4, anew=anew).shape())
    except Exception as error:
        other = str(error)
    how = "outputs bound anew for each run" if anew else "outputs bound once"
    print(f"{how}: the first result is {before}, and after a second run {after}; a run of four rows: {other[-170:].strip()}")
    ok &= before == [[-1.0, -1.0]] and after == ([[-1.0, -1.0]] if anew else [[-2.0, -2.0]])
    ok &= other == "[4, 2]" if anew else "pre-allocated output OrtValues" in other
raise SystemExit(not ok)
PY
