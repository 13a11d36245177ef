#!/usr/bin/env bash
# onnxruntime 1.32.0 and openvino 2026.4.1 (PyPI, Linux x86_64, CPU): how exact is a DFT, or STFT, of a length that is no power of two?
#
# Guess:   to some last digits of FP32, as NumPy, FFTW and PyTorch are of any length; another length takes longer at most.
# Seen:    powers of two are: what is not the tone lies 139 dB and more below it. Of 400 samples, the window of speech models, it is about 100 dB,
#          of 1000 92, of 4410 79, of 16000, a second of speech, 68: the error grows with the length, in both engines.
#          Whatever is quieter is not seen in the spectrum. STFT of such frames has it, too.
# Follows: signals of other lengths are padded to a power of two before DFT, or transformed outside of the model. The logarithm of a quiet
#          band is the error's, not the signal's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnxruntime==1.32.0 openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
core = openvino.Core()

def model(operator, x, constants, **attributes):
    node = helper.make_node(operator, ["x", *constants], ["y"], **attributes)
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(value, name) for name, value in constants.items() if name])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()

def by_onnxruntime(file, x):
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]

def by_openvino(file, x):
    return core.compile_model(core.read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({"x": x})[0]

def floor(spectrum, bin):
    """The largest of what is not the tone, in dB below the tone."""
    size = np.hypot(spectrum[..., 0].astype(np.float64), spectrum[..., 1])
    rest = size.copy()
    rest[[bin, -bin]] = 0
    return 20 * np.log10(rest.max() / size[bin])

ok = True
for length in (512, 400, 1000, 4096, 4410, 16000, 16384):
    bin = length // 8
    tone = np.cos(2 * np.pi * bin * np.arange(length) / length).astype(np.float32).reshape(1, length, 1)
    best = np.fft.fft(tone[0, :, 0].astype(np.float64))
    for name, engine in (("onnxruntime", by_onnxruntime), ("openvino", by_openvino)):
        got = floor(engine(model("DFT", tone, {}, axis=1), tone)[0], bin)
        print(f"{name}: DFT of {length} samples of one tone: all else is {got:.0f} dB below it (its FP32 samples in double: {floor(np.stack([best.real, best.imag], -1), bin):.0f})")
        ok &= got < -115 if length & (length - 1) == 0 else got > -108
        if length == 16000:
            ok &= got > -78
for length in (512, 400):
    bin, frames = length // 8, 3
    tone = np.cos(2 * np.pi * bin * np.arange(length * frames) / length).astype(np.float32).reshape(1, -1, 1)
    file = model("STFT", tone, {"step": np.array(length), "": None, "length": np.array(length)}, onesided=0)
    for name, engine in (("onnxruntime", by_onnxruntime), ("openvino", by_openvino)):
        print(f"{name}: STFT by frames of {length}: {floor(engine(file, tone)[0, 1], bin):.0f} dB")
raise SystemExit(not ok)
PY
