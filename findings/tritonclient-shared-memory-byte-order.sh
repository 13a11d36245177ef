#!/usr/bin/env bash
# tritonclient 2.73.0 with numpy 2.4.6 (PyPI): what becomes of a big-endian array, such as a file of FITS, netCDF or IDX holds?
#
# Guess:   the same in every way into the server: it is refused, or turned round.
# Seen:    set_data_from_numpy refuses it ("got unexpected datatype None from numpy array, expected FP32"), for HTTP and gRPC alike.
#          set_shared_memory_region, which is there to make the same request faster, copies its bytes as they are: 1.0 becomes
#          4.6e-41 for the model, and nobody says anything. Where the array is a view, the copy is right.
# Follows: a server cannot tell; whoever moves a client to shared memory writes x.astype(x.dtype.newbyteorder("=")) there.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install 'tritonclient[all]==2.73.0' numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import os, numpy as np, tritonclient.grpc, tritonclient.http, tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException
array = np.array([1.0, 2.0], ">f4")
for module in (tritonclient.http, tritonclient.grpc):
    try:
        module.InferInput("x", [2], "FP32").set_data_from_numpy(array)
        seen = "taken"
    except InferenceServerException as error:
        seen = error.message()
    print(module.__name__, seen)
    assert seen == "got unexpected datatype None from numpy array, expected FP32.", seen
name = f"/finding_{os.getpid()}"
region = shm.create_shared_memory_region("x", name, 16)
try:
    shm.set_shared_memory_region(region, [array])
    model = np.array(shm.get_contents_as_numpy(region, np.float32, [2]))
    shm.set_shared_memory_region(region, [np.arange(4, dtype="<f4")[::-2]])
    view = np.array(shm.get_contents_as_numpy(region, np.float32, [2]))
finally:
    shm.destroy_shared_memory_region(region)
print("shared memory: sent", array, "| the model reads", model, "| a view:", view)
assert model.tobytes() == array.tobytes() and model.tolist() != array.tolist(), model
assert view.tolist() == [3.0, 1.0], view
PY
