#!/bin/sh
# TensorRT for RTX 1.5 has moved methods within its virtual tables since 1.4, under the same name of its library.
#
# Guessed: within major version 1, and behind one soname, libtensorrt_rtx.so.1, a program that was built for 1.4 runs with 1.5: interfaces
#   get longer at their ends, as those of TensorRT 10 do.
# Seen: 1.5 dropped what was deprecated. What sets the number of a runtime's threads is the 13th entry of its table in 1.4 and the 12th from
#   1.5 on, where 1.4 has what returns the logger.
# Follows: crates/tensorrt-sys reads the version before it calls anything, and refuses 1.4 and older.
#
# Runs without a GPU. Fetches two packages of 90 MB.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
cat > "$folder/places.py" <<'PYTHON'
import ctypes, glob, sys

path, expected = glob.glob(sys.argv[1] + "/tensorrt_rtx_libs/libtensorrt_rtx.so.1")[0], int(sys.argv[2])
library = ctypes.CDLL(path)
version = library.getInferLibVersion()

# A logger by its virtual table: 1.4 has its log method first, 1.5 behind four others.
LOG = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
log = LOG(lambda this, severity, text: None)
table = (ctypes.c_void_p * 5)(*[ctypes.cast(log, ctypes.c_void_p).value] * 5)
logger = (ctypes.c_void_p * 1)(ctypes.addressof(table))
create = library.createInferRuntime_INTERNAL
create.restype, create.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]
runtime = create(ctypes.addressof(logger), version)
word = lambda address: ctypes.cast(address, ctypes.POINTER(ctypes.c_void_p))[0]
implementation = word(runtime + 8)
method = lambda place, *types: ctypes.CFUNCTYPE(*types)(word(word(implementation) + 8 * place))

# Each version is called by its own places; that the number comes back says that they are the right ones.
found = method(expected, ctypes.c_bool, ctypes.c_void_p, ctypes.c_int)(implementation, 3)
got = method(expected + 1, ctypes.c_int, ctypes.c_void_p)(implementation)
print(f"{version}: place {expected} sets the threads: {found}, place {expected + 1} says {got}")
sys.exit(0 if found and got == 3 else 1)
PYTHON
for pair in 1.4.0.76:12 1.5.0.114:11; do
    "$folder/env/bin/pip" install --quiet --no-deps --target "$folder/${pair%:*}" "tensorrt-rtx-cu13-libs==${pair%:*}"
    "$folder/env/bin/python" "$folder/places.py" "$folder/${pair%:*}" "${pair#*:}"
done
