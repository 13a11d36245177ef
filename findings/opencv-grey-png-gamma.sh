#!/usr/bin/env bash
# opencv-python-headless 4.14.0.94 and 5.0.0.93 (PyPI, Linux x86_64): is a PNG read as IMREAD_GRAYSCALE the grey of its colours?
#
# Guess:   yes, within rounding: OpenCV applies no gamma and no colour profile, and the grey is that of cvtColor.
# Seen:    it depends on chunks that say how the samples are meant. Without any it is; with sRGB, or a gAMA of 45455, which say nothing
#          unusual and which screenshots and editors write, the same pixels come back up to 63 of 255 brighter, 14 in the mean of
#          noise: libpng turns them to linear light, mixes, and turns them back. Read in colour they are the same with every chunk.
# Follows: networks of grey pictures (text, faces, X-rays) get other numbers from a PNG than from the same picture as BMP or JPEG. A
#          service that shall agree with such a client reads in colour and converts; `decode` with "grey" does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/grey.py" <<'PY'
import struct, sys, zlib
import cv2, numpy as np

pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)

def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

def png(*chunks):
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")

def read(data, flags):
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags).astype(int)

wanted = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(int)
chunks = {
    "none": [],
    "sRGB": [chunk(b"sRGB", b"\0")],
    "gAMA 45455": [chunk(b"gAMA", struct.pack(">I", 45455))],
    "gAMA 100000": [chunk(b"gAMA", struct.pack(">I", 100000))],
}
seen = {}
for name, extra in chunks.items():
    off = read(png(*extra), cv2.IMREAD_GRAYSCALE) - wanted
    seen[name] = int(off.max())
    print(cv2.__version__, f"{name}: grey is off by {off.min()} to {off.max()}, {off.mean():.1f} in the mean")
    assert (read(png(*extra), cv2.IMREAD_COLOR)[..., ::-1] == pixels).all(), "colours differ"
sys.exit(not (seen["none"] <= 1 and seen["gAMA 100000"] <= 1 and seen["sRGB"] == seen["gAMA 45455"] > 50))
PY
for version in 4.14.0.94 5.0.0.93; do
    python3 -m venv "$work/$version"
    "$work/$version/bin/pip" --quiet install "opencv-python-headless==$version" numpy==2.4.6
    "$work/$version/bin/python" "$work/grey.py"
done
