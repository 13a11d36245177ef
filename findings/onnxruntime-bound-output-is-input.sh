#!/usr/bin/env bash
# onnxruntime 1.31.1, 1.32.0 (PyPI): where is an output that the graph also lists as an input, when it is bound to memory?
#
# Guess:   in the memory that BindOutput names, as every other output; a copy of the input.
# Seen:    the bound memory is never written, without an error. The output value of the binding is the input's: its address is that of
#          the caller's input, also where the engine was asked to allocate the output itself. An Identity between both is enough for a
#          copy.
# Follows: whoever reads outputs from the memory that was bound, as with CUDA graphs, reads what lay there before; whoever takes over
#          an output that the engine "allocated" keeps memory of the input. Compare addresses.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/bind.py" <<'PY'
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper


def model(nodes, output):
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])
    graph = helper.make_graph(nodes, "g", [value("x")], [value("other"), value(output)])
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


NEG = helper.make_node("Neg", ["x"], ["other"])
for name, nodes, output in [("the input", [NEG], "x"), ("an Identity", [NEG, helper.make_node("Identity", ["x"], ["y"])], "y")]:
    session = ort.InferenceSession(model(nodes, output), providers=["CPUExecutionProvider"])
    x = ort.OrtValue.ortvalue_from_numpy(np.array([1, 2], np.float32))
    bound = ort.OrtValue.ortvalue_from_numpy(np.array([9, 9], np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", x)
    binding.bind_output("other", "cpu")
    binding.bind_ortvalue_output(output, bound)
    session.run_with_iobinding(binding)
    print(f"{name}: bound memory {bound.numpy().tolist()}, output {binding.get_outputs()[1].numpy().tolist()}")
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", x)
    binding.bind_output("other", "cpu")
    binding.bind_output(output, "cpu")
    session.run_with_iobinding(binding)
    print(f"{name}: allocated output at the input's address: {binding.get_outputs()[1].data_ptr() == x.data_ptr()}")
PY
status=0
for version in 1.31.1 1.32.0; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" --quiet install "onnxruntime==$version" onnx==1.22.0 numpy==2.4.6
    ORT_DISABLE_TELEMETRY=1 "$work/$version/bin/python" "$work/bind.py" | tee "$work/seen"
    diff "$work/seen" - <<'SEEN' || status=1
the input: bound memory [9.0, 9.0], output [1.0, 2.0]
the input: allocated output at the input's address: True
an Identity: bound memory [1.0, 2.0], output [1.0, 2.0]
an Identity: allocated output at the input's address: False
SEEN
done
exit $status
