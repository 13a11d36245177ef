#!/usr/bin/env bash
# opencv-python-headless 4.14.0.94 and 5.0.0.93 (PyPI, Linux x86_64): does warpPerspective with INTER_CUBIC give the same pixels?
#
# Guess:   yes: resize and the linear warps of both agree, and the documentation of both says the same.
# Seen:    4.14 takes the weights of the nearest of 32 places between two pixels, 5.0 those of the place itself: on noise some two
#          thirds of all samples differ, by up to some 8 of 255. The cubic of 5.0 in single precision is followed but for rounding.
# Follows: what a pipeline of OCR cuts out of a picture, and so what it reads of a doubtful line, changes with the release. Results
#          can be compared with those of one of them only.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/warp.py" <<'PY'
import sys

import cv2
import numpy as np

picture = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
corners = np.array([[12, 9], [118, 15], [121, 61], [10, 52]], np.float32)
size = 107, 46
matrix = cv2.getPerspectiveTransform(corners, np.array([[0, 0], [107, 0], [107, 46], [0, 46]], np.float32))
warped = cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

# The definition, in single precision.
inverse = cv2.invert(matrix)[1]
x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
u, v, w = np.tensordot(inverse, np.stack([x, y, np.ones_like(x)]), 1)
u, v = u / w, v / w
left, top = np.floor(u).astype(int), np.floor(v).astype(int)


def weights(t, a=-0.75):
    def near(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d):
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(1 + t), near(t), near(1 - t), far(2 - t)]


across, down = weights((u - left).astype(np.float32)), weights((v - top).astype(np.float32))
total = np.zeros((*x.shape, 3), np.float32)
for i, b in enumerate(down):
    for j, a in enumerate(across):
        rows, columns = np.clip(top + i - 1, 0, 119), np.clip(left + j - 1, 0, 159)
        total += picture[rows, columns] * (a * b)[..., None].astype(np.float32)
exact = np.clip(np.rint(total), 0, 255)
differing = float((warped != exact).mean())
print(f"opencv {cv2.__version__}: {differing:.4f} of the samples differ from the definition, by up to {np.abs(warped - exact).max():.0f}")
is_table = differing > 0.3
raise SystemExit(0 if is_table == (sys.argv[1] == "table") and (is_table or differing < 0.01) else 1)
PY
for release in 4.14.0.94:table 5.0.0.93:exact; do
    python3 -m venv "$work/${release%:*}"
    "$work/${release%:*}/bin/pip" --quiet install "opencv-python-headless==${release%:*}" numpy==2.4.6
    "$work/${release%:*}/bin/python" "$work/warp.py" "${release#*:}"
done
