#!/usr/bin/env bash
# tensorflow-cpu 2.21.0 (PyPI, Linux x86_64): does a result depend on the thread that computes it?
#
# Guess:   no: with one thread within operations the same additions are made in the same order.
# Seen:    the library's own threads take numbers too small for the usual form as zero; the calling thread, on which a run with
#          inter_op_thread_pool=-1 executes its operations, does not. The smallest normal number halved is 0 or 5.9e-39.
# Follows: whoever runs graphs on threads of his own sets these threads as TensorFlow sets its own, or the last bits of a softmax
#          differ.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" - <<'PY'
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
with tf.Graph().as_default(), v1.Session() as session:
    x = v1.placeholder(tf.float32, [1])
    y = x * 0.5
    smallest = [np.finfo(np.float32).tiny]
    own = session.run(y, {x: smallest})[0]
    calling = session.run(y, {x: smallest}, options=v1.RunOptions(inter_op_thread_pool=-1))[0]
print(f"tensorflow {tf.__version__}: {own} on its own thread, {calling} on the calling one")
raise SystemExit(0 if own == 0 and calling > 0 else 1)
PY
