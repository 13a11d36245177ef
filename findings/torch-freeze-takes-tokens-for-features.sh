#!/usr/bin/env bash
# torch 2.15.0 (PyPI, Linux x86_64, CPU): does a frozen TorchScript model answer as before it was frozen?
#
# Guess:   yes, to the last digits: freeze and optimize_for_inference fold a batch normalization into the layer before it, which is done for years, and
#          a network of squares differs in nothing from one of rectangles.
# Seen:    not where a Linear is followed by BatchNorm1d of a sequence (n, tokens, features) with as many tokens as features. Linear works along the
#          features, BatchNorm1d along the tokens, and the fold takes the one for the other: each output is scaled and moved by another channel's
#          numbers, off by as much as outputs are large. With 4 tokens of 8 features it is not folded, and right; of (n, features), and behind
#          Conv1d, it is folded, and right. Tracing, scripting and freezing say nothing.
# Follows: what is frozen for serving is compared with the eager model on a real input; or the module is saved without freezing.
#
# Fetches torch with CUDA's libraries, some 2 GB; needs no GPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install torch==2.15.0 numpy==2.4.6
"$work/venv/bin/python" -W ignore - <<'PY'
import copy, torch
from torch import nn

torch.manual_seed(0)
ok = True
for what, layer, channels, shape, same in (
    ("Linear, 4 tokens of 4 features", nn.Linear(4, 4), 4, (3, 4, 4), False),
    ("Linear, 4 tokens of 8 features", nn.Linear(8, 8), 4, (3, 4, 8), True),
    ("Linear, rows of 4 features", nn.Linear(4, 4), 4, (3, 4), True),
    ("Conv1d, 4 channels of 4 steps", nn.Conv1d(4, 4, 3, padding=1), 4, (3, 4, 4), True),
):
    norm = nn.BatchNorm1d(channels)
    for value in (norm.weight.data, norm.bias.data, norm.running_mean):
        value.normal_()
    norm.running_var.uniform_(0.5, 2)
    module, x = nn.Sequential(layer, norm).eval(), torch.randn(shape)
    with torch.no_grad():
        eager = module(x)
        for name, make in (
            ("scripted", torch.jit.script),
            ("frozen", lambda it: torch.jit.freeze(torch.jit.script(it))),
            ("traced and optimized for inference", lambda it: torch.jit.optimize_for_inference(torch.jit.trace(it, x))),
        ):
            off = (make(copy.deepcopy(module))(x) - eager).abs().max().item()
            print(f"{what}, {name}: up to {off:.2g} off, of outputs up to {eager.abs().max().item():.2g}")
            ok &= off > 0.1 if not same and name != "scripted" else off < 1e-4
raise SystemExit(not ok)
PY
