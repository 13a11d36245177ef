#!/usr/bin/env bash
# openvino 2026.4.1 of SavedModels of tensorflow-cpu 2.21.0 (PyPI, Linux x86_64, CPU): does OpenVINO answer as TensorFlow, whose file it reads?
#
# Guess:   yes, or it refuses the file: what it has no rule for is listed by name ("No conversion rule found for operations: ..."), and of 170
#          operations that were tried, resizing, padding and rounding of negatives among them, nearly all agree.
# Seen:    tf.unique of [3, 1, 3, 2, 1] is [3, 0, 0]: as many numbers as there should be, of which only the first is written; the counts of
#          unique_with_counts likewise, while the indices into them are right. scatter_nd keeps the last of several updates of a place in
#          the stead of their sum. And local response normalization, of the networks of 2012 to 2015, is right for depth_radius=2 and wrong for
#          others, TensorFlow's default of 5 included, by tens of percent.
# Follows: that a SavedModel converts says little; vocabularies, sparse features and older networks are compared by numbers.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 tensorflow-cpu==2.21.0 numpy==2.4.6
cd "$work"
TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" -W ignore - 2>"$work/log" <<'PY' || { cat "$work/log"; exit 1; }
import tempfile
import numpy as np, openvino, tensorflow as tf

core = openvino.Core()

def both(function, x):
    """What TensorFlow and OpenVINO answer of one SavedModel."""
    module = tf.Module()
    module.f = tf.function(function, input_signature=[tf.TensorSpec(x.shape, x.dtype)], autograph=False)
    folder = tempfile.mkdtemp(dir=".")
    tf.saved_model.save(module, folder, signatures=module.f.get_concrete_function())
    compiled = core.compile_model(core.read_model(folder), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return module.f(x).numpy(), compiled(x)[0]

ids = np.array([3, 1, 3, 2, 1], np.int32)
wide = np.random.default_rng(0).standard_normal((1, 4, 4, 64)).astype(np.float32)
ok = True
for what, function, x, wanted in (
    ("unique", lambda x: tf.unique(x)[0], ids, ([3, 1, 2], [3, 0, 0])),
    ("unique of FP32", lambda x: tf.unique(x)[0], ids.astype(np.float32), ([3, 1, 2], [3, 0, 0])),
    ("unique's indices", lambda x: tf.unique(x)[1], ids, ([0, 1, 0, 2, 1], [0, 1, 0, 2, 1])),
    ("unique_with_counts", lambda x: tf.unique_with_counts(x)[2], ids, ([2, 2, 1], None)),
    ("scatter_nd", lambda x: tf.scatter_nd(tf.constant([[0], [1], [0]]), x, [3]), np.array([1, 2, 4], np.float32), ([5, 2, 0], [4, 2, 0])),
):
    by_tf, by_openvino = both(function, x)
    print(f"{what}: {by_tf.tolist()} by TensorFlow, {by_openvino.tolist()} by OpenVINO")
    ok &= by_tf.tolist() == wanted[0] and (by_openvino.tolist() == wanted[1] if wanted[1] else by_openvino.tolist() != wanted[0])
for radius in (1, 2, 3, 5):
    by_tf, by_openvino = both(lambda x, radius=radius: tf.raw_ops.LRN(input=x, depth_radius=radius, bias=1.0, alpha=1.0, beta=0.5), wide)
    off = np.abs(by_openvino / by_tf - 1)
    print(f"lrn, depth_radius={radius}: up to {off.max():.0%} off, {off.mean():.0%} in the mean")
    ok &= bool(off.max() < 1e-4 if radius == 2 else off.mean() > 0.03)
raise SystemExit(not ok)
PY
