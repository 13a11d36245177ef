#!/usr/bin/env bash
# onnxruntime 1.31.1 and 1.32.0 (PyPI, CPU): can a session's arena be shrunk without running the model?
#
# Guess:   no. The arena shrinks at the end of a run with memory.enable_memory_arena_shrinkage, and a run executes the model.
# Seen:    yes. A run whose options have the terminate flag set executes no operator and fails, as it should, and shrinks the arena
#          all the same: 236 MiB that a large run left behind are gone after it.
# Follows: a server that is idle gives memory back by such a run, with the log level of the run at fatal: it is told as an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/shrink.py" <<'PY'
import numpy, onnxruntime
from onnx import TensorProto, helper
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))
steps = [("Exp", "x", "a"), ("Log", "a", "b"), ("Exp", "b", "c")]
nodes = [helper.make_node(kind, [source], [target]) for kind, source, target in steps]
nodes.append(helper.make_node("ReduceSum", ["c"], ["y"], keepdims=0))
x, y = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"]), helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
zeros = lambda count: {"x": numpy.zeros(count, "float32")}
session.run(None, zeros(1000))
before = resident()
session.run(None, zeros(30_000_000))
after = resident()
shrink = onnxruntime.RunOptions()
shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
shrink.terminate, shrink.log_severity_level = True, 4
try:
    session.run(None, zeros(1), shrink)
    raise SystemExit("a run with the terminate flag did not fail")
except Exception as error:
    assert "terminate flag" in str(error), error
print(f"onnxruntime {onnxruntime.__version__}, resident MiB: {before}, after a large run {after}, after the run that ran nothing {resident()}")
assert after > before + 150 and resident() < before + 30
PY
for version in 1.31.1 1.32.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" --quiet install "onnxruntime==$version" onnx==1.23.2 numpy==2.4.6
    ORT_DISABLE_TELEMETRY=1 "$work/$version/bin/python" "$work/shrink.py"
done
