#!/usr/bin/env bash
# onnx 1.23.2 and onnxruntime 1.31.1, 1.32.0 (PyPI): does a model that onnx makes by its defaults load?
#
# Guess:   yes; both come from the same people, and the engine is the newer package of the two in many environments.
# Seen:    onnx 1.23.2 writes IR version 14 and opset 28. onnxruntime 1.31.1 takes IR 13 at most, and when that is lowered, opset 26
#          at most. 1.32.0 loads it.
# Follows: whoever exports for a server names opset_imports and ir_version; a server's message names both ceilings.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/load.py" <<'PY'
import onnxruntime
from onnx import TensorProto, helper
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value("x")], [value("y")])
model = helper.make_model(graph)
assert (model.ir_version, model.opset_import[0].version) == (14, 28), (model.ir_version, model.opset_import)
for ir in (14, 13):
    model.ir_version = ir
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        print(onnxruntime.__version__, "IR", ir, "loads")
    except Exception as error:
        text = str(error)
        reason = [part for part in ("max supported IR version: 13", "is till opset 26") if part in text]
        print(onnxruntime.__version__, "IR", ir, *reason or [text])
PY
status=0
for version in 1.31.1 1.32.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" --quiet install "onnxruntime==$version" onnx==1.23.2 numpy==2.4.6
    ORT_DISABLE_TELEMETRY=1 "$work/$version/bin/python" "$work/load.py" | tee "$work/seen-$version"
done
diff "$work/seen-1.31.1" - <<< $'1.31.1 IR 14 max supported IR version: 13\n1.31.1 IR 13 is till opset 26' || status=1
diff "$work/seen-1.32.0" - <<< $'1.32.0 IR 14 loads\n1.32.0 IR 13 loads' || status=1
exit $status
