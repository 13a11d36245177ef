#!/usr/bin/env python3
# Prints the faces in a picture. Once: scripts/fetch examples. Then, beside a running scripts/serve:
#   PYTHONPATH=.cache/python/examples python3 examples/faces.py tests/references/images/astronaut.png

import argparse

import numpy as np
import tritonclient.http as triton
from PIL import Image

SIDE = 640  # what the network gets: any multiple of 32
LANDMARKS = ("eye", "eye", "nose", "mouth", "mouth")


def letterbox(picture):
    """The picture centred in a square of SIDE pixels, and the way back: scale, shift x, shift y."""
    width, height = picture.size
    scale = max(width, height) / SIDE
    x, y = width / 2 - scale * SIDE / 2, height / 2 - scale * SIDE / 2
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    square = resample(resample(pixels, 0, scale, y), 1, scale, x)
    return square.transpose(2, 0, 1)[np.newaxis], (scale, x, y)


def resample(pixels, axis, scale, shift):
    """SIDE pixels along one axis, linear between those of the picture, black outside of it."""
    rim = [(1, 1) if i == axis else (0, 0) for i in range(3)]
    pixels = np.pad(pixels, rim)
    where = np.clip(np.arange(SIDE) * scale + shift + 1, 0, pixels.shape[axis] - 1.001)
    low = where.astype(int)
    part = np.expand_dims(where - low, [i for i in range(3) if i != axis]).astype(np.float32)
    return pixels.take(low, axis) * (1 - part) + pixels.take(low + 1, axis) * part


def local_maxima(heat):
    """Which cells are at least as hot as their eight neighbours."""
    rows, columns = heat.shape
    around = np.pad(heat, 1)
    shifted = [around[y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
    return heat == np.max(shifted, axis=0)


def decode(heat, size, offset, landmarks, way_back, threshold):
    """[(score, [x1, y1, x2, y2], [(x, y) of each landmark])] in pixels of the picture."""
    scale, shift_x, shift_y = way_back
    faces = []
    for y, x in np.argwhere(local_maxima(heat[0]) & (heat[0] > threshold)):
        height, width = 4 * np.exp(size[:, y, x])
        top = 4 * (y + offset[0, y, x] + 0.5) - height / 2
        left = 4 * (x + offset[1, y, x] + 0.5) - width / 2
        down, right = landmarks[0::2, y, x], landmarks[1::2, y, x]
        xs = scale * np.array([left, left + width, *(left + width * right)]) + shift_x
        ys = scale * np.array([top, top + height, *(top + height * down)]) + shift_y
        box = [xs[0], ys[0], xs[1], ys[1]]
        faces.append((float(heat[0, y, x]), box, list(zip(xs[2:], ys[2:]))))
    return sorted(faces, key=lambda face: face[0], reverse=True)


def overlap(a, b):
    """Area that two boxes share, as a part of the area that they cover together."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (both - shared)


def find_faces(client, picture, threshold=0.5):
    tensor, way_back = letterbox(picture)
    picture_input = triton.InferInput("input.1", tensor.shape, "FP32")
    picture_input.set_data_from_numpy(tensor)
    reply = client.infer("centerface", [picture_input])
    maps = [reply.as_numpy(name)[0] for name in ("537", "538", "539", "540")]
    faces = []
    for face in decode(*maps, way_back, threshold):
        if all(overlap(face[1], better[1]) < 0.3 for better in faces):
            faces.append(face)
    return faces


def main():
    usage = argparse.ArgumentParser(description="Prints the faces in a picture.")
    usage.add_argument("picture")
    usage.add_argument("--url", default="localhost:8000", help="server, as HOST:PORT")
    usage.add_argument("--threshold", type=float, default=0.5, help="least score of a face")
    options = usage.parse_args()

    picture = Image.open(options.picture)
    with triton.InferenceServerClient(options.url) as client:
        faces = find_faces(client, picture, options.threshold)

    print(f"{options.picture}, {picture.width} x {picture.height}: {len(faces)} found")
    for number, (score, box, landmarks) in enumerate(faces, 1):
        print(f"\n  face {number}, score {score:.3f}")
        print("    {:6} {:6.1f} {:6.1f}  to {:6.1f} {:6.1f}".format("box", *box))
        for name, (x, y) in zip(LANDMARKS, landmarks):
            print(f"    {name:6} {x:6.1f} {y:6.1f}")


if __name__ == "__main__":
    main()
