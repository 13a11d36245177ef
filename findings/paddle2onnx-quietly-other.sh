#!/usr/bin/env bash
# paddle2onnx 2.1.0 of paddlepaddle 3.3.1, run by onnxruntime 1.32.0 (PyPI, Linux x86_64, CPU): does an exported network answer as in Paddle?
#
# Guess:   yes, or the export fails; both are the newest there are, and leaky_relu, padding and normalization in groups are in every second network.
# Seen:    of 195 small functions 19 differ. Numbers among the arguments are lost: the slope of leaky_relu is whatever lay in memory, mostly next to 0, at
#          times 1e12; what pad fills with is 0 or such a number; epsilon of group_norm is 0; hardtanh ends at -1 and 1, and thresholded_relu has
#          its value dropped; round with a decimal has none. Those of elu, hardsigmoid, clip and of the other normalizations are right.
#          Adaptive pooling is right where sizes divide, and for 8 by 8 to 3 by 3 one pooling with a fixed window, as is interpolation by
#          area. norm with p=inf is 1. conv2d_transpose has another size than output_size says. Each exports and loads without a word.
# Follows: an exported network is compared with Paddle before it is served, above all one with leaky_relu.
#
# Fetches some 250 MB. The exporter installs packages by itself while it runs; here they are installed before, and POLYGRAPHY_AUTOINSTALL_DEPS=0
# keeps it from that.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install paddlepaddle==3.3.1 paddle2onnx==2.1.0 onnxruntime==1.32.0 onnx==1.17.0 onnx-graphsurgeon==0.6.1 sympy==1.14.0 numpy==2.4.6
cat >"$work/compare.py" <<'PY'
import os, sys

import numpy as np, onnxruntime, paddle
import paddle.nn.functional as F

onnxruntime.set_default_logger_severity(3)
say = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what the exporter prints

def both(function, x):
    """What Paddle and what the exported file answer."""
    class Network(paddle.nn.Layer):
        def forward(self, x):
            return function(x)
    network = Network()
    network.eval()
    paddle.onnx.export(network, sys.argv[1], input_spec=[paddle.static.InputSpec(x.shape, "float32", name="x")], opset_version=17)
    session = onnxruntime.InferenceSession(sys.argv[1] + ".onnx", providers=["CPUExecutionProvider"])
    return network(paddle.to_tensor(x)).numpy(), session.run(None, {"x": x})[0]

noise = np.random.default_rng(0)
row, picture, small = (noise.standard_normal(shape).astype(np.float32) for shape in ((2, 40), (1, 4, 8, 8), (1, 2, 5, 5)))
ok = True
for what, wrong, x, function in (
    ("leaky_relu, 0.3", True, row, lambda x: F.leaky_relu(x, 0.3)),
    ("elu, 0.3", False, row, lambda x: F.elu(x, 0.3)),
    ("hardtanh, -0.5 to 0.7", True, row, lambda x: F.hardtanh(x, -0.5, 0.7)),
    ("clip, -0.5 to 0.7", False, row, lambda x: paddle.clip(x, -0.5, 0.7)),
    ("thresholded_relu, value=2", True, row, lambda x: F.thresholded_relu(x, 0.5, value=2.0)),
    ("hardsigmoid, slope=0.3", False, row, lambda x: F.hardsigmoid(x, slope=0.3, offset=0.4)),
    ("round, decimals=1", True, row, lambda x: paddle.round(x, decimals=1)),
    ("norm, p=inf", True, row, lambda x: paddle.norm(x, p=float("inf"), axis=1)),
    ("norm, p=3", False, row, lambda x: paddle.norm(x, p=3, axis=1)),
    ("pad, value=3", True, picture, lambda x: F.pad(x, [1, 2, 0, 1], value=3.0)),
    ("pad, reflect", False, picture, lambda x: F.pad(x, [1, 2, 0, 1], mode="reflect")),
    ("group_norm, epsilon=0.1", True, picture, lambda x: F.group_norm(x, 2, epsilon=0.1)),
    ("instance_norm, eps=0.1", False, picture, lambda x: F.instance_norm(x, eps=0.1)),
    ("adaptive_avg_pool2d, 8 to 4", False, picture, lambda x: F.adaptive_avg_pool2d(x, [4, 4])),
    ("adaptive_avg_pool2d, 8 to 3", True, picture, lambda x: F.adaptive_avg_pool2d(x, [3, 3])),
    ("adaptive_max_pool2d, 8 to 3", True, picture, lambda x: F.adaptive_max_pool2d(x, [3, 3])),
    ("interpolate, area, 8 to 5", True, picture, lambda x: F.interpolate(x, size=[5, 5], mode="area")),
    ("interpolate, bilinear, 8 to 5", False, picture, lambda x: F.interpolate(x, size=[5, 5], mode="bilinear")),
    ("conv2d_transpose, output_size=10", True, small, lambda x: F.conv2d_transpose(x, paddle.ones([2, 3, 3, 3]), stride=2, padding=1, output_size=[10, 10])),
):
    right, is_ = both(function, x)
    if right.shape != is_.shape:
        difference = f"shape {is_.shape} instead of {right.shape}"
    else:
        difference = f"off by up to {np.abs(is_ - right).max():.2g}"
    print(f"{what}: {difference}", file=say)
    ok &= (right.shape != is_.shape or not np.allclose(is_, right, atol=1e-3)) == wrong
raise SystemExit(not ok)
PY
POLYGRAPHY_AUTOINSTALL_DEPS=0 ORT_DISABLE_TELEMETRY=1 "$work/venv/bin/python" -W ignore "$work/compare.py" "$work/model" 2>"$work/log" || {
    tail -5 "$work/log"
    echo "the exported networks answer as in Paddle, or in another way: this finding has changed"
    exit 1
}
