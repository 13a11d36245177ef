#!/usr/bin/env bash
# onnxmltools 1.16.0 of lightgbm 4.7.0, run by onnxruntime 1.32.0 (PyPI): does a converted LightGBM model answer as the one that was trained?
#
# Guess:   yes, but for FP32's rounding near a threshold; what cannot be converted is an error, as it is for objectives such as "fair" or "mape".
# Seen:    usual models do. Of others, settings are dropped, without a word: sigmoid=2.0 is 1.0; reg_sqrt=True gives the root of the answer;
#          boosting_type="rf" of 15 trees gives a hundredth of the answer, probabilities as well; linear_tree=True has trees without what is linear in
#          them; with zero_as_missing=True rows with zeros differ; probabilities of multiclassova are others. And a category that is
#          4.7 in the request is 4 in LightGBM, and none in the converted model.
# Follows: a converted model is compared with the trained one, its numbers as well as its labels. treelite answers rightly for all of these that it
#          reads but zero_as_missing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnxmltools==1.16.0 skl2onnx==1.20.0 onnx==1.23.2 scikit-learn==1.9.1 numpy==2.4.6 lightgbm==4.7.0
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import lightgbm, numpy as np, onnxmltools, onnxruntime
from onnxmltools.convert.common.data_types import FloatTensorType

onnxruntime.set_default_logger_severity(3)
noise = np.random.default_rng(0)
x = noise.standard_normal((800, 5)).astype(np.float32)
x[noise.random(x.shape) < 0.1] = 0
score = x[:, 0] + x[:, 1] * x[:, 2]
two, four, positive = (score > 0).astype(int), np.digitize(score, [-1, 0, 1]), np.abs(score)
kinds = x.copy()
kinds[:, 3] = noise.integers(0, 12, len(x))
by_kind = np.where(np.isin(kinds[:, 3], [1, 4, 7, 11]), 3, 0) + x[:, 0]
Classifier, Regressor = lightgbm.LGBMClassifier, lightgbm.LGBMRegressor
sigmoid = lambda value: 1 / (1 + np.exp(-value))

def compare(make, y, x=x, asked=None, fit={}, **settings):
    """How far the converted model is off, and its answers beside the raw scores of the trained one."""
    trained = make(n_estimators=15, verbose=-1, random_state=0, **settings).fit(x, y, **fit)
    asked = x if asked is None else asked
    file = onnxmltools.convert_lightgbm(trained, initial_types=[("x", FloatTensorType([None, 5]))], zipmap=False).SerializeToString()
    wanted = trained.predict_proba(asked) if make is Classifier else trained.predict(asked)
    got = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": asked})[-1].reshape(wanted.shape)
    return np.abs(got - wanted).max(), got, trained.predict(asked, raw_score=True)

ok = True
def show(what, off, least, explained=None):
    global ok
    print(f"{what}: off by up to {off:.2g}" + ("" if explained is None else f"; {explained[0]}: within {explained[1]:.1g}"))
    ok &= off > least if least else off < 1e-5
    if explained:
        ok &= explained[1] < 1e-4

show("two classes, gbdt", compare(Classifier, two)[0], None)
off, got, raw = compare(Classifier, two, sigmoid=2.0)
show("sigmoid=2.0", off, 0.05, ("the sigmoid of the raw score alone", np.abs(got[:, 1] - sigmoid(raw)).max()))
off, got, raw = compare(Regressor, positive, reg_sqrt=True)
show("reg_sqrt=True", off, 0.3, ("the root of the answer", np.abs(got - raw).max()))
off, got, raw = compare(Classifier, four, objective="multiclassova")
show("multiclassova", off, 0.1)
forest = dict(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5)
off, got, raw = compare(Regressor, score, **forest)
show("forest, regression", off, 0.5, ("a hundredth of the answer", np.abs(got - raw / 100).max()))
off, got, raw = compare(Classifier, two, **forest)
show("forest, two classes", off, 0.2, ("a hundredth of the answer", np.abs(got[:, 1] - sigmoid(raw) / 100).max()))
show("linear_tree=True", compare(Regressor, score, linear_tree=True)[0], 0.5)
show("zero_as_missing=True", compare(Classifier, two, zero_as_missing=True)[0], 0.05)
fraction = kinds.copy(); fraction[:, 3] += 0.7
categories = dict(x=kinds, fit=dict(categorical_feature=[3]), min_data_per_group=1, cat_smooth=0)
show("categories", compare(Regressor, by_kind, **categories)[0], None)
show("categories with a fraction", compare(Regressor, by_kind, asked=fraction, **categories)[0], 0.5)
raise SystemExit(not ok)
PY
