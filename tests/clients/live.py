"""Models that tell which of them answered, and files put in their places in every way that people do it."""

import os
import shutil

import numpy as np
from models import onnx_bytes
from onnx import TensorProto, helper, numpy_helper

TENSORS = """
input [ { name: "x" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "y" data_type: TYPE_INT32 dims: [ 1 ] } ]
"""

CONFIG = 'backend: "onnxruntime"\n' + TENSORS


def adds(number, padding=40_000):
    """The ONNX file of y = x + number, with some weights that make it long enough to be copied in pieces."""
    row = [helper.make_tensor_value_info(name, TensorProto.INT32, [1]) for name in ("x", "y")]
    weights = np.full(padding, number, np.int32)
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([0], np.int64), "first"),
    ]
    nodes = [
        helper.make_node("Gather", ["weights", "first"], ["number"]),
        helper.make_node("Add", ["x", "number"], ["y"]),
    ]
    return onnx_bytes(helper.make_graph(nodes, "adds", row[:1], row[1:], initializer=constants))


def chain(*models):
    """The config of an ensemble that runs models like these one behind the other."""
    steps = []
    for index, model in enumerate(models):
        source = "x" if index == 0 else f"t{index}"
        target = "y" if index == len(models) - 1 else f"t{index + 1}"
        maps = f'input_map {{ key: "x" value: "{source}" }} output_map {{ key: "y" value: "{target}" }}'
        steps.append(f'{{ model_name: "{model}" model_version: -1 {maps} }}')
    return f'platform: "ensemble"\n{TENSORS}\nensemble_scheduling {{ step [ {", ".join(steps)} ] }}\n'


class Folder:
    """A repository on disk, and beside it a place on the same file system where things are prepared."""

    def __init__(self, path):
        self.path, self.aside = path / "models", path / "aside"
        self.path.mkdir()
        self.aside.mkdir()
        self.count = 0

    def file(self, *parts):
        return self.path.joinpath(*parts)

    def prepare(self, versions, config=CONFIG):
        """A model's folder off to the side. versions: {1: content of its model file}"""
        self.count += 1
        folder = self.aside / f"model{self.count}"
        folder.mkdir()
        (folder / "config.pbtxt").write_text(config)
        for version, content in versions.items():
            (folder / str(version)).mkdir()
            if content is not None:
                (folder / str(version) / "model.onnx").write_bytes(content)
        return folder

    def add(self, name, versions, config=CONFIG):
        """A model that is there at once, whole."""
        os.rename(self.prepare(versions, config), self.file(name))

    def replace(self, content, *parts):
        """A file that is another one at once."""
        self.count += 1
        new = self.aside / f"file{self.count}"
        new.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.replace(new, self.file(*parts))

    def overwrite(self, content, *parts, between=lambda: None, pieces=8):
        """A file that is written over in place, in pieces."""
        content = content if isinstance(content, bytes) else content.encode()
        step = max(1, len(content) // pieces)
        with open(self.file(*parts), "wb", buffering=0) as out:
            for at in range(0, len(content), step):
                out.write(content[at : at + step])
                between()

    def remove(self, *parts):
        shutil.rmtree(self.file(*parts))
