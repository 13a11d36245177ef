#!/usr/bin/env bash
# openvino 2026.4.1 (PyPI, Linux x86_64, CPU): what becomes of constants beyond FP16's range when a model is saved?
#
# Guess:   save_model stores weights as FP16, as its default says, where they fit; a constant with numbers that do not fit stays FP32, as one
#          whose numbers would all be lost does. At worst it warns.
# Seen:    up to three quarters of a constant's numbers are clipped to 65504 without a word: a table of 0, 20000, ..., 140000 ends in four times
#          65504, so that buckets, prices, dates and offsets of the file are not those of the model that was checked before saving. Where the
#          large ones are more than that the constant stays FP32 and all are right; one more or one fewer entry of a table changes
#          which. Small numbers the same way: 1e-12 among others is 0. The model in memory stays right; its file, and what convert tools write, not.
# Follows: models with tables, thresholds or scales are saved with compress_to_fp16=False, and the file is compared, not the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, openvino
from openvino import opset13

core = openvino.Core()

def answers(numbers, **options):
    """The constant, looked at through the model in memory and through its file."""
    x = opset13.parameter([len(numbers)], np.float32, name="x")
    model = openvino.Model([opset13.add(x, opset13.constant(np.array(numbers, np.float32)))], [x], "m")
    openvino.save_model(model, "m.xml", **options)
    zeros = np.zeros(len(numbers), np.float32)
    return [core.compile_model(it, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(zeros)[0].tolist() for it in (model, core.read_model("m.xml"))]

ok = True
most = 65504.0
for what, numbers, options, wanted in (
    ("one of four beyond 65504", [1e5, 1, 2, 3], {}, [most, 1, 2, 3]),
    ("a table of eight", [20000.0 * k for k in range(8)], {}, [0, 20000, 40000, 60000, most, most, most, most]),
    ("three of four", [1e5, 2e5, 3e5, 1], {}, [1e5, 2e5, 3e5, 1]),
    ("all", [1e5, 2e5], {}, [1e5, 2e5]),
    ("a small one among others", [2.0 ** -40, 1, 2, 3], {}, [0, 1, 2, 3]),
    ("only small ones", [2.0 ** -40, 2.0 ** -41], {}, [2.0 ** -40, 2.0 ** -41]),
    ("a table of eight, compress_to_fp16=False", [20000.0 * k for k in range(8)], {"compress_to_fp16": False}, [20000.0 * k for k in range(8)]),
):
    memory, file = answers(numbers, **options)
    print(f"{what}: {numbers} is {file} in the file")
    ok &= memory == numbers and file == wanted
raise SystemExit(not ok)
PY
