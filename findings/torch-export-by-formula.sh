#!/usr/bin/env bash
# torch 2.15.0 with onnxscript 0.7.2, run by onnxruntime 1.32.0 (PyPI, CPU): is a function of torch the same one as ONNX?
#
# Guess:   yes, or the export fails, as it does for a good many. Of functions that are there because their formula is not safe, the safe
#          form is written.
# Seen:    the formula is written. logaddexp(100, 100) is inf. logsigmoid(-20) is -inf, as the logarithm of a sigmoid, and the loss
#          binary_cross_entropy_with_logits, which exists because it needs no sigmoid, has one and is inf. atan2(0, -1) is minus a half
#          turn instead of a half turn. And divisor_override of avg_pool2d is dropped, which changes every number. logsumexp, softplus and
#          log_softmax are safe. Export and load say nothing, and with usual numbers all but the last are equal.
# Follows: a network is compared at the ends of what it may see, too. As TorchScript it is run by torch's own functions.
#
# Fetches torch with CUDA's libraries, some 2 GB; needs no GPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install torch==2.15.0 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
cat >"$work/export.py" <<'PY'
import logging, math, warnings

import onnxruntime, torch
import torch.nn.functional as F

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(3)
tensor = torch.tensor

class Module(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)

def both(function, *inputs):
    exported = torch.onnx.export(Module(function).eval(), inputs, verbose=False).model_proto
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {x.name: value.numpy() for x, value in zip(session.get_inputs(), inputs)})
    return function(*inputs).ravel().tolist(), got.ravel().tolist()

def near(numbers, others):
    return all(a == b or abs(a - b) <= 1e-4 * max(1, abs(b)) for a, b in zip(numbers, others))

inf, pi = math.inf, math.pi
ok = True
for name, function, inputs, right, seen in [
    ("logaddexp", torch.logaddexp, (tensor([1.0, 100.0]), tensor([1.0, 100.0])), [1.693147, 100.693147], [1.693147, inf]),
    ("logsigmoid", F.logsigmoid, (tensor([-2.0, -20.0]),), [-2.126928, -20.0], [-2.126928, -inf]),
    ("binary_cross_entropy_with_logits", lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
     (tensor([-2.0, -20.0]), tensor([1.0, 1.0])), [2.126928, 20.0], [2.126928, inf]),
    ("atan2", torch.atan2, (tensor([1.0, 0.0]), tensor([-1.0, -1.0])), [0.75 * pi, pi], [0.75 * pi, -pi]),
    ("avg_pool2d, divisor_override=3", lambda x: F.avg_pool2d(x, 2, divisor_override=3), (torch.ones(1, 1, 2, 2),), [4 / 3], [1.0]),
    ("logsumexp", lambda x: torch.logsumexp(x, 1), (tensor([[1000.0, 1000.0]]),), [1000.693147], [1000.693147]),
    ("softplus", F.softplus, (tensor([-2.0, 100.0]),), [0.126928, 100.0], [0.126928, 100.0]),
    ("log_softmax", lambda x: F.log_softmax(x, 1), (tensor([[0.0, -1000.0]]),), [0.0, -1000.0], [0.0, -1000.0]),
]:
    by_torch, by_onnx = both(function, *inputs)
    print(f"{name} of {', '.join(str(x.ravel().tolist()) for x in inputs)}: {by_torch} by torch, {by_onnx} as ONNX")
    ok &= near(by_torch, right) and near(by_onnx, seen)
raise SystemExit(not ok)
PY
ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore "$work/export.py"
