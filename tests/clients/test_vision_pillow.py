"""Resizing against Pillow, through the served model: its filters to the last bit, and what classifiers are fed with."""

import itertools
import os

import numpy as np
import pytest
import tritonclient.grpc as grpc
from PIL import Image
from pictures import IMAGES, NAMES
from pipelines import pixels_of, resize, write_model
from server_process import ServerProcess

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# Down a little and much, up, one side each way, and down to one pixel.
SIZES = [(640, 360), (224, 224), (299, 171), (64, 48), (1000, 30), (900, 700), (1, 1)]

RGB = 'color = "rgb"'

# What torchvision's weights for ImageNet are fed with: Resize(256), CenterCrop(224), on a picture of Pillow.
CLASSIFIER = pixels_of(
    'op = "resize"\nshortest = 256\nrounding = "floor"\nantialias = true',
    'op = "crop"\nwidth = 224\nheight = 224\nrounding = "nearest"',
    decode=RGB,
)

LETTERBOX = pixels_of(
    'op = "letterbox"\nwidth = 320\nheight = 320\npad = 114\nantialias = true', decode=RGB
)

MODELS = {
    "classifier": CLASSIFIER,
    "letterbox": LETTERBOX,
    "grey": pixels_of(resize(150, 100, "bilinear", "antialias = true"), decode='color = "grey"'),
    "float": pixels_of(
        resize(150, 100, "bilinear", 'antialias = true\ndata_type = "FP32"'), decode=RGB, sample="FP32"
    ),
    "float_cubic": pixels_of(
        resize(150, 100, "bicubic", 'data_type = "FP32"'), decode=RGB, sample="FP32"
    ),
}
for (width, height), name in itertools.product(SIZES, FILTERS):
    MODELS[f"{name}_{width}x{height}"] = pixels_of(
        resize(width, height, name, "antialias = true"), decode=RGB
    )


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """ask(model, name): the pixels that come of a committed picture."""
    repository = tmp_path_factory.mktemp("pillow")
    for name, pipeline in MODELS.items():
        write_model(repository, name, pipeline, "")
    with ServerProcess(repository) as server, grpc.InferenceServerClient(server.grpc) as client:

        def run(model, data):
            tensor = grpc.InferInput("raw", [1, 1], "BYTES")
            tensor.set_data_from_numpy(np.array([[data]], object))
            return client.infer(model, [tensor]).as_numpy("pixels")[0]

        yield run
        assert server.alive(), server.log()[-4000:]


def path(name):
    return os.path.join(IMAGES, f"{name}.png")


def content(name):
    with open(path(name), "rb") as f:
        return f.read()


def picture(name):
    return Image.open(path(name)).convert("RGB")


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("name", NAMES)
def test_filters_are_those_of_pillow(ask, name, filter, width, height):
    want = np.asarray(picture(name).resize((width, height), FILTERS[filter]))
    got = ask(f"{filter}_{width}x{height}", content(name))
    assert np.array_equal(got, want), np.abs(got.astype(int) - want).max()


@pytest.mark.parametrize("name", NAMES)
def test_a_classifier_gets_what_it_was_trained_with(ask, name):
    """torchvision computes the other side and the corner so: by int() and by round()."""
    image = picture(name)
    width, height = image.size
    short = min(width, height)
    size = tuple(256 if side == short else int(256 * side / short) for side in image.size)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (int(round((side - 224) / 2.0)) for side in image.size)
    want = np.asarray(image.crop((left, top, left + 224, top + 224)))
    assert np.array_equal(ask("classifier", content(name)), want)


@pytest.mark.parametrize("name", NAMES)
def test_a_letterbox_without_aliases(ask, name):
    image = picture(name)
    factor = 320 / max(image.size)
    inner = tuple(round(side * factor) for side in image.size)
    want = Image.new("RGB", (320, 320), (114, 114, 114))
    corner = tuple((320 - side) // 2 for side in inner)
    want.paste(image.resize(inner, Image.Resampling.BILINEAR), corner)
    assert np.array_equal(ask("letterbox", content(name)), np.asarray(want))


@pytest.mark.parametrize("name", NAMES)
def test_one_channel_and_samples_that_are_not_rounded(ask, name):
    grey = ask("grey", content(name))[..., 0]
    alone = Image.fromarray(np.asarray(picture(name).convert("L")))
    want = np.asarray(alone.resize((150, 100), Image.Resampling.BILINEAR))
    assert np.abs(grey.astype(int) - want).max() <= 1, "grey itself is rounded otherwise"
    for model, filter in (("float", "bilinear"), ("float_cubic", "bicubic")):
        got = ask(model, content(name))
        for channel, plane in enumerate(picture(name).split()):
            want = plane.convert("F").resize((150, 100), FILTERS[filter])
            assert np.abs(got[..., channel] - np.asarray(want)).max() < 1e-2
