#!/usr/bin/env python3
"""Makes the repository of examples/ocr: a copy of the configs, with RapidOCR's networks and the letters of its recogniser.

    examples/ocr/prepare.py FOLDER

Needs what `scripts/fetch ocr` brings, and no Python package.
"""

import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(os.path.dirname(os.path.dirname(HERE)), ".cache", "models")
NETWORKS = {
    "ocr-detect": "text_lines.onnx",
    "ocr-direction": "text_direction.onnx",
    "ocr-recognise": "text_letters.onnx",
}
# Fields of ONNX's ModelProto and of an entry of its metadata.
METADATA, KEY, VALUE = 14, 1, 2


def fields(data):
    """(number, bytes) of each field of a protobuf message that has a length."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(data):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            varint()
        elif kind == 2:
            size = varint()
            yield number, data[at : at + size]
            at += size
        else:
            at += {1: 8, 5: 4}[kind]


def letters(path):
    """The letters of the recogniser's classes, which its file has as metadata."""
    with open(path, "rb") as f:
        model = f.read()
    for number, content in fields(model):
        entry = dict(fields(content)) if number == METADATA else {}
        if entry.get(KEY) == b"character":
            return entry[VALUE].decode().splitlines()
    sys.exit(f"prepare: {path} has no letters in its metadata")


def make(target):
    """Makes the repository in a folder, which is emptied before."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(os.path.join(HERE, "repository"), target)
    for model, name in NETWORKS.items():
        source = os.path.join(MODELS, name)
        if not os.path.isfile(source):
            sys.exit(f"prepare: {source} is missing; run scripts/fetch ocr")
        os.makedirs(os.path.join(target, model, "1"), exist_ok=True)
        shutil.copyfile(source, os.path.join(target, model, "1", "model.onnx"))
    os.makedirs(os.path.join(target, "ocr", "1"), exist_ok=True)
    with open(os.path.join(target, "ocr-text", "1", "letters.txt"), "w", encoding="utf-8", newline="\n") as f:
        f.writelines(f"{letter}\n" for letter in letters(os.path.join(MODELS, NETWORKS["ocr-recognise"])))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make(sys.argv[1])
