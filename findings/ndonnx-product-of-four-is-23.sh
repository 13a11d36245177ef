#!/usr/bin/env bash
# ndonnx 0.23.0 on onnxruntime 1.32.0 (PyPI): are functions that were written for NumPy the same as a graph of ONNX?
#
# Guess:   yes, or NotImplementedError: it has the interface of the Array API standard, and of 500 calls that were compared with NumPy, with all types of whole
#          numbers and with NaN, nearly all give the same, remainders of negatives and datetimes without a value among them.
# Seen:    cumulative_prod of 1, 2, 3, 4 ends in 23: it is the exponential of the sum of logarithms, cut off to a whole number. Of 100, 100 it is 99, 9999;
#          a negative number makes all from there on NaN, or -2^63 of whole ones. sort of unsigned 64-bit numbers puts those beyond 2^63
#          first; searchsorted puts NaN first, where NumPy has it last; logaddexp of 1000 is inf. prod, cumulative_sum and sort of other types are right.
#          The same happens in the graph that is built, so that a server answers so as well.
# Follows: a preparation of features that goes to a server as ONNX is compared with NumPy on the training data.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install ndonnx==0.23.0 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import ndonnx, numpy as np, onnxruntime

onnxruntime.set_default_logger_severity(4)
ok = True

def say(what, function, values, seen):
    """By NumPy, by ndonnx at once, and by the graph that it builds."""
    global ok
    right = function(np, *values)
    at_once = function(ndonnx, *(ndonnx.asarray(value) for value in values)).unwrap_numpy()
    arguments = [ndonnx.argument(shape=value.shape, dtype=ndonnx.asarray(value).dtype) for value in values]
    model = ndonnx.build(dict(zip("ab", arguments)), {"y": function(ndonnx, *arguments)})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    built = session.run(None, {entry.name: value for entry, value in zip(session.get_inputs(), values)})[0]
    print(f"{what} of {', '.join(str(value.tolist()) for value in values)} ({values[0].dtype}): {built.tolist()}" + ("" if np.allclose(built, right, equal_nan=True) else f" instead of {right.tolist()}"))
    ok &= np.array_equal(at_once, built, equal_nan=True) and np.allclose(built.astype(float), np.asarray(seen, float), equal_nan=True)

def product(m, x):
    return m.cumulative_prod(x)

nan, least = float("nan"), -(2**63)
say("prod", lambda m, x: m.prod(x), [np.array([1, 2, 3, 4])], 24)
say("cumulative_sum", lambda m, x: m.cumulative_sum(x), [np.array([1, 2, 3, 4])], [1, 3, 6, 10])
say("cumulative_prod", product, [np.array([1, 2, 3, 4])], [1, 2, 6, 23])
say("cumulative_prod", product, [np.array([100, 100])], [99, 9999])
say("cumulative_prod", product, [np.array([1.0, 2, 3, 4])], [1, 2, 6, 24])
say("cumulative_prod", product, [np.array([2.0, -3, 5])], [2, nan, nan])
say("cumulative_prod", product, [np.array([2, -3, 5])], [2, least, least])
say("sort", lambda m, x: m.sort(x), [np.array([3, 2**32 - 1, 5], np.uint32)], [3, 5, 2**32 - 1])
say("sort", lambda m, x: m.sort(x), [np.array([3, 2**63 + 1, 5], np.uint64)], [2**63 + 1, 3, 5])
say("searchsorted", lambda m, a, b: m.searchsorted(a, b), [np.array([1.0, 2, 3]), np.array([nan, 2.5])], [0, 2])
say("logaddexp", lambda m, a, b: m.logaddexp(a, b), [np.array([1000.0]), np.array([1000.0])], [np.inf])
raise SystemExit(0 if ok else "ndonnx answers as NumPy, or in another way: this finding has changed")
PY
