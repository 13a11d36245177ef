#!/usr/bin/env python3
"""Measures a face detector behind TorchServe's gRPC, as the measuring script of yolov5-face for TorchServe does in its mode 3.

    examples/torchserve_qps.py [--image FILE] [--url HOST:PORT] [--model fd1] [--vis]

After one call to warm up, "batches" of 1, 4, 16 and more pictures are sent: so many requests at once, each over a channel of its own.
For each it prints the seconds and the requests a second. --vis draws the faces of the picture into result.jpg instead. Needs grpcio, and
Pillow for --vis. `hippocamp bench` measures more exactly: here most of the time is Python's, which makes a channel for each request.
"""

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PREDICTIONS = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
BATCHES = [1, 1, 1, 1, 4, 16, 32, 64, 128]
THREADS = 100
COLOURS = ["red", "blue", "yellow", "magenta", "cyan"]


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low]) if rest == 0 else bytes([low | 0x80]) + varint(rest)


def field(number, content):
    """A field of a message that has a length: a text, bytes, or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def request(model, picture):
    """PredictionsRequest: the model's name is field 1, the inputs are a map in field 3."""
    return field(1, model.encode()) + field(3, field(1, b"data") + field(2, picture))


def prediction(message):
    """The first field of a PredictionResponse, which is all that an answer to one request has."""
    if not message:
        return b""
    length, shift, at = 0, 0, 1
    while True:
        length |= (message[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 0x80:
            return message[at : at + length]


def detect(url, model, picture):
    """The faces of a picture, over a new channel."""
    with grpc.insecure_channel(url) as channel:
        call = channel.unary_unary(PREDICTIONS, request_serializer=bytes, response_deserializer=prediction)
        return json.loads(call(request(model, picture), timeout=300))


def measure(url, model, picture):
    detect(url, model, picture)
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        for count in BATCHES:
            begun = time.perf_counter()
            answers = list(pool.map(lambda _: detect(url, model, picture), range(count)))
            seconds = time.perf_counter() - begun
            assert all(answer == answers[0] for answer in answers), "the same picture has the same faces"
            print(f"batchsize:{count}, time:{seconds:.3f}, serverQPS:{count / seconds}", flush=True)


def draw(url, model, path, output):
    from PIL import Image, ImageDraw

    with open(path, "rb") as f:
        faces = detect(url, model, f.read())
    image = Image.open(path).convert("RGB")
    width, height = image.size
    print(f"det size: {len(faces)}")
    print(f"orgimg.shape: ({height}, {width}, 3)")
    canvas = ImageDraw.Draw(image)
    for face in faces:
        x, y, w, h = (part * side for part, side in zip(face["xywh_ratio"], (width, height) * 2))
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        canvas.rectangle(box, outline="lime", width=2)
        canvas.text((box[0], max(0, box[1] - 12)), f"{face['conf']:.3f}", fill="lime")
        points = face["landmarks_ratio"]
        for colour, across, down in zip(COLOURS, points[0::2], points[1::2]):
            across, down = across * width, down * height
            canvas.ellipse((across - 3, down - 3, across + 3, down + 3), fill=colour)
    image.save(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--image", default=os.path.join(ROOT, "tests", "references", "images", "astronaut.png"))
    parser.add_argument("--url", default="127.0.0.1:7070", help="TorchServe's gRPC port of predictions")
    parser.add_argument("--model", default="fd1")
    parser.add_argument("--vis", action="store_true", help="draw the faces")
    parser.add_argument("--output", default="result.jpg", help="where --vis draws them")
    args = parser.parse_args()
    if args.vis:
        return draw(args.url, args.model, args.image, args.output)
    with open(args.image, "rb") as f:
        measure(args.url, args.model, f.read())


if __name__ == "__main__":
    main()
