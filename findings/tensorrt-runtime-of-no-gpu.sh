#!/bin/sh
# TensorRT's lean runtime 11.4, asked for a runtime on a machine without a driver, logs an error and returns 0x228 instead of null.
#
# Guessed: `createInferRuntime_INTERNAL` returns null when it fails, as its documentation says, so that callers check for null.
# Seen: the pointer of a failed construction is moved by the place of a base class. A program that checks for null calls a
#   method of it and dies; NVIDIA's own inline functions do.
# Follows: addresses below 64 KiB, where Linux maps nothing, count as null (crates/tensorrt-sys/src/object.rs).
#
# Needs a machine without an NVIDIA driver: with one there is a runtime, and the script says so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-deps tensorrt-lean-cu13-libs==11.4.0.106
"$folder/env/bin/python" - "$folder" <<'PYTHON'
import ctypes, glob, sys

path = glob.glob(sys.argv[1] + "/env/lib/python3*/site-packages/tensorrt_lean_libs/libnvinfer_lean.so.11")[0]
library = ctypes.CDLL(path)
version = library.getInferLibVersion()

# A logger by its virtual table: language, interface, two destructors, log.
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
log = LOG(lambda this, severity, text: print("  log:", text.decode()[:120]))
OTHER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
other = OTHER(lambda this: 0)
table = (ctypes.c_void_p * 5)(*[ctypes.cast(f, ctypes.c_void_p).value for f in (other, other, other, other, log)])
logger = (ctypes.c_void_p * 1)(ctypes.addressof(table))

create = library.createInferRuntime_INTERNAL
create.restype = ctypes.c_void_p
create.argtypes = [ctypes.c_void_p, ctypes.c_int]
runtime = create(ctypes.addressof(logger), version)
print(f"version {version}, the runtime is at {runtime if runtime is None else hex(runtime)}")
if runtime is not None and runtime >= 0x10000:
    sys.exit("there is a driver here: the finding needs a machine without one")
sys.exit(0 if runtime is not None else "null is returned now: the finding is no more")
PYTHON
