"""TorchServe's handlers on real networks: what the server answers against the mathematics of the handlers in Python, by Pillow and NumPy.

The network is executed by the server in both cases: the handler's own is given a tensor that Python prepared, by base_handler.
"""

import io
import json
import os
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, compose, helper, numpy_helper
from PIL import Image
from server_process import ROOT, ServerProcess
from test_torchserve import FLAGS, MODELS, REFERENCES, TorchServe, manifest

# A classifier of lines of text, upright or upside down: convolutions, any size, two classes. Another may be named.
NETWORK = os.environ.get("CLASSIFIER") or os.path.join(ROOT, ".cache", "models", "text_direction.onnx")
PICTURES = ("astronaut.png", "chelsea.png", "coffee.png")
SIZES = ((512, 512), (300, 451), (640, 257), (90, 60), (256, 1000), (224, 224))
NAMES = {str(index): f"class {index}" for index in range(1000)}


def pictures():
    """Pictures of several sizes and formats, as bytes."""
    for name in PICTURES:
        with open(os.path.join(REFERENCES, "images", name), "rb") as f:
            yield name, f.read()
        with Image.open(os.path.join(REFERENCES, "images", name)) as image:
            whole = image.convert("RGB")
        for size in SIZES:
            file = io.BytesIO()
            whole.resize(size).save(file, "PNG")
            yield f"{name} {size}", file.getvalue()
        file = io.BytesIO()
        whole.save(file, "JPEG", quality=90)
        yield f"{name} as JPEG", file.getvalue()


def prepared(content):
    """Resize(256), CenterCrop(224), ToTensor, Normalize, as image_classifier has them of torchvision."""
    with Image.open(io.BytesIO(content)) as image:
        picture = image.convert("RGB")
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    other = int(256 * long / short)
    size = (256, other) if width <= height else (other, 256)
    if (width, height) != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    width, height = picture.size
    left, top = int(round((width - 224) / 2.0)), int(round((height - 224) / 2.0))
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), np.float32) / 255
    pixels = (pixels - np.array([0.485, 0.456, 0.406], np.float32)) / np.array([0.229, 0.224, 0.225], np.float32)
    return pixels.transpose(2, 0, 1)


def best(scores):
    """The five best classes after a softmax, by name."""
    scores = np.exp(scores - scores.max())
    probabilities = scores / scores.sum()
    order = np.argsort(-probabilities, kind="stable")[:5]
    return {NAMES[str(index)]: float(probabilities[index]) for index in order}


def detector():
    """CenterFace as torchvision's detectors are: pixels from 0 to 1 in; boxes, labels and scores of the 20 best cells out."""
    network = onnx.load(os.path.join(MODELS, "centerface", "1", "model.onnx"))
    # TopK takes its count as a tensor from there on.
    network.opset_import[0].version = max(10, network.opset_import[0].version)
    network = compose.add_prefix(network, "net/", rename_inputs=False, rename_outputs=False)
    graph = network.graph
    (picture,) = graph.input
    heat, size, offset, _ = (output.name for output in graph.output)
    for node in graph.node:
        node.input[:] = ["pixels" if name == picture.name else name for name in node.input]

    def constant(name, values, kind):
        graph.initializer.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def node(kind, inputs, output, **attributes):
        graph.node.append(helper.make_node(kind, inputs, output.split(), **attributes))
        return output

    graph.node.insert(0, helper.make_node("Mul", ["image", constant("255", 255, np.float32)], ["pixels"]))
    flat = constant("flat", [-1], np.int64)
    node("TopK", [node("Reshape", [heat, flat], "heats"), constant("20", [20], np.int64)], "scores cells", axis=0)
    four, half = constant("4", 4, np.float32), constant("half", 0.5, np.float32)
    node("Slice", [node("Shape", [heat], "shape"), constant("3", [3], np.int64), constant("4_", [4], np.int64)], "columns_")
    columns = "columns_"
    rows = node("Div", ["cells", columns], "rows")
    across = node("Sub", ["cells", node("Mul", [rows, columns], "begin")], "across")
    two = constant("2", [2, -1], np.int64)

    def at_cells(tensor, name):
        """Both values of each cell: those of height and of width."""
        plane = node("Reshape", [tensor, two], f"{name}_planes")
        found = node("Gather", [plane, "cells"], f"{name}_found", axis=1)
        return node("Split", [found], f"{name}_y {name}_x", axis=0).split()

    edges = {}
    for axis, cell, extent, shift in zip("yx", (rows, across), at_cells(size, "size"), at_cells(offset, "offset")):
        whole = node("Mul", [node("Exp", [extent], f"exp_{axis}"), four], f"extent_{axis}")
        place = node("Add", [node("Cast", [cell], f"cell_{axis}", to=TensorProto.FLOAT), shift], f"place_{axis}")
        middle = node("Mul", [node("Add", [place, half], f"moved_{axis}"), four], f"middle_{axis}")
        part = node("Mul", [whole, half], f"part_{axis}")
        edges[axis] = node("Sub", [middle, part], f"low_{axis}"), node("Add", [middle, part], f"high_{axis}")
    stacked = node("Concat", [edges["x"][0], edges["y"][0], edges["x"][1], edges["y"][1]], "edges", axis=0)
    node("Transpose", [stacked], "boxes", perm=[1, 0])
    node("Add", [node("Mul", ["cells", constant("0", 0, np.int64)], "zeros"), constant("1", 1, np.int64)], "labels")
    del graph.input[:], graph.output[:]
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"]))
    for name, kind, shape in (("boxes", TensorProto.FLOAT, [20, 4]), ("labels", TensorProto.INT64, [20]), ("scores", TensorProto.FLOAT, [20])):
        graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    return network.SerializeToString()


def make(store, name, handler, more, network=None):
    with zipfile.ZipFile(os.path.join(store, f"{name}.mar"), "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", manifest(name, "model.onnx", handler))
        if network:
            archive.writestr("model.onnx", network)
        else:
            archive.write(NETWORK, "model.onnx")
        for own, content in more.items():
            archive.writestr(own, content)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    store = tmp_path_factory.mktemp("store")
    make(store, "classifier", "image_classifier", {"index_to_name.json": json.dumps(NAMES)})
    make(store, "network", "base_handler", {})
    network = detector()
    make(store, "detector", "object_detector", {"index_to_name.json": json.dumps({"0": "nothing", "1": "face"})}, network)
    make(store, "detecting", "base_handler", {}, network)
    with ServerProcess(store, flags=FLAGS) as process:
        yield TorchServe(process)


def test_image_classifier_answers_what_its_mathematics_gives(served):
    differences = []
    for name, content in pictures():
        status, answer = served.json("inference", "PUT", "/predictions/classifier", content)
        assert status == 200, answer
        headers = {"Content-Type": "application/json"}
        body = json.dumps(prepared(content).tolist())
        status, scores = served.json("inference", "PUT", "/predictions/network", body, headers)
        assert status == 200, scores
        expected = best(np.array(scores, np.float32).reshape(-1))
        differences.append(max(abs(answer.get(label, 0) - probability) for label, probability in expected.items()))
        # Classes that are equally likely may change places.
        assert set(answer) == set(expected) or differences[-1] < 0.01, (name, answer, expected)
        assert next(iter(answer)) == next(iter(expected)), (name, answer, expected)
        assert differences[-1] < 0.01, (name, answer, expected)
    print(f"largest difference of a probability: {max(differences):.5f}, median {np.median(differences):.5f}")


def test_object_detector_answers_what_its_mathematics_gives(served):
    found = 0
    for name in PICTURES:
        with Image.open(os.path.join(REFERENCES, "images", name)) as image:
            # The network wants multiples of 32; TorchServe's handler gives pictures their own size.
            picture = image.convert("RGB").resize((320, 256))
        file = io.BytesIO()
        picture.save(file, "PNG")
        status, answer = served.json("inference", "PUT", "/predictions/detector", file.getvalue())
        assert status == 200, answer
        pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)[np.newaxis] / 255
        body = json.dumps(pixels.tolist())
        status, outputs = served.json("inference", "PUT", "/predictions/detecting", body, {"Content-Type": "application/json"})
        assert status == 200, outputs
        rows = zip(outputs["boxes"], outputs["labels"], outputs["scores"])
        expected = [(box, score) for box, label, score in rows if score > 0.5]
        assert len(answer) == len(expected)
        for got, (box, score) in zip(answer, expected):
            assert abs(got["score"] - score) < 1e-4 and list(got) == ["face", "score"], (got, score)
            assert np.allclose(got["face"], box, atol=0.05), (got, box)
            found += 1
    assert found > 0
