#!/usr/bin/env bash
# pillow 12.0.0 and 13.0.0 (PyPI): is the thumbnail of an opaque RGBA picture that of the same picture in RGB?
#
# Guess:   yes, in both: alpha is 255 everywhere, and nothing of it can show.
# Seen:    in 13.0.0. In 12.0.0 the thumbnail of RGBA is resize() by the whole filter, that of RGB takes means of whole pixels first (the
#          default of thumbnail is reducing_gap=2.0, which RGBA passed over). From fourfold shrinking on they are up to 4 of 255 apart on
#          smoothed noise, 10 on a photograph; below that both are resize(). So thumbnails of PNGs with alpha change with the release, and no others.
# Follows: thumbnail() is no stand-in for resize() in front of a network, and docs/vision.md says for which factors it is the same.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/thumbnail.py" <<'PY'
import sys
import numpy as np, PIL
from PIL import Image, ImageFilter

noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
picture = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1))

def thumbnail(picture, side):
    small = picture.copy()
    small.thumbnail((side, side))
    return np.asarray(small.convert("RGB")).astype(int)

ok = True
for side in (64, 128, 129, 300):
    whole = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    rgb, rgba = thumbnail(picture, side), thumbnail(picture.convert("RGBA"), side)
    apart = [int(np.abs(one - other).max()) for one, other in ((rgb, whole), (rgba, whole), (rgba, rgb))]
    print(f"pillow {PIL.__version__}, 512 to {side}: RGB from resize() {apart[0]}, RGBA from resize() {apart[1]}, RGBA from RGB {apart[2]}")
    gap = side <= 128
    ok &= (apart[0] > 3) == gap and (apart[0] == 0) != gap
    ok &= (apart[1:] == [0, apart[0]]) if sys.argv[1] == "old" else (apart[1:] == [apart[0], 0])
sys.exit(not ok)
PY
for release in 12.0.0:old 13.0.0:new; do
    python3 -m venv "$work/${release%:*}"
    "$work/${release%:*}/bin/pip" --quiet install "pillow==${release%:*}" numpy==2.4.6
    "$work/${release%:*}/bin/python" "$work/thumbnail.py" "${release#*:}"
done
