#!/usr/bin/env bash
# torch 2.15.0 (PyPI, Linux x86_64, CPU): is a number that was cast to FP16 and back rounded, once the model is compiled for serving?
#
# Guess:   yes. That fused kernels keep more digits between operations of FP16 is documented; a cast that the code asks for is one, as it is in eager mode,
#          in TorchScript and in an exported ONNX file. At most torch.compile does otherwise, and a package made ahead of time is exact.
# Seen:    both remove the pair. x.half().float() is x, for torch.compile as in a package of AOTInductor that torch.export was compiled to: 1/3 keeps all
#          digits, 1e6 is not infinite and 1e-8 is not 0; of BF16 the same. (x + x) - x of 60000 in FP16 is 60000 instead of infinite. A cast to INT16 and
#          back is done. torch._inductor.config.emulate_precision_casts, off by default, does as the code says.
# Follows: a model that rounds on purpose, as one that was trained with simulated precision does, is compared as the package, not in eager mode; and
#          an overflow that a compiled model never showed comes back with TorchScript or ONNX.
#
# Fetches torch with CUDA's libraries, some 2 GB, and needs a C++ compiler; needs no GPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install torch==2.15.0 numpy==2.4.6
cat >"$work/compare.py" <<'PY'
import sys, warnings

warnings.simplefilter("ignore")
import torch, torch._inductor

class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)

def compiled(model, x):
    torch._dynamo.reset()
    return torch.compile(model)(x)

def packaged(model, x):
    path = torch._inductor.aoti_compile_and_package(torch.export.export(model, (x,)), package_path=f"{sys.argv[1]}/model.pt2")
    return torch._inductor.aoti_load_package(path)(x)

def emulated(model, x):
    with torch._inductor.config.patch(emulate_precision_casts=True):
        return compiled(model, x)

floats, halves = torch.tensor([1 / 3, 1e6, 1e-8, 2049.0]), torch.full((4,), 60000.0, dtype=torch.float16)
ok = True
with torch.no_grad():
    for what, function, x, ways in (
        ("x.half().float()", lambda x: x.half().float(), floats, ((compiled, True), (packaged, True), (emulated, False))),
        ("x.bfloat16().float()", lambda x: x.bfloat16().float(), floats, ((compiled, True),)),
        ("(x + x) - x in FP16", lambda x: (x + x) - x, halves, ((compiled, True),)),
        ("x.to(torch.int16).float()", lambda x: x.to(torch.int16).float(), torch.tensor([1 / 3, 2.7, -3.9, 100.0]), ((compiled, False),)),
    ):
        model = Function(function).eval()
        right = model(x)
        ok &= torch.equal(torch.jit.trace(model, x)(x), right)
        print(f"{what} of {x.tolist()}: {right.tolist()} in eager mode and TorchScript")
        for way, wrong in ways:
            is_ = way(model, x)
            print(f"   {way.__name__}: {is_.tolist()}", flush=True)
            ok &= torch.equal(is_, x) if wrong else torch.equal(is_, right)
raise SystemExit(0 if ok else "compiled models round as eager ones, or in another way: this finding has changed")
PY
TORCHINDUCTOR_CACHE_DIR="$work/cache" "$work/venv/bin/python" -W ignore "$work/compare.py" "$work" 2>"$work/log" || {
    tail -5 "$work/log"
    exit 1
}
