#!/usr/bin/env bash
# ml_dtypes 0.6.0 with numpy 2.4.6 (PyPI): what are the sum and the mean of an array of BF16 or FP8?
#
# Guess:   1000 and 1 for a thousand ones, as for float16, whose mean NumPy takes in FP32 by itself.
# Seen:    the running sum is kept in the type, one number after the other, and stops where adding one more changes nothing: BF16 at 256, so that the
#          mean is 0.256, FP8 at 16 or 8. Means of rows of 768 numbers between 0 and 1 are all the same, 0.334. mean and std raise
#          nothing, and cumsum stays constant. Products with @ are right, and so is everything with dtype=np.float32.
# Follows: tensors of BF16 and FP8 (of JAX, safetensors, ONNX) are turned to FP32 before pooling, normalizing or checking them in NumPy.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install ml-dtypes==0.6.0 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import ml_dtypes, numpy as np

ok = True
for dtype, stop in ((ml_dtypes.bfloat16, 256), (ml_dtypes.float8_e4m3fn, 16), (ml_dtypes.float8_e5m2, 8), (np.float16, 1000)):
    ones = np.ones(1000, dtype)
    seen = float(ones.sum()), float(ones.mean()), float(np.cumsum(ones)[-1]), float(ones @ ones), float(ones.sum(dtype=np.float32))
    print("{}: of 1000 ones the sum is {:g}, the mean {:g}, the last running sum {:g}; the product with itself is {:g}, the sum with dtype=float32 {:g}".format(np.dtype(dtype).name, *seen))
    ok &= seen[0] == stop and seen[4] == 1000 and abs(seen[1] - stop / 1000) < 0.001
noise = np.random.default_rng(0)
exact = noise.uniform(0, 1, (64, 768)).astype(ml_dtypes.bfloat16)
rows, wanted = exact.mean(axis=1).astype(np.float64), exact.astype(np.float64).mean(axis=1)
print(f"means of 64 rows of 768 numbers between 0 and 1: {rows.min():.3f} to {rows.max():.3f}, and not {wanted.min():.3f} to {wanted.max():.3f}")
spread = exact.std(axis=1).astype(np.float64), exact.astype(np.float64).std(axis=1)
print(f"standard deviations: {spread[0].min():.3f} to {spread[0].max():.3f}, and not {spread[1].min():.3f} to {spread[1].max():.3f}")
ok &= rows.max() < wanted.min()
raise SystemExit(not ok)
PY
