#!/usr/bin/env bash
# tensorflow-cpu 2.21.0 (PyPI, Linux x86_64, CPU): are decisions of a model the same called line by line, as a tf.function, and in a session?
#
# Guess:   yes. The optimizer of graphs, which is on by default, may change last bits, as additions are made in another order; which class is the
#          largest, and whether a score is below a threshold, stays.
# Seen:    neither, in graphs. "not x < 0.5" becomes "x >= 0.5", so that NaN, which line by line is let through, is stopped, and with "not x >= 0.5" the
#          other way round. argmax of sigmoid, tanh or relu becomes argmax of what they are taken of: of scores that are equal behind them, as those
#          of 20, 30 and 100 are, the first is the class line by line, and the largest in the graph. The largest square root of -1 and 4 is NaN, or
#          2. (x + 1e8) - 1e8 is 0, or x. A tf.function and a SavedModel in a session, which is what servers run, agree; with the
#          optimizer off both are as the lines of code say.
# Follows: what is served is compared with a tf.function, not with the model called as it is; decisions about NaN are written with is_nan.
#          tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True}) shows what the optimizer did.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install tensorflow-cpu==2.21.0 numpy==2.4.6
cd "$work"
TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" -W ignore - 2>"$work/log" <<'PY' || { tail -20 "$work/log"; exit 1; }
import tempfile
import numpy as np, tensorflow as tf

nan = float("nan")

def answers(function, x, shape):
    """As a function, in a session that runs its SavedModel, and as a function without the optimizer."""
    def graph():
        return tf.function(function, input_signature=[tf.TensorSpec(shape)], autograph=False)
    module, folder = tf.Module(), tempfile.mkdtemp(dir=".")
    module.f = graph()
    tf.saved_model.save(module, folder, signatures=module.f.get_concrete_function())
    results = [graph()(tf.constant(x))]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def["serving_default"]
        (given,), (output,) = signature.inputs.values(), signature.outputs.values()
        results.append(session.run(output.name, {given.name: x}))
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    results.append(graph()(tf.constant(x)))
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    return [np.asarray(result).tolist() for result in results]

ok = True
for what, function, x, plain, optimized in (
    ("not x < 0.5", lambda x: tf.logical_not(x < 0.5), [nan, 1, 0], [True, True, False], [False, True, False]),
    ("not x >= 0.5", lambda x: tf.logical_not(x >= 0.5), [nan, 1, 0], [True, False, True], [False, False, True]),
    ("argmax of sigmoid", lambda x: tf.argmax(tf.sigmoid(x)), [20, 30, 100], 0, 2),
    ("argmax of tanh", lambda x: tf.argmax(tf.tanh(x)), [20, 30, 100], 0, 2),
    ("argmax of relu", lambda x: tf.argmax(tf.nn.relu(x)), [-3, -2, -1], 0, 2),
    ("largest square root", lambda x: tf.reduce_max(tf.sqrt(x)), [-1, 4], nan, 2.0),
    ("(x + 1e8) - 1e8", lambda x: (x + 1e8) - 1e8, [3.5], [0.0], [3.5]),
):
    x = np.array(x, np.float32)
    line = np.asarray(function(tf.constant(x))).tolist()
    for size, shape in (("a fixed shape", x.shape), ("a free size", [None])):
        got = answers(function, x, shape)
        print(f"{what} of {x.tolist()}, {size}: {line} line by line, {got[0]} as a function, {got[1]} in a session, {got[2]} without the optimizer")
        ok &= str(line) == str(plain) and str(got) == str([optimized, optimized, plain])
raise SystemExit(not ok)
PY
