#!/usr/bin/env bash
# onnx 1.23.2 (PyPI): does its ReferenceEvaluator, against which engines and converters are checked, compute what the definitions say?
#
# Guess:   yes; that is what a reference is for. It is slow, and may refuse what nobody wrote yet. Each operator has cases in the same package, which pass.
# Seen:    781 single nodes were run, with their settings and of older opsets too; of 140 it gives other numbers than ONNX Runtime. In these the definition
#          is with the latter. LRN normalizes as many channels as the batch has pictures: of one picture the first (the case in the
#          package has five of both). LpNormalization with p=1 sums without taking absolute values. LSTM, GRU and RNN read past sequence_lens, so
#          that padding counts, and past clip; LSTM and GRU past their activations. Softmax, LogSoftmax and Hardmax of opset 12 and older are those of 13,
#          and BatchNormalization of opset 9 takes mean and variance of the batch beside it in. LogSoftmax of 1000 is -inf. Nothing is said.
# Follows: an engine that differs from the reference is not wrong by that; a converter that was tested against it alone may be. Whoever needs a
#          judge computes the definition by hand, or asks two engines of different origin.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore - <<'PY'
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(3)
noise = np.random.default_rng(0)
types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}

def normal(*shape):
    return noise.standard_normal(shape).astype(np.float32)

def both(operator, opset, inputs, attributes={}):
    """The first output by the reference and by ONNX Runtime."""
    feeds = {f"x{i}": value for i, value in enumerate(inputs) if value is not None}
    names = [f"x{i}" if value is not None else "" for i, value in enumerate(inputs)]
    graph = helper.make_graph([helper.make_node(operator, names, ["y"], **attributes)], "g",
                              [helper.make_tensor_value_info(name, types[value.dtype], value.shape) for name, value in feeds.items()],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))
    onnx.checker.check_model(model, full_check=True)
    return (ReferenceEvaluator(model).run(None, feeds)[0],
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0])

ok = True
def say(what, operator, opset, inputs, attributes, truth, wrong=True):
    """`truth` is the definition by NumPy, in FP64, or None where ONNX Runtime has to do."""
    global ok
    is_, engine = both(operator, opset, inputs, attributes)
    truth = engine if truth is None else truth
    off, engine_off = (float(np.nanmax(np.abs(value - truth))) for value in (is_, engine))
    print(f"{what}: the reference is off by {off:.2g}, ONNX Runtime by {engine_off:.1g}")
    ok &= engine_off < 1e-4 and (off > 0.05 if wrong else off < 1e-4)
    return is_

def lrn(x, size, alpha, beta, bias):
    total = np.zeros_like(x, dtype=np.float64)
    for c in range(x.shape[1]):
        total[:, c] = (x[:, max(0, c - (size - 1) // 2):c + size // 2 + 1].astype(np.float64) ** 2).sum(1)
    return x / (bias + alpha / size * total) ** beta

settings = dict(size=3, alpha=0.5, beta=0.6, bias=1.5)
pictures = 5 * normal(6, 6, 2, 2)
say("LRN, six pictures of six channels", "LRN", 18, [pictures], settings, lrn(pictures, **settings), wrong=False)
one = say("LRN, one picture of six channels", "LRN", 18, [pictures[:1]], settings, lrn(pictures[:1], **settings))
right = [bool(np.allclose(one[:, c], lrn(pictures[:1], **settings)[:, c], atol=1e-4)) for c in range(6)]
print(f"   channels that are right: {right}")
ok &= right == [True] + [False] * 5

x = normal(2, 3)
say("LpNormalization, p=2", "LpNormalization", 18, [x], dict(p=2, axis=0), x / np.sqrt((x * x).sum(0)), wrong=False)
say("LpNormalization, p=1", "LpNormalization", 18, [x], dict(p=1, axis=0), x / np.abs(x).sum(0))

x = normal(2, 3, 4)
for operator, finish in (("Softmax", lambda e: e), ("LogSoftmax", np.log)):
    for opset, axes, wrong in ((13, 1, False), (12, (1, 2), True), (7, (1, 2), True)):
        e = np.exp(x.astype(np.float64))
        say(f"{operator} of opset {opset}, axis=1", operator, opset, [x], dict(axis=1), finish(e / e.sum(axes, keepdims=True)), wrong)
y = both("LogSoftmax", 18, [np.array([1000, 0], np.float32)])
print(f"LogSoftmax of 1000 and 0: {y[0].tolist()}, ONNX Runtime {y[1].tolist()}")
ok &= y[0].tolist() == [0, -np.inf] and y[1].tolist() == [0, -1000]

scale, bias, mean, variance = normal(3), normal(3), normal(3), np.abs(normal(3))
truth = (x - mean[:, None]) / np.sqrt(variance[:, None].astype(np.float64) + 0.1) * scale[:, None] + bias[:, None]
for opset, wrong in ((9, True), (15, False)):
    say(f"BatchNormalization of opset {opset}", "BatchNormalization", opset, [x, scale, bias, mean, variance], {"epsilon": 0.1}, truth, wrong)

for operator, gates, others in (("LSTM", 4, ["HardSigmoid", "Softsign", "Softsign"]), ("GRU", 3, ["HardSigmoid", "Softsign"]), ("RNN", 1, None)):
    inputs = [normal(5, 2, 3), normal(1, gates * 4, 3), normal(1, gates * 4, 4), normal(1, 2 * gates * 4)]
    usual = say(operator, operator, 18, inputs, {"hidden_size": 4}, None, wrong=False)
    for what, more, attributes in (("a sequence of 2 beside one of 5", [np.array([2, 5], np.int32)], {}), ("clip=0.5", [], {"clip": 0.5}), (f"{others}", [], {"activations": others})):
        if attributes != {"activations": None}:
            other = say(f"{operator}, {what}", operator, 18, inputs + more, {"hidden_size": 4} | attributes, None)
            ok &= np.array_equal(other, usual)
raise SystemExit(0 if ok else "the reference computes what is defined, or something else again: this finding has changed")
PY
