#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): how much memory does a model keep that is run again and again with one shape?
#
# Guess:   what its first run took: the arena keeps it, and the runs behind it find it there.
# Seen:    twice that, from the second run on: 58 MiB behind the first run, and 116 behind all others, where 48 are needed at once. The first run of a shape takes its tensors one by
#          one, and each later one takes a single block for all of them (enable_mem_pattern, the default), for which no room is left between
#          the pieces; these stay in the arena, and nothing uses them again. With enable_mem_pattern off it stays at 58. So it does with the pattern, if
#          the first run alone shrinks the arena when it ends.
# Follows: the arena of a session is shrunk once behind its first run.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat >"$work/runs.py" <<'PY'
import sys
import numpy as np, onnxruntime
from onnx import TensorProto, helper, numpy_helper

WIDE, ROWS = 4096, 2048
ones = lambda *shape: np.ones(shape, np.float32)
# Tensors of 8, 16 and 32 MiB between operators.
graph = helper.make_graph(
    [
        helper.make_node("Add", ["x", "row"], ["a"]),
        helper.make_node("Concat", ["a", "a"], ["b"], axis=1),
        helper.make_node("Concat", ["b", "b"], ["c"], axis=1),
        helper.make_node("MatMul", ["c", "column"], ["y"]),
    ],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    [numpy_helper.from_array(ones(1, WIDE // 4), "row"), numpy_helper.from_array(ones(WIDE, 1), "column")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()

def resident():
    line = next(line for line in open("/proc/self/status") if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024

how = sys.argv[1]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.enable_mem_pattern = how != "no pattern"
session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
shrinks = onnxruntime.RunOptions()
shrinks.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
before, kept = resident(), []
# A small run first, as the arena never gives its first block back.
session.run(None, {"x": ones(1, 1)})
for number in range(4):
    session.run(None, {"x": ones(ROWS, 1)}, shrinks if how == "first one shrinks" and number == 0 else None)
    kept.append(round(resident() - before))
print(*kept)
PY
ok=1
for how in "as it is" "no pattern" "first one shrinks"; do
    kept=$(ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore "$work/runs.py" "$how")
    echo "$how: MiB behind each of four runs: $kept"
    read -r first second _ fourth <<<"$kept"
    case "$how" in
    "as it is") ((second > first + 40 && fourth > first + 40)) || ok=0 ;;
    "no pattern") ((fourth < first + 10)) || ok=0 ;;
    *) ((fourth < 80)) || ok=0 ;;
    esac
done
[ "$ok" = 1 ]
