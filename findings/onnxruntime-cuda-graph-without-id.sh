#!/usr/bin/env bash
# onnxruntime-gpu 1.31.1 (PyPI) on an NVIDIA GPU: a session with `enable_cuda_graph` that is run with a second shape.
#
# Guess:   an error, or a second graph: the inputs and outputs are bound anew, so the session sees the new shape.
# Seen:    no error, and outputs that nobody wrote: the first graph is replayed, over the buffers of the first shape. With a `gpu_graph_id`
#          for each shape in the options of the run the outputs are right.
# Follows: every run names its graph; a server never leaves the id out.
#
# Needs a GPU, and ends with 77 where there is none. PYTHON names an interpreter that has the packages already.
set -euo pipefail
nvidia-smi -L >/dev/null 2>&1 || { echo "not run: there is no NVIDIA GPU here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${PYTHON:-}" ]; then
    python3 -m venv "$work/venv"
    PYTHON="$work/venv/bin/python"
    "$PYTHON" -m pip --quiet install "onnxruntime-gpu[cuda,cudnn]==1.31.1" numpy onnx
fi
ORT_DISABLE_TELEMETRY=1 "$PYTHON" - "$work/model.onnx" <<'PY'
import sys
import numpy as np
import onnx
from onnx import TensorProto, helper
try:
    import torch  # has the libraries of CUDA where they are PyTorch's
except ImportError:
    pass
import onnxruntime as ort
ort.preload_dlls()
node = helper.make_node("Mul", ["x", "x"], ["y"])
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])
model = helper.make_model(helper.make_graph([node], "g", [value("x")], [value("y")]), opset_imports=[helper.make_opsetid("", 17)])
model.ir_version = 8
onnx.save(model, sys.argv[1])

def second_shape(with_id):
    session = ort.InferenceSession(sys.argv[1], providers=[("CUDAExecutionProvider", {"enable_cuda_graph": "1"})])
    assert session.get_providers()[0] == "CUDAExecutionProvider", "ONNX Runtime cannot use CUDA here"
    kept, right = [], []
    for rows in (2, 3):
        x = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4) + 1
        given = ort.OrtValue.ortvalue_from_numpy(x, "cuda", 0)
        got = ort.OrtValue.ortvalue_from_numpy(np.full_like(x, -1), "cuda", 0)
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", given)
        binding.bind_ortvalue_output("y", got)
        options = ort.RunOptions()
        if with_id:
            options.add_run_config_entry("gpu_graph_id", str(rows))
        session.run_with_iobinding(binding, options)
        right.append(bool(np.array_equal(got.numpy(), x * x)))
        kept.append((given, got, binding))
    return right
seen = {with_id: second_shape(with_id) for with_id in (False, True)}
print("outputs of the first and the second shape are right:", seen)
assert seen == {False: [True, False], True: [True, True]}, seen
PY
