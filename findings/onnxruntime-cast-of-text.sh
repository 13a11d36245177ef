#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): which number is a text, and which text is a number, by ONNX's Cast?
#
# Guess:   what is no number is an error, and "1e3" is a thousand in every type: the operator's definition has plain and scientific forms.
#          A number that became a text becomes the same number again; True is "True" or "true".
# Seen:    the beginning of the text counts and the rest is not looked at: "1,5" is 1, "12 kg" is 12, "1_000" is 1. As INT64 "1e3" is 1, as
#          FLOAT 1000; "0x10" is 16 as FLOAT and 0 as INT64. "true" as BOOL fails, and "0.9" is false. An error, "stod", comes where
#          the text begins with no number at all. The other way a DOUBLE keeps 8 digits: a second of 2025 is "1.7645472e+09", which
#          stands for any within a minute and a half. INT64 keeps all. True is "1".
# Follows: a model that takes numbers as text answers wrong rather than not at all for a decimal comma, a thousands separator or a unit.
#          Its clients send numbers, or a step before it parses.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" - <<'PY'
import numpy as np, onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(4)

def cast(values, of, to):
    x, y = (helper.make_tensor_value_info(name, getattr(TensorProto, kind), ["n"]) for name, kind in (("x", of), ("y", to)))
    graph = helper.make_graph([helper.make_node("Cast", ["x"], ["y"], to=getattr(TensorProto, to))], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    try:
        return session.run(None, {"x": np.array(values, object if of == "STRING" else None)})[0].tolist()
    except Exception as e:
        return str(e).rsplit(" ", 1)[-1]

ok = True
for text, expected in {
    "1.5": [1.5, 1, True],
    " 7 ": [7.0, 7, True],
    "Infinity": [float("inf"), "stoll", "stoull"],
    "1,5": [1.0, 1, True],
    "12 kg": [12.0, 12, True],
    "1_000": [1.0, 1, True],
    "1e3": [1000.0, 1, True],
    "0x10": [16.0, 0, False],
    "0.9": [np.float32(0.9), 0, False],
    "true": ["stod", "stoll", "stoull"],
    "kg 12": ["stod", "stoll", "stoull"],
}.items():
    seen = [got if isinstance(got := cast([text], "STRING", to), str) else got[0] for to in ("FLOAT", "INT64", "BOOL")]
    print(f"{text!r}: FLOAT {seen[0]}, INT64 {seen[1]}, BOOL {seen[2]}")
    ok &= seen == expected
for kind, value, expected in [
    ("FLOAT", np.float32(1 / 3), "0.33333334"),
    ("DOUBLE", 1 / 3, "0.33333333"),
    ("DOUBLE", 1764547200.125, "1.7645472e+09"),
    ("INT64", 1764547200125, "1764547200125"),
    ("BOOL", True, "1"),
]:
    (text,) = cast([value], kind, "STRING")
    print(f"{kind} {value}: {text!r}")
    ok &= text == expected
raise SystemExit(not ok)
PY
