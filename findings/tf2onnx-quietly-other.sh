#!/usr/bin/env bash
# tf2onnx 1.17.0 with tensorflow-cpu 2.21.0, run by onnxruntime 1.32.0 (PyPI): what do operations become that ONNX has only nearly?
#
# Guess:   nodes that compute the same, several if need be, or an error: of what it cannot convert it keeps TensorFlow's name, and the engine
#          refuses the file.
# Seen:    the nearest operator, without a word, where most values agree. x // 3 and x % 3 of integers below zero are those of C, -7 % 3
#          is -1 (for floats they are right). one_hot of -1, which is nobody in TensorFlow, is the last class. scatter_nd keeps one of
#          several updates of a place in the stead of their sum. tf.image.resize with "area", the mean of pixels, takes the nearest one.
# Follows: a check of shapes, or with a typical picture, passes. Files from tf2onnx are compared on numbers below zero, labels that are
#          missing and places that meet; the SavedModel itself, which a server of TensorFlow runs, has none of this.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install tensorflow-cpu==2.21.0 tf2onnx==1.17.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
TF_CPP_MIN_LOG_LEVEL=3 ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import logging

import numpy as np, onnxruntime, tensorflow as tf, tf2onnx

logging.disable(logging.CRITICAL)
onnxruntime.set_default_logger_severity(3)

def both(function, x):
    exact = function(tf.constant(x)).numpy()
    signature = [tf.TensorSpec([None, *x.shape[1:]], x.dtype, name="x")]
    model, _ = tf2onnx.convert.from_function(tf.function(function, input_signature=signature), signature, opset=18)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": x})
    assert got.shape == exact.shape and got.dtype == exact.dtype
    return exact, got

ok = True
numbers = np.array([7, -7, 8, -8, 9, -9], np.int32)
for name, function, x, expected in [
    ("x // 3", lambda x: x // 3, numbers, [2, -2, 2, -2, 3, -3]),
    ("x % 3", lambda x: x % 3, numbers, [1, -1, 2, -2, 0, 0]),
    ("x % 3 of INT64", lambda x: x % 3, numbers.astype(np.int64), [1, -1, 2, -2, 0, 0]),
    ("x % 3 of floats", lambda x: x % 3, numbers.astype(np.float32), [1, 2, 2, 1, 0, 0]),
    ("one_hot", lambda x: tf.one_hot(x, 3), np.array([0, -1], np.int32), [1, 0, 0, 0, 0, 1]),
    ("scatter_nd", lambda x: tf.scatter_nd([[0], [0], [2]], x, [3]), np.array([1, 10, 100], np.float32), None),
]:
    exact, got = both(function, x)
    print(f"{name} of {x.tolist()}: {exact.ravel().tolist()} by tensorflow, {got.ravel().tolist()} as ONNX")
    ok &= got.ravel().tolist() == expected if expected else got.tolist() in ([1, 0, 100], [10, 0, 100])
    ok &= bool((got == exact).all()) == (name == "x % 3 of floats")
picture = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
for name, function, differ in [
    ("resize, area", lambda x: tf.image.resize(x, [3, 3], "area"), True),
    ("resize, bilinear", lambda x: tf.image.resize(x, [3, 3]), False),
]:
    exact, got = both(function, picture)
    most = float(np.abs(exact - got).max())
    print(f"{name}: {(np.abs(exact - got) > 1e-4).mean():.0%} of the numbers between 0 and 1 differ, by up to {most:.2f}")
    ok &= most > 0.1 if differ else most < 1e-4
    if name == "resize, area":
        ok &= bool(np.isin(got, picture).all()) and not np.isin(exact, picture).any()
raise SystemExit(not ok)
PY
