#!/usr/bin/env bash
# torch 2.15.0 (PyPI, CPU): does a network in inference mode answer the same bits whether or not its weights could be trained?
#
# Guess:   yes. In torch.inference_mode() nothing is recorded for gradients, so requires_grad of a weight is a note that nobody reads, and
#          to freeze a network for serving changes how fast it is at most.
# Seen:    no. For an input of three dimensions that is not contiguous, as nn.GRU and nn.LSTM with batch_first=True make one within, the
#          product of a layer that could be trained is one product of all rows, and that of a layer which could not a product for each row: last
#          bits differ. requires_grad_(False), torch.jit.freeze and a load within inference_mode() all choose the second. An input that is
#          contiguous gives the same bits.
# Follows: the server loads models outside of inference mode and runs them inside, as programs do, or it would differ from them by the
#          last bits.
#
# Fetches torch with CUDA's libraries, some 2 GB; needs no GPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install torch==2.15.0 numpy==2.4.6
cat >"$work/frozen.py" <<'PY'
import warnings

import torch
from torch import nn

warnings.simplefilter("ignore")
torch.manual_seed(0)
torch.set_num_threads(1)

def answer(module, x):
    with torch.inference_mode():
        made = module(x)
        return (made[0] if isinstance(made, tuple) else made).clone()

path = "model.pt"
ok = True
rows = torch.randn(2, 3, 6)
for name, module, x, is_equal in [
    ("nn.GRU(batch_first=True)", nn.GRU(6, 5, batch_first=True), rows, False),
    ("nn.Linear of a turned input", nn.Linear(6, 15), rows.transpose(0, 1), False),
    ("nn.Linear of a contiguous input", nn.Linear(6, 15), rows.transpose(0, 1).contiguous(), True),
]:
    module.eval()
    torch.jit.trace(module, x).save(path)
    usual = answer(torch.jit.load(path), x)
    others = {"torch.jit.freeze": torch.jit.freeze(torch.jit.load(path))}
    with torch.inference_mode():
        others["a load within inference_mode()"] = torch.jit.load(path)
    own = answer(module, x)
    others["requires_grad_(False)"] = module.requires_grad_(False)
    ok &= torch.equal(own, usual)
    for way, other in others.items():
        made = answer(other, x)
        far = (made - usual).abs().max().item()
        print(f"{name}, {way}: {'the same bits' if torch.equal(made, usual) else f'differs by {far:.1e}'}")
        ok &= torch.equal(made, usual) == is_equal and far < 1e-6
raise SystemExit(not ok)
PY
cd "$work" && "$work/venv/bin/python" -W ignore "$work/frozen.py"
