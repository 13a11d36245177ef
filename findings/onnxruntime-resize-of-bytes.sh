#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, CPU): what does Resize with mode "linear" make of 8-bit samples?
#
# Guess:   the result of the same samples in FP32, rounded to the nearest number; for INT8 as for UINT8.
# Seen:    without antialias the fraction is cut off: UINT8 pictures get half a level darker, whatever the factor. With antialias=1 it is
#          rounded, also where a picture grows and antialias changes nothing in FP32. And of INT8 with antialias=1 every negative
#          number becomes 0, without a word; UINT8, INT32 and FP32 are right.
# Follows: a network with its own resize in front, exported for bytes, is not the one that was trained with OpenCV or Pillow, which
#          round. Quantized tensors are dequantized before an antialiased Resize.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" - <<'PY'
import numpy as np, onnxruntime
from onnx import helper, numpy_helper

def resize(samples, size, antialias):
    kind = helper.np_dtype_to_tensor_dtype(samples.dtype)
    sizes = numpy_helper.from_array(np.array([1, 1, size, size]), "sizes")
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", antialias=antialias)
    x, y = helper.make_tensor_value_info("x", kind, samples.shape), helper.make_tensor_value_info("y", kind, None)
    graph = helper.make_graph([node], "g", [x], [y], [sizes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": samples})[0]

noise = np.random.default_rng(0).integers(0, 256, (1, 1, 64, 64))
ok = True
for size in (33, 128):
    exact = resize(noise.astype(np.float32), size, 0)
    got = resize(noise.astype(np.uint8), size, 0)
    cut, off = (got == np.floor(exact)).mean(), (got - exact).mean()
    print(f"UINT8 64 to {size}: {cut:.1%} are cut off, {off:+.2f} in the mean")
    ok &= cut > 0.99 and off < -0.4
exact, got = resize(noise.astype(np.float32), 128, 1), resize(noise.astype(np.uint8), 128, 1)
print(f"UINT8 64 to 128 with antialias: off by {np.abs(got - exact).max():.2f} at most; {(got > exact).mean():.0%} are rounded up")
ok &= bool((resize(noise.astype(np.float32), 128, 0) == exact).mean() > 0.5 and np.abs(got - exact).max() <= 1 and (got > exact).mean() > 0.3)
for value in (-128, -100, -1, 0, 5, 127):
    even = np.full((1, 1, 8, 8), value)
    seen = {kind: np.unique(resize(even.astype(kind), 4, 1)).tolist() for kind in ("int8", "int32", "float32")}
    print(f"all {value}, with antialias: {seen}; INT8 without: {np.unique(resize(even.astype('int8'), 4, 0)).tolist()}")
    ok &= seen == {"int8": [max(value, 0)], "int32": [value], "float32": [value]}
    ok &= np.unique(resize(even.astype("int8"), 4, 0)).tolist() == [value]
raise SystemExit(not ok)
PY
