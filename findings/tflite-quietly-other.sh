#!/usr/bin/env bash
# TensorFlow Lite: tensorflow-cpu 2.21.0 converts, ai-edge-litert 2.3.0 runs (PyPI, Linux x86_64, CPU): does a function answer as in TensorFlow?
#
# Guess:   yes, in FP32 without quantization, or the conversion fails, as it does for 30 of 185 small functions that were tried. What is right in most
#          converters last, division and remainders below zero, resizing by all rules and INT64, is right here.
# Seen:    non_max_suppression of at most ten boxes that keeps three gives ten indices, of which seven are 0: the best box eight times; and it drops a
#          box that overlaps by the threshold itself. tensor_scatter_nd_update multiplies by 0 what it replaces, and adds: NaN stays and
#          infinity becomes NaN, and of two updates of one place comes their sum less the old number. softplus is inf from 89 on
#          and log_sigmoid -inf below -88, and the maximum of numbers with a NaN is that of the others. Conversion and run say nothing.
# Follows: detectors take the number of boxes as an output (non_max_suppression_padded), not the length; a model that clears NaN by updates
#          does so before it, with where. The SavedModel that it was converted from has none of this.
#
# Fetches some 350 MB.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install tensorflow-cpu==2.21.0 ai-edge-litert==2.3.0 numpy==2.4.6
cat >"$work/compare.py" <<'PY'
import numpy as np, tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

def both(function, x):
    """What TensorFlow and what the converted function answer."""
    traced = tf.function(function, input_signature=[tf.TensorSpec(x.shape, x.dtype)])
    file = tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()], traced).convert()
    engine = Interpreter(model_content=file)
    engine.allocate_tensors()
    engine.set_tensor(engine.get_input_details()[0]["index"], x)
    engine.invoke()
    return traced(tf.constant(x)).numpy(), engine.get_tensor(engine.get_output_details()[0]["index"])

nan, inf = np.nan, np.inf
row = np.array([1, 2, 3, 4], np.float32)
boxes = np.array([[0, 0, 1, 1], [0, 0, 0.5, 1], [0, 10, 1, 11], [0, 0, 1, 0.9], [0, 20, 1, 21]], np.float32)
scores = [0.9, 0.8, 0.7, 0.6, 0.5]

def suppress(most, threshold):
    return lambda x: tf.image.non_max_suppression(x, scores, most, iou_threshold=threshold)

def update(places, values):
    return lambda x: tf.tensor_scatter_nd_update(x, places, values)

ok = True
for what, function, x, seen in (
    ("non_max_suppression, at most 3, threshold 0.45", suppress(3, 0.45), boxes, [0, 2, 4]),
    ("non_max_suppression, at most 10, threshold 0.45", suppress(10, 0.45), boxes, [0, 2, 4] + [0] * 7),
    ("non_max_suppression, at most 3, threshold 0.5, overlap 0.5", suppress(3, 0.5), boxes, [0, 2, 4]),
    ("tensor_scatter_nd_update, two places", update([[2], [0]], [9.0, 8.0]), row, [8, 2, 9, 4]),
    ("tensor_scatter_nd_update, one place twice", update([[0], [0]], [9.0, 8.0]), row, [17 - 1, 2, 3, 4]),
    ("tensor_scatter_nd_update of NaN", update([[0]], [5.0]), np.array([nan, 2, 3, 4], np.float32), [nan, 2, 3, 4]),
    ("tensor_scatter_nd_update of inf", update([[0]], [5.0]), np.array([inf, 2, 3, 4], np.float32), [nan, 2, 3, 4]),
    ("softplus", tf.math.softplus, np.array([-10, 0, 88, 89, 200], np.float32), [0, 0.6931, 88, inf, inf]),
    ("log_sigmoid", tf.math.log_sigmoid, np.array([-200, -89, -88, 0], np.float32), [-inf, -inf, -88, -0.6931]),
    ("reduce_max", tf.reduce_max, np.array([1, nan, 2], np.float32), 2),
    ("floor division", lambda x: x // 3, np.array([-7, 7], np.int32), [-3, 2]),
    ("remainder", lambda x: x % 3, np.array([-7, 7], np.int32), [2, 1]),
):
    right, is_ = both(function, x)
    same = right.shape == is_.shape and np.allclose(right, is_, atol=1e-4, equal_nan=True)
    print(f"{what}: {is_.tolist()}" + ("" if same else f" instead of {right.tolist()}"))
    ok &= np.shape(seen) == is_.shape and np.allclose(is_, seen, atol=1e-3, equal_nan=True)
raise SystemExit(0 if ok else "TensorFlow Lite answers as TensorFlow, or in another way: this finding has changed")
PY
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES="" "$work/venv/bin/python" -W ignore "$work/compare.py" 2>"$work/log" || {
    tail -5 "$work/log"
    exit 1
}
