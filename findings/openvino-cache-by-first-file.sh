#!/usr/bin/env bash
# openvino 2026.4.1 (PyPI, Linux x86_64, CPU): whose answers come from weights that were replaced, if CACHE_DIR is set?
#
# Guess:   the new ones'. The cache of compiled models is for the same model, which it knows by its content; the overview of model caching
#          names no case in which the cache has to be emptied by hand.
# Seen:    compile_model(path) takes for the same model what has the same path, size and time, in whole seconds, of that one file. The weights of most
#          models are in another: a new .bin beside an IR's .xml, or new external data beside an ONNX file, as retraining leaves them,
#          are never read again, in any later process; the compiled model is of the old ones, and LOADED_FROM_CACHE is all that tells.
#          So is a whole ONNX file of the same size, as new weights of the same network have it, that is unpacked with a fixed date, or
#          written within the same second. read_model first, then compile_model, goes by the content and is right in all three.
# Follows: new weights get a new path, as repositories with a folder for each version have it, or the model is read before it is compiled.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cat >"$work/answer.py" <<'PY'
# Prints the first number that a row of ones gives, and whether the compiled model came from the cache.
import sys
import numpy as np, openvino

path, cache, how = sys.argv[1:]
core = openvino.Core()
core.set_property({"CACHE_DIR": cache})
compiled = core.compile_model(path if how == "path" else core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
print(compiled(np.ones((1, 64), np.float32))[0][0, 0], "cached" if compiled.get_property("LOADED_FROM_CACHE") else "compiled")
PY
"$work/venv/bin/python" - "$work" <<'PY'
import os, subprocess, sys, tempfile
import numpy as np, onnx, openvino
from onnx import TensorProto, helper, numpy_helper
from openvino import opset13

work = sys.argv[1]

def weights(number):
    return np.full((64, 64), number, np.float32)

def onnx_file(path, external):
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])], [numpy_helper.from_array(weights(1), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save_model(model, path, save_as_external_data=external, location="weights", size_threshold=0)

def ir_files(path):
    x = opset13.parameter([1, 64], np.float32, name="x")
    openvino.save_model(openvino.Model([opset13.matmul(x, opset13.constant(weights(1)), False, False)], [x], "m"), path, compress_to_fp16=False)

def answer(path, cache, how):
    return subprocess.run([sys.executable, f"{work}/answer.py", path, cache, how], check=True, capture_output=True, text=True).stdout.strip()

def replace(path, date):
    """Other weights in the place of those of `path`, all else as it was; dated by `date`."""
    content = open(path, "rb").read()
    changed = content.replace(weights(1).tobytes(), weights(2).tobytes())
    assert changed != content and len(changed) == len(content)
    open(path + ".new", "wb").write(changed)
    os.replace(path + ".new", path)
    os.utime(path, (date, date))

ok = True
for what, first, second, make, date in (
    ("IR, a later .bin", "m.xml", "m.bin", ir_files, 1_800_000_000),
    ("ONNX, later external data", "m.onnx", "weights", lambda path: onnx_file(path, True), 1_800_000_000),
    ("ONNX in one file, of the same size and date", "m.onnx", "m.onnx", lambda path: onnx_file(path, False), 1_700_000_000),
    ("ONNX in one file, a second later", "m.onnx", "m.onnx", lambda path: onnx_file(path, False), 1_700_000_001),
):
    for how in ("path", "model"):
        folder = tempfile.mkdtemp(dir=work)
        path, cache = os.path.join(folder, first), os.path.join(folder, "cache")
        make(path)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        answers = [answer(path, cache, how), answer(path, cache, how)]
        replace(os.path.join(folder, second), date)
        answers.append(answer(path, cache, how))
        stale = how == "path" and date != 1_700_000_001
        print(f"{what}, {'compile_model(path)' if how == 'path' else 'read_model and compile_model'}: {', '.join(answers)}")
        ok &= answers == ["64.0 compiled", "64.0 cached", "64.0 cached" if stale else "128.0 compiled"]
raise SystemExit(not ok)
PY
