#!/usr/bin/env bash
# openvino 2026.4.1 of models of torch 2.15.0 (PyPI, Linux x86_64, CPU): does OpenVINO answer as PyTorch, whose functions it converts?
#
# Guess:   yes, or convert_model fails, as it does by name for what it has no rule for. Of 400 small functions that were traced nearly all agree,
#          negative remainders, scattered updates and NMS among them.
# Seen:    arguments are read past where their default is another. softplus takes beta=2 for 1, var and std correction=2 for 1, round decimals=1 for
#          none, so that 0.35 is 0. cdist of p=1 gives NaN. embedding_bag with a padding_idx adds the padding's row up with the others. And -7 // 3 of whole
#          numbers is -2, while -7 % 3 is right. All convert and compile without a word, and are right with the defaults.
# Follows: a converted model is compared by its numbers, above all where the code sets an argument that others leave alone.
#
# Fetches torch with CUDA's libraries, some 2 GB; needs no GPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install openvino==2026.4.1 torch==2.15.0 numpy==2.4.6
"$work/venv/bin/python" -W ignore - 2>"$work/log" <<'PY' || { tail -20 "$work/log"; exit 1; }
import numpy as np, openvino, torch
import torch.nn.functional as F

core, tensor = openvino.Core(), torch.tensor

class Module(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)

def both(function, inputs):
    model = openvino.convert_model(torch.jit.trace(Module(function).eval(), inputs, check_trace=False), example_input=inputs)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return function(*inputs).double().numpy(), np.asarray(compiled([x.numpy() for x in inputs])[0], np.float64)

table = tensor([[1.0], [10.0], [100.0]])
ok = True
for what, function, inputs, same in (
    ("softplus", lambda x: F.softplus(x), (tensor([-1.0, 0.0, 1.0]),), True),
    ("softplus, beta=2", lambda x: F.softplus(x, beta=2.0), (tensor([-1.0, 0.0, 1.0]),), False),
    ("var", lambda x: x.var(1), (tensor([[1.0, 2.0, 4.0, 8.0]]),), True),
    ("var, correction=2", lambda x: x.var(1, correction=2), (tensor([[1.0, 2.0, 4.0, 8.0]]),), False),
    ("round", lambda x: torch.round(x), (tensor([0.35, 1.27]),), True),
    ("round, decimals=1", lambda x: torch.round(x, decimals=1), (tensor([0.35, 1.27]),), False),
    ("cdist", lambda x, y: torch.cdist(x, y), (tensor([[1.0, 2.0]]), tensor([[4.0, 6.0], [0.0, 0.0]])), True),
    ("cdist, p=1", lambda x, y: torch.cdist(x, y, p=1), (tensor([[1.0, 2.0]]), tensor([[4.0, 6.0], [0.0, 0.0]])), False),
    ("embedding_bag", lambda x: F.embedding_bag(x, table, mode="sum"), (tensor([[0, 1, 2]]),), True),
    ("embedding_bag, padding_idx=2", lambda x: F.embedding_bag(x, table, tensor([0]), mode="sum", padding_idx=2), (tensor([0, 1, 2]),), False),
    ("x % 3", lambda x: x % 3, (tensor([-7, 7]),), True),
    ("x // 3", lambda x: x // 3, (tensor([-7, 7]),), False),
):
    by_torch, by_openvino = both(function, inputs)
    print(f"{what}: {by_torch.ravel().round(4).tolist()} by PyTorch, {by_openvino.ravel().round(4).tolist()} by OpenVINO")
    ok &= np.allclose(by_torch, by_openvino, rtol=1e-3, atol=1e-4) == same
raise SystemExit(not ok)
PY
