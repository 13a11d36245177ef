#!/usr/bin/env bash
# onnxruntime-gpu 1.31.1 (PyPI) on an NVIDIA GPU: runs of a convolution network with batch sizes that were there before.
#
# Guess:   the first run of a size takes long, as kernels are chosen for it; when the size comes again, it is fast.
# Seen:    it takes as long again, each time that the size before was another: only the last shape is prepared. CenterFace takes one to three
#          seconds on an H200 where a run takes one to three milliseconds. (Upstream: microsoft/onnxruntime, issue 23006.)
# Follows: a server that batches dynamically gives a session one shape for good, and pads batches to it.
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
import time
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
try:
    import torch  # has the libraries of CUDA where they are PyTorch's
except ImportError:
    pass
import onnxruntime as ort
ort.preload_dlls()
random = np.random.default_rng(0)
nodes, weights, name, channels = [], [], "x", 3
for layer, out in enumerate((16, 32, 32, 64, 64)):
    weights.append(numpy_helper.from_array(random.standard_normal((out, channels, 3, 3)).astype(np.float32) * 0.1, f"w{layer}"))
    nodes.append(helper.make_node("Conv", [name, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1], strides=[1 + layer % 2] * 2))
    nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
    name, channels = f"r{layer}", out
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 128, 128])
y = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=[helper.make_opsetid("", 17)])
model.ir_version = 8
onnx.save(model, sys.argv[1])
session = ort.InferenceSession(sys.argv[1], providers=["CUDAExecutionProvider"])
assert session.get_providers()[0] == "CUDAExecutionProvider", "ONNX Runtime cannot use CUDA here"

def run(rows):
    begun = time.perf_counter()
    session.run(None, {"x": np.ones((rows, 3, 128, 128), np.float32)})
    return time.perf_counter() - begun
first = [run(rows) for rows in (1, 2)]
again = [run(rows) for rows in (1, 2, 1, 2)]
steady = min(run(2) for _ in range(20))
print(f"first {[round(t, 3) for t in first]} s, again {[round(t, 3) for t in again]} s, the same size once more {steady:.5f} s")
assert min(again) > 20 * steady, "a size that was there before is fast again"
PY
