#!/usr/bin/env python3
"""Reads the text in a picture by a server of examples/ocr, prints it line by line, and draws the boxes.

    examples/ocr/read.py HOST:PORT PICTURE [DRAWN]

Needs tritonclient[http] and Pillow: `scripts/fetch examples` brings them.
"""

import sys

import numpy as np
import tritonclient.http as http
from PIL import Image, ImageDraw, ImageFont

# Lines that were read with less certainty are left out, as RapidOCR does.
LEAST = 0.5
COLORS = [(40, 160, 70), (230, 100, 20), (30, 120, 220), (200, 50, 150), (120, 80, 220), (10, 150, 150)]


def read(client, picture):
    """(box, text, score) of each line, in the order of reading."""
    data = http.InferInput("raw_image", [1], "BYTES")
    data.set_data_from_numpy(np.array([picture], dtype=object))
    answer = client.infer("ocr", [data])
    lines = zip(answer.as_numpy("boxes"), answer.as_numpy("text"), answer.as_numpy("score"))
    return [(box, text.decode(), float(score)) for box, text, score in lines if score >= LEAST]


def draw(path, lines, drawn):
    """The picture with its boxes, and beside it what was read, each line at its place."""
    picture = Image.open(path).convert("RGB")
    both = Image.new("RGB", (2 * picture.width, picture.height), "white")
    both.paste(picture)
    pen = ImageDraw.Draw(both)
    for number, (box, text, _) in enumerate(lines):
        color = COLORS[number % len(COLORS)]
        corners = [tuple(corner) for corner in box.tolist()]
        pen.line([*corners, corners[0]], fill=color, width=max(2, picture.width // 400))
        sides = [np.hypot(*(box[0] - box[1])), np.hypot(*(box[0] - box[3]))]
        size = 0.7 * min(sides)
        font = ImageFont.load_default(max(8, size))
        wide = font.getlength(text)
        if wide > max(sides) > 0:
            font = ImageFont.load_default(max(8, size * max(sides) / wide))
        pen.text((picture.width + box[:, 0].min(), box[:, 1].min()), text, font=font, fill=color)
    both.save(drawn)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    url, path = sys.argv[1:3]
    with open(path, "rb") as f:
        lines = read(http.InferenceServerClient(url), f.read())
    for _, text, score in lines:
        print(f"{score:.3f}  {text}")
    if len(sys.argv) == 4:
        draw(path, lines, sys.argv[3])
        print(f"drawn in {sys.argv[3]}")


if __name__ == "__main__":
    main()
