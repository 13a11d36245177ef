#!/usr/bin/env bash
# nvidia-cudnn-cu13 9.19.0.56 (PyPI) on an H200, driver 580.159, CUDA 13.0: what handles leave of the GPU's memory when they are destroyed.
#
# Guess:   cudnnDestroy gives back what cudnnCreate took, within a block or two of the driver's.
# Seen:    16 handles that are there at once take 134 MiB, and 132 MiB of them stay in use after cudnnDestroy, until the process ends.
#          Further handles use it: 16 more take 2 MiB and leave nothing. Whoever has a handle for each session, as ONNX Runtime has, keeps 8.25 MiB
#          for as many sessions as there ever were at once.
# Follows: memory that is in use after all models are unloaded is no leak of theirs as long as it does not grow with the next load. All of it
#          comes back with the end of the process only.
#
# Needs a GPU, and ends with 77 where there is none. PYTHON names an interpreter that has the package already.
set -euo pipefail
nvidia-smi -L >/dev/null 2>&1 || { echo "not run: there is no NVIDIA GPU here"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${PYTHON:-}" ]; then
    python3 -m venv "$work/venv"
    PYTHON="$work/venv/bin/python"
    "$PYTHON" -m pip --quiet install "nvidia-cudnn-cu13==9.19.0.56" "nvidia-cuda-nvrtc<14"
fi
"$PYTHON" - <<'PY'
import ctypes
import glob
import os
import sysconfig

packages = os.path.join(sysconfig.get_paths()["purelib"], "nvidia")


def library(name):
    found = sorted(glob.glob(os.path.join(packages, "*", "lib", name + ".so*")))
    return ctypes.CDLL(found[0] if found else name, mode=ctypes.RTLD_GLOBAL)


# What cuDNN is linked with, and opens by name.
for name in ("libcublasLt", "libcublas", "libnvrtc"):
    library(name)
cudnn, driver = library("libcudnn"), ctypes.CDLL("libcuda.so.1")
cudnn.cudnnGetVersion.restype = ctypes.c_size_t


def free():
    assert driver.cuCtxSynchronize() == 0
    available, total = ctypes.c_size_t(), ctypes.c_size_t()
    assert driver.cuMemGetInfo_v2(ctypes.byref(available), ctypes.byref(total)) == 0
    return available.value / 2**20


def handles(count):
    """What so many handles take at once, and what they leave."""
    before, made = free(), []
    for _ in range(count):
        handle = ctypes.c_void_p()
        assert cudnn.cudnnCreate(ctypes.byref(handle)) == 0
        made.append(handle)
    took = before - free()
    for handle in made:
        assert cudnn.cudnnDestroy(handle) == 0
    return took, before - free()


context = ctypes.c_void_p()
assert driver.cuInit(0) == 0
assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
assert driver.cuCtxSetCurrent(context) == 0
handles(1)  # takes once what the library needs
first, second = handles(16), handles(16)
print(f"cuDNN {cudnn.cudnnGetVersion()}: 16 handles took {first[0]:.0f} MiB and left {first[1]:.0f}; "
      f"16 more took {second[0]:.0f} MiB and left {second[1]:.0f}")
assert first[0] >= 100 and first[1] >= 100, "the handles' memory comes back now"
assert second[0] <= 8 and second[1] <= 2, "the memory is not used again now"
PY
