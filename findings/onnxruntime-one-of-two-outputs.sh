#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): what is computed for a request that asks for one of two outputs?
#
# Guess:   what that output needs. run() takes the names of the outputs that are wanted, and RunOptions.only_execute_path_to_fetches is there, off by
#          default, for who wants nothing else, so it may need that.
# Seen:    everything, in every case: the profile of a run has the nodes of both heads, whichever output was named, and with
#          only_execute_path_to_fetches as well, in sequential as in parallel mode. The flag is accepted, and changes neither nodes nor times; a
#          misspelt one would be refused. Nodes are only left out by a model that does not list the other output.
# Follows: a client that asks a server of ONNX Runtime for the cheap output of a model waits for the expensive one. Heads that are asked for apart
#          are models of their own, as onnx.utils.extract_model cuts them out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$work"
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import json
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(3)
nodes = [helper.make_node("Relu", ["x"], ["body"], "body"), helper.make_node("Neg", ["body"], ["cheap"], "cheap"),
         helper.make_node("MatMul", ["body", "body"], ["square"], "expensive"), helper.make_node("Exp", ["square"], ["expensive"], "more")]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 8])],
                          [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8, 8]) for name in ("cheap", "expensive")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), "m.onnx")
onnx.utils.extract_model("m.onnx", "cheap.onnx", ["x"], ["cheap"])

def executed(path, outputs, only=False, mode=onnxruntime.ExecutionMode.ORT_SEQUENTIAL):
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.execution_mode = True, mode
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    run = onnxruntime.RunOptions()
    run.only_execute_path_to_fetches = only
    session.run(outputs, {"x": np.ones((8, 8), np.float32)}, run)
    events = json.load(open(session.end_profiling()))
    return sorted({event["name"].removesuffix("_kernel_time") for event in events if event["name"].endswith("_kernel_time")})

everything, parallel = ["body", "cheap", "expensive", "more"], onnxruntime.ExecutionMode.ORT_PARALLEL
ok = True
for what, arguments, wanted in (
    ("both outputs", ("m.onnx", None), everything),
    ("one output", ("m.onnx", ["cheap"]), everything),
    ("one output, only_execute_path_to_fetches", ("m.onnx", ["cheap"], True), everything),
    ("the same in parallel mode", ("m.onnx", ["cheap"], True, parallel), everything),
    ("a model of that output", ("cheap.onnx", ["cheap"]), ["body", "cheap"]),
):
    got = executed(*arguments)
    print(f"{what}: {', '.join(got)}")
    ok &= got == wanted
raise SystemExit(not ok)
PY
