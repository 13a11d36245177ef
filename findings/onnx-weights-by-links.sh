#!/usr/bin/env bash
# onnx 1.23.2, onnxruntime 1.32.0 and openvino 2026.4.1 (PyPI, Linux x86_64): who reads a model whose weights are in a file of their own, where tools
# lay it by links?
#
# Guess:   all three, wherever a file can be opened: that models and weights are links is the rule, not the exception, in the folder that
#          Hugging Face's client downloads to, in volumes of Kubernetes, in folders of DVC and copies by `cp -l`.
# Seen:    no layout but plain files is read by all three. onnx.load and the checker refuse each symbolic link, so all models of the Hugging Face
#          cache and of Kubernetes volumes, and a weights' file that has a second name anywhere on the disk: "it has multiple hard links,
#          indicating a potential hardlink attack" says a model that was backed up by `cp -l`, without a change of its own. OpenVINO
#          refuses the Hugging Face cache, and takes Kubernetes'. ONNX Runtime takes both, and refuses weights alone that are linked from
#          elsewhere. A model in one file is read in every layout by all of them.
# Follows: a repository of models keeps weights beside the model as plain files, or the links of both lead to one folder; a model that
#          serves well may still not be opened by the tools that look at it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - "$work" <<'PY'
import os, shutil, sys
import numpy as np, onnx, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
work, names = sys.argv[1], ("m.onnx", "m.weights")
x = np.ones((1, 64), np.float32)

def folder(path):
    os.makedirs(f"{work}/{path}")
    return f"{work}/{path}"

def copy(source, to):
    for name in names:
        if os.path.exists(f"{source}/{name}"):
            shutil.copy(f"{source}/{name}", to)

def link(target, path):
    if os.path.exists(os.path.join(os.path.dirname(path), target)):
        os.symlink(target, path)

def layouts(source, prefix):
    plain = folder(prefix + "plain")
    copy(source, plain)
    yield "plain files", plain
    blobs, snapshot = folder(prefix + "hub/blobs"), folder(prefix + "hub/snapshots/3f2a/onnx")
    copy(source, blobs)
    for name in names:
        link(f"../../../blobs/{name}", f"{snapshot}/{name}")
    yield "Hugging Face's cache", snapshot
    volume = folder(prefix + "volume")
    copy(source, folder(prefix + "volume/..2026_11_30"))
    os.symlink("..2026_11_30", volume + "/..data")
    for name in names:
        link(f"..data/{name}", f"{volume}/{name}")
    yield "a Kubernetes volume", volume
    backup = folder(prefix + "backup")
    for name in names:
        if os.path.exists(f"{plain}/{name}"):
            os.link(f"{plain}/{name}", f"{backup}/{name}")
    yield "hard links (cp -l, DVC)", backup
    yield "the same, the first files", plain
    apart = folder(prefix + "apart")
    shutil.copy(f"{blobs}/m.onnx", apart)
    link(f"../hub/blobs/m.weights", f"{apart}/m.weights")
    yield "weights alone linked", apart

def reads(read):
    try:
        assert read()
        return "yes"
    except Exception as error:
        return "no"

graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])], [numpy_helper.from_array(np.ones((64, 64), np.float32), "w")])
ok = True
for external in (True, False):
    source = folder(f"made-{external}")
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), f"{source}/m.onnx",
                    save_as_external_data=external, location="m.weights", size_threshold=0)
    os.chdir(work)
    for layout, path in layouts(source, f"{external}/"):
        file = f"{path}/m.onnx"
        got = [reads(lambda: numpy_helper.to_array(onnx.load(file).graph.initializer[0]).sum() == 4096), reads(lambda: onnx.checker.check_model(file) is None),
               reads(lambda: onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0][0, 0] == 64),
               reads(lambda: openvino.Core().compile_model(file, "CPU")(x)[0][0, 0] == 64)]
        print(f"{'weights apart' if external else 'one file'}, {layout}: onnx.load {got[0]}, checker {got[1]}, onnxruntime {got[2]}, openvino {got[3]}")
        wanted = {"plain files": "yyyy", "Hugging Face's cache": "nnyn", "a Kubernetes volume": "nnyy", "hard links (cp -l, DVC)": "nnyy",
                  "the same, the first files": "nnyy", "weights alone linked": "nnnn"}[layout] if external else "yyyy"
        ok &= "".join(answer[0] for answer in got) == wanted
    if external:
        try:
            onnx.load(f"{work}/True/backup/m.onnx")
        except Exception as error:
            print(str(error).split(", but ")[-1])
raise SystemExit(not ok)
PY
