#!/usr/bin/env bash
# tensorflow-cpu 2.21.0 (PyPI, Linux x86_64): does a SavedModel's signature give the same in Python and in a session?
#
# Guess:   yes, to the last bit: the same graph, kernels and thread, and both optimize graphs by default.
# Seen:    no. 2 * a * b * 1.5, with a sine and a cosine, is (2a)(1.5b) when the signature is called as tf.saved_model.load returns it, and
#          (3a)b in a session (v1 Session, and so the C library): the optimizer moves constants, to other places in each. As it is
#          written, ((2a)b)1.5, it is only when called without the meta optimizer. A third of the values have another last bit in each.
# Follows: what a server gives that runs sessions is compared with what a session gives in Python.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" - "$work/model" <<'PY'
import sys

import numpy as np
import tensorflow as tf

v1, folder = tf.compat.v1, sys.argv[1]
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
module = tf.Module()
module.serve = tf.function(
    lambda x: {"y": 2.0 * tf.sin(x) * tf.cos(x) * 1.5}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")]
)
tf.saved_model.save(module, folder, signatures=module.serve)
x = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
a, b = tf.sin(tf.constant(x)).numpy(), tf.cos(tf.constant(x)).numpy()
two, half_more, three = np.float32(2), np.float32(1.5), np.float32(3)
orders = {"((2a)b)1.5": two * a * b * half_more, "(2a)(1.5b)": (two * a) * (half_more * b), "(3a)b": three * a * b}


def order_of(y):
    return [name for name, values in orders.items() if (values == y).all()]


def called():
    return tf.saved_model.load(folder).signatures["serving_default"](x=tf.constant(x))["y"].numpy()


by_default = order_of(called())
one_thread = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
with v1.Session(graph=tf.Graph(), config=one_thread) as session:
    signature = v1.saved_model.load(session, ["serve"], folder).signature_def["serving_default"]
    in_session = order_of(session.run(signature.outputs["y"].name, {signature.inputs["x"].name: x}))
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
plain = order_of(called())
print(f"tensorflow {tf.__version__}: called {by_default}, in a session {in_session}, called without the meta optimizer {plain}")
raise SystemExit(0 if (by_default, in_session, plain) == (["(2a)(1.5b)"], ["(3a)b"], ["((2a)b)1.5"]) else 1)
PY
