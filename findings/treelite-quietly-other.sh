#!/usr/bin/env bash
# treelite 4.8.1 of xgboost-cpu 3.2.0 and lightgbm 4.7.0 (PyPI): does it, and with it Triton's FIL backend, answer as the estimator that was trained?
#
# Guess:   yes, to FP32's last digits: it reads the trainer's own file, and refuses what it does not have, such as linear trees.
# Seen:    not where the setting is none of the trees'. XGBoost's early stopping keeps all trees in its file, and treelite uses all of them, where
#          predict_proba uses those up to the best: every row differs, by up to 0.4. LightGBM's file has the best ones only, and is right.
#          XGBoost's missing=-999 is not in its file: -999 is a small number then, and half of the rows differ; asked with NaN
#          in its place the answers are equal. zero_as_missing of LightGBM is in its file, and is passed over.
# Follows: an early-stopped booster is cut, booster[: best_iteration + 1], before it is saved for serving; clients send NaN for what is missing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install treelite==4.8.1 xgboost-cpu==3.2.0 lightgbm==4.7.0 scikit-learn==1.9.1 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import os, tempfile
import lightgbm, numpy as np, treelite, xgboost

noise = np.random.default_rng(0)
x = noise.standard_normal((800, 5)).astype(np.float32)
x[noise.random(x.shape) < 0.1] = 0
holes = x.copy()
holes[noise.random(x.shape) < 0.15] = np.nan
score = np.nan_to_num(holes[:, 0], nan=1.5) + np.nan_to_num(holes[:, 1], nan=-2) * np.nan_to_num(holes[:, 2])
two = (score > 0).astype(int)
ok = True

def of_xgboost(trained):
    path = os.path.join(tempfile.mkdtemp(), "model.ubj")
    trained.save_model(path)
    return treelite.frontend.load_xgboost_model(path)

def of_lightgbm(trained):
    path = os.path.join(tempfile.mkdtemp(), "model.txt")
    trained.booster_.save_model(path)
    return treelite.frontend.load_lightgbm_model(path)

def compare(what, trained, load, asked, least):
    global ok
    wanted, got = trained.predict_proba(asked)[:, 1], treelite.gtil.predict(load(trained), asked).ravel()
    off = np.abs(wanted - got)
    print(f"{what}: off by up to {off.max():.2g}, in {np.mean(off > 1e-4):.0%} of the rows")
    ok &= off.max() > least if least else off.max() < 1e-5
    return got

stop = dict(eval_set=[(holes, 1 - two)])
compare("XGBoost", xgboost.XGBClassifier(n_estimators=15, max_depth=4).fit(holes, two), of_xgboost, holes, None)
compare("LightGBM", lightgbm.LGBMClassifier(n_estimators=15, verbose=-1).fit(holes, two), of_lightgbm, holes, None)
compare("XGBoost, early stopping", xgboost.XGBClassifier(n_estimators=15, max_depth=4, early_stopping_rounds=5).fit(holes, two, verbose=False, **stop), of_xgboost, holes, 0.05)
compare("LightGBM, early stopping", lightgbm.LGBMClassifier(n_estimators=15, verbose=-1).fit(holes, two, callbacks=[lightgbm.early_stopping(5, verbose=False)], **stop), of_lightgbm, holes, None)
minus = np.nan_to_num(holes, nan=-999)
trained = xgboost.XGBClassifier(n_estimators=15, max_depth=4, missing=-999).fit(minus, two)
compare("XGBoost, missing=-999", trained, of_xgboost, minus, 0.3)
wanted, got = trained.predict_proba(minus)[:, 1], treelite.gtil.predict(of_xgboost(trained), holes).ravel()
print(f"   the same asked with NaN: {np.abs(wanted - got).max():.1g}")
ok &= np.abs(wanted - got).max() < 1e-5
zero = lightgbm.LGBMClassifier(n_estimators=15, verbose=-1, zero_as_missing=True).fit(holes, two)
compare("LightGBM, zero_as_missing=True, rows with zeros and NaN", zero, of_lightgbm, holes, 0.1)
full = holes[~np.isnan(holes).any(1)]
compare("   rows without NaN", zero, of_lightgbm, full, 1e-9)
solid = holes[~np.isnan(holes).any(1) & (holes != 0).all(1)]
compare("   rows without either", zero, of_lightgbm, solid, None)
raise SystemExit(not ok)
PY
