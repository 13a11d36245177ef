#!/usr/bin/env bash
# jax2onnx 0.17.1 with jax 0.10.2, run by onnxruntime 1.32.0 (PyPI, CPU): does a converted function answer as the one of JAX?
#
# Guess:   yes, or the conversion fails, as it does for a tenth of 250 small functions that were tried. Integer division, remainders of negatives and
#          scattered additions, where other converters are wrong, are right.
# Seen:    the nearest operator of ONNX stands for some whose edges differ. dynamic_slice, which JAX moves back into the array where it would
#          reach over its end, ends there: another length. one_hot of -1, nobody in JAX, is the last class. image.resize "nearest" takes other
#          pixels whenever the size changes by no whole factor, and for half the size every one; a "cubic" enlargement is up to 0.03 off.
#          lax.round goes to even for halves, where JAX's default is away from zero; 300 as uint8 is 44, not 255. And of an rfft abs is
#          nothing: the real and imaginary parts come back, as a further axis. All convert and load without a word.
# Follows: a converted model is compared at its windows' last place, with labels that are missing, and on real pictures.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install jax2onnx==0.17.1 jax==0.10.2 jaxlib==0.10.2 onnx==1.23.2 onnx-ir==1.1.0 onnxscript==0.7.2 onnxruntime==1.32.0 numpy==2.4.6
JAX_PLATFORMS=cpu ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - 2>"$work/log" <<'PY' || { tail -20 "$work/log"; exit 1; }
import jax, jax.numpy as jnp, numpy as np, onnxruntime
from jax2onnx import to_onnx

onnxruntime.set_default_logger_severity(4)

def floats(*numbers):
    return np.array(numbers, np.float32)

def both(function, inputs):
    file = to_onnx(function, [jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype) for x in inputs]).SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return np.asarray(jax.jit(function)(*inputs)), session.run(None, {x.name: np.asarray(value) for x, value in zip(session.get_inputs(), inputs)})[0]

five, ramp = floats(1, 2, 3, 4, 5), np.arange(6, dtype=np.float32)
ok = True
for what, function, inputs, by_jax, by_onnx in (
    ("three from place 1", lambda x, at: jax.lax.dynamic_slice(x, (at,), (3,)), (five, np.int32(1)), [2, 3, 4], [2, 3, 4]),
    ("three from place 4 of five", lambda x, at: jax.lax.dynamic_slice(x, (at,), (3,)), (five, np.int32(4)), [3, 4, 5], [5]),
    ("one_hot of 0 and -1", lambda x: jax.nn.one_hot(x, 3), (np.array([0, -1], np.int32),), [[1, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 1]]),
    ("six pixels as three, nearest", lambda x: jax.image.resize(x, (3,), "nearest"), (ramp,), [1, 3, 5], [0, 2, 4]),
    ("lax.round", lambda x: jax.lax.round(x), (floats(0.5, 1.5, 2.5),), [1, 2, 3], [0, 2, 2]),
    ("jnp.round", lambda x: jnp.round(x), (floats(0.5, 1.5, 2.5),), [0, 2, 2], [0, 2, 2]),
    ("300 and -5 as uint8", lambda x: x.astype(jnp.uint8), (floats(300, -5),), [255, 0], [44, 251]),
    ("abs of an rfft", lambda x: jnp.abs(jnp.fft.rfft(x)), (floats(1, 0, 0, 0),), [1, 1, 1], [[1, 0], [1, 0], [1, 0]]),
    ("-7 % 3 and -7 // 3", lambda x: jnp.stack([x % 3, x // 3]), (np.array([-7], np.int32),), [[2], [-3]], [[2], [-3]]),
    ("two additions to one place", lambda x: x.at[jnp.array([0, 0])].add(jnp.array([1.0, 2.0])), (floats(1, 2),), [4, 2], [4, 2]),
):
    got = both(function, inputs)
    print(f"{what}: {got[0].tolist()} by JAX, {got[1].tolist()} as ONNX")
    ok &= all(one.shape == np.shape(wanted) and np.allclose(one, wanted, atol=1e-5) for one, wanted in zip(got, (by_jax, by_onnx)))
picture = np.random.default_rng(0).random((6, 6), np.float32)
by_jax, by_onnx = both(lambda x: jax.image.resize(x, (9, 9), "cubic", antialias=False), (picture,))
off = np.abs(by_onnx - by_jax)
print(f"cubic, 6 to 9 pixels of noise between 0 and 1: up to {off.max():.2f} off, {off.mean():.3f} in the mean")
ok &= bool(off.max() > 0.02)
raise SystemExit(not ok)
PY
