#!/usr/bin/env bash
# tritonclient 2.73.0 (PyPI): does its gRPC client read an answer whose data are in `contents`?
#
# Guess:   yes; the protocol has two places for a tensor's data, `contents` by type and raw_output_contents, and a server chooses one.
#          Servers of KServe choose `contents` for every output that was not made of raw bytes.
# Seen:    no type: numbers are never looked for ("cannot reshape array of size 0"). Texts are, by numpy.array(..., copy=False), which
#          NumPy 2 takes as "never copy" and refuses always; the package asks for numpy>=1.19.1, and under 1.26.4 they come back,
#          as an array of fixed-width bytes that drops zeros at the end of each.
# Follows: a server that wants all clients answers in raw_output_contents, whatever the request came in.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/read.py" <<'PY'
import numpy, sys
from tritonclient.grpc import InferResult, service_pb2
seen = {}
for datatype, field, data in (
    ("BOOL", "bool_contents", [True]), ("INT32", "int_contents", [1]), ("INT64", "int64_contents", [1]), ("UINT8", "uint_contents", [1]),
    ("UINT64", "uint64_contents", [1]), ("FP32", "fp32_contents", [0.5]), ("FP64", "fp64_contents", [0.5]), ("BYTES", "bytes_contents", [b"a\0"]),
):
    answer = service_pb2.ModelInferResponse(model_name="m")
    getattr(answer.outputs.add(name="y", datatype=datatype, shape=[1]).contents, field).extend(data)
    try:
        seen[datatype] = repr(InferResult(answer).as_numpy("y"))
    except ValueError as error:
        seen[datatype] = str(error).splitlines()[0]
print(numpy.__version__, seen)
texts = seen.pop("BYTES")
assert set(seen.values()) == {"cannot reshape array of size 0 into shape (1,)"}, seen
assert texts == sys.argv[1], texts
PY
for case in '2.4.6|Unable to avoid copy while creating an array as requested.' "1.26.4|array([b'a'], dtype='|S2')"; do
    version=${case%%|*}
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" --quiet install 'tritonclient[grpc]==2.73.0' "numpy==$version"
    "$work/$version/bin/python" "$work/read.py" "${case#*|}"
done
