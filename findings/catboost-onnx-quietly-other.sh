#!/usr/bin/env bash
# catboost 1.2.10, run by onnxruntime 1.32.0 (PyPI): does a model that CatBoost itself saves as ONNX answer as predict does?
#
# Guess:   yes; the trainer itself writes the file, and says which models it cannot write (trees that are not symmetric, categories).
# Seen:    the usual losses do. Poisson and Tweedie give the logarithm of the answer, so that counts are below zero in a third of the rows.
#          The probabilities of MultiClassOneVsAll, each of which is a sigmoid of its own, are a softmax: always one in sum, off by 0.2.
#          Nothing is said at saving or loading.
# Follows: of Poisson and Tweedie the exponential is taken behind the model; several labels at once cannot be read off such a file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install --no-deps catboost==1.2.10
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 numpy==2.4.6 graphviz==0.21 pandas==3.1.1 scipy==1.17.1 six==1.17.0
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import os, tempfile
import catboost, numpy as np, onnxruntime

onnxruntime.set_default_logger_severity(3)
noise = np.random.default_rng(0)
x = noise.standard_normal((800, 5)).astype(np.float32)
score = x[:, 0] + x[:, 1] * x[:, 2]
two, four, counts = (score > 0).astype(int), np.digitize(score, [-1, 0, 1]), noise.poisson(np.exp(np.clip(score, -2, 2)))
sigmoid, softmax = lambda value: 1 / (1 + np.exp(-value)), lambda value: np.exp(value) / np.exp(value).sum(1, keepdims=True)

def compare(make, y, **settings):
    trained = make(iterations=20, verbose=0, allow_writing_files=False, random_seed=0, thread_count=1, **settings).fit(x, y)
    path = os.path.join(tempfile.mkdtemp(), "model.onnx")
    trained.save_model(path, format="onnx")
    classes = make is catboost.CatBoostClassifier
    wanted = trained.predict_proba(x) if classes else trained.predict(x)
    got = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"features": x})[-1]
    got = np.array([[row[key] for key in sorted(row)] for row in got]) if classes else np.asarray(got).reshape(wanted.shape)
    return np.abs(got - wanted).max(), got, trained.predict(x, prediction_type="RawFormulaVal")

ok = True
for what, make, y, settings in (("Logloss", catboost.CatBoostClassifier, two, {}), ("MultiClass", catboost.CatBoostClassifier, four, {}), ("RMSE", catboost.CatBoostRegressor, score, {})):
    off = compare(make, y, **settings)[0]
    print(f"{what}: off by up to {off:.1g}")
    ok &= off < 1e-5
for loss in ("Poisson", "Tweedie:variance_power=1.5"):
    off, got, raw = compare(catboost.CatBoostRegressor, counts, loss_function=loss)
    print(f"{loss}: off by up to {off:.2g}, {np.mean(got < 0):.0%} of the answers are below zero; the logarithm of the answer: within {np.abs(got - raw).max():.1g}")
    ok &= off > 0.5 and np.abs(got - raw).max() < 1e-4 and bool((got < 0).any())
off, got, raw = compare(catboost.CatBoostClassifier, four, loss_function="MultiClassOneVsAll")
print(f"MultiClassOneVsAll: off by up to {off:.2g}; softmax in the place of a sigmoid for each: within {np.abs(got - softmax(raw)).max():.1g}")
ok &= off > 0.05 and np.abs(got - softmax(raw)).max() < 1e-4
raise SystemExit(not ok)
PY
