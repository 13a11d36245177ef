"""The vision backend against OpenCV, through the served model: reading, resizing, warping, and what a network gets."""

import http.client
import itertools
import json
import os
import shutil
import sys

import cv2
import numpy as np
import pytest
import tritonclient.grpc as grpc
from pictures import NAMES, SAMPLING, assert_close, decode, encode, jpeg, load, with_orientation
from pipelines import pixels_of, resize, write_model
from server_process import ROOT, ServerProcess

sys.path.insert(0, os.path.join(ROOT, "examples"))
import faces  # noqa: E402

LETTERBOX = """
[[step]]
op = "decode"
input = "raw"
output = "picture"
size = "size"

[[step]]
op = "letterbox"
input = "picture"
output = "fitted"
width = 640
height = 640
pad = [114]
matrix = { output = "to_raw" }

[[step]]
op = "tensor"
input = "fitted"
output = "image"
scale = "1/255"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
"""

# As CenterNet reads a picture: about its middle, in BGR, with the matrix of its heat map and the way there.
CENTERNET = """
[[step]]
op = "decode"
input = "raw"
output = "picture"
color = "bgr"

[[step]]
op = "warp"
input = "picture"
output = "warped"
width = 512
height = 512
rotation = {rotation}
matrix = {{ output = "to_raw", direction = "to_raw", stride = 4 }}

[[step]]
op = "warp"
input = "picture"
output = "again"
width = 512
height = 512
rotation = {rotation}
matrix = {{ output = "from_raw", direction = "from_raw" }}

[[step]]
op = "tensor"
input = "warped"
output = "pixels"
data_type = "UINT8"
layout = "NHWC"
"""

# A picture under a matrix that comes with the request.
GIVEN = """
[[step]]
op = "decode"
input = "raw"
output = "picture"
color = "bgr"

[[step]]
op = "warp"
input = "picture"
output = "warped"
transform = "map"
width = 300
height = 200
pad = [10, 20, 30]

[[step]]
op = "tensor"
input = "warped"
output = "pixels"
data_type = "UINT8"
layout = "NHWC"
"""

# The preprocessing of TensorRT Inference Server's CenterNet tutorial, a TensorFlow graph there.
TENSORFLOW = """
[[step]]
op = "decode"
input = "raw_image"
output = "picture"

[[step]]
op = "letterbox"
input = "picture"
output = "fitted"
width = 512
height = 512
rounding = "floor"
coordinates = "tf_legacy"
data_type = "FP32"
matrix = { output = "affine_trans_mat", stride = 4 }
ideal_matrix = true

[[step]]
op = "tensor"
input = "fitted"
output = "process_img"
scale = "1/255"
mean = [0.408, 0.447, 0.470]
std = [0.274, 0.274, 0.274]
"""

TENSORFLOW_CONFIG = """
max_batch_size: 0
input [ { name: "raw_image", data_type: TYPE_STRING, dims: [1] } ]
output [ { name: "process_img", data_type: TYPE_FP32, dims: [1, 3, 512, 512] },
         { name: "affine_trans_mat", data_type: TYPE_FP32, dims: [2, 3] } ]
"""

FACES = """
[[step]]
op = "decode"
input = "raw"
output = "picture"

[[step]]
op = "warp"
input = "picture"
output = "warped"
width = 640
height = 640
matrix = { output = "to_raw" }

[[step]]
op = "tensor"
input = "warped"
output = "image"
"""

# name -> pipeline, further lines of config.pbtxt
MODELS = {
    "read": (pixels_of(), ""),
    "read_grey": (pixels_of(decode='color = "grey"'), ""),
    "read_rgb": (pixels_of(decode='color = "rgb"'), ""),
    "read_upright": (pixels_of(decode="exif_orientation = true"), ""),
    "read_on_white": (pixels_of(decode="background = [255, 255, 255]"), ""),
    "letterbox": (LETTERBOX, ""),
    "centernet": (CENTERNET.format(rotation=0), ""),
    "centernet_turned": (CENTERNET.format(rotation=30), ""),
    "given": (GIVEN, ""),
    "tensorflow": (TENSORFLOW, TENSORFLOW_CONFIG),
    "face_image": (FACES, ""),
    "crop": (pixels_of('op = "crop"\nwidth = 200\nheight = 100\nleft = 30\ntop = 20'), ""),
    "crop_middle": (pixels_of('op = "crop"\nwidth = 200\nheight = 101'), ""),
    "half": (pixels_of(resize(320, 240, "bilinear", 'data_type = "FP32"'), sample="FP16"), ""),
}
SIZES = [(640, 360), (320, 320), (299, 171), (900, 700)]
for (width, height), method in itertools.product(SIZES, ("bilinear", "area", "nearest")):
    MODELS[f"{method}_{width}x{height}"] = (pixels_of(resize(width, height, method)), "")


@pytest.fixture(scope="module")
def vision_server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("vision")
    for name, (pipeline, config) in MODELS.items():
        write_model(repository, name, pipeline, config)
    shutil.copytree(os.path.join(ROOT, "model_repository", "centerface"), repository / "centerface")
    with ServerProcess(repository) as server:
        yield server
        assert server.alive(), server.log()[-4000:]


@pytest.fixture(scope="module")
def ask(vision_server):
    """ask(model, picture, ..., **inputs): the outputs by name, of a batch of these pictures."""
    client = grpc.InferenceServerClient(vision_server.grpc)

    def run(model, *pictures, batched=True, **inputs):
        shape = (len(pictures), 1) if batched else (1,)
        arrays = {"raw" if batched else "raw_image": np.array(pictures, object).reshape(shape), **inputs}
        tensors = []
        for name, array in arrays.items():
            kind = "BYTES" if array.dtype == object else "FP32"
            tensors.append(grpc.InferInput(name, list(array.shape), kind))
            tensors[-1].set_data_from_numpy(array)
        reply = client.infer(model, tensors)
        return {output.name: reply.as_numpy(output.name) for output in reply.get_response().outputs}

    yield run
    client.close()


def pixels(ask, model, data, **inputs):
    return ask(model, data, **inputs)["pixels"][0]


def odd(name, width=449, height=299):
    return load(name)[:height, :width]


# ------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("name", NAMES)
def test_jpegs_are_read_as_opencv_reads_them(ask, name, sampling, progressive):
    for picture in (load(name), odd(name)):
        data = jpeg(picture, sampling, progressive=progressive)
        assert_close(pixels(ask, "read", data), decode(data), f"{name} {sampling}")


@pytest.mark.parametrize("quality", [10, 50, 75, 100])
def test_jpegs_of_any_quality(ask, quality):
    data = jpeg(load("coffee"), quality=quality)
    assert_close(pixels(ask, "read", data), decode(data))


def test_grey_pictures_and_pictures_in_grey(ask):
    grey = cv2.cvtColor(odd("chelsea"), cv2.COLOR_BGR2GRAY)
    for data in (jpeg(grey), jpeg(odd("chelsea")), encode(grey, ".png"), encode(load("coffee"), ".png")):
        want = decode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        assert_close(pixels(ask, "read_grey", data)[..., 0], want)
    assert_close(pixels(ask, "read", jpeg(grey)), decode(jpeg(grey)))


def test_red_is_where_it_was_asked_for(ask):
    data = encode(load("coffee"), ".png")
    assert np.array_equal(pixels(ask, "read_rgb", data)[..., ::-1], pixels(ask, "read", data))


@pytest.mark.parametrize("extension", [".png", ".bmp", ".webp"])
def test_lossless_pictures_are_the_same(ask, extension):
    flags = [cv2.IMWRITE_WEBP_QUALITY, 101] if extension == ".webp" else []
    for picture in (odd("chelsea"), load("coffee")[:1, :1], load("coffee")[:7, :1]):
        assert np.array_equal(pixels(ask, "read", encode(picture, extension, *flags)), picture)


def test_lossy_webp(ask):
    for name in NAMES:
        data = encode(odd(name), ".webp", cv2.IMWRITE_WEBP_QUALITY, 90)
        assert_close(pixels(ask, "read", data), decode(data), name)


def test_sixteen_bits_alpha_palette_and_single_bits(ask):
    from io import BytesIO

    from PIL import Image

    picture = odd("coffee")
    wide = picture.astype(np.uint16) * 257
    wide[..., 0] -= np.minimum(wide[..., 0], 200)
    assert_close(pixels(ask, "read", encode(wide, ".png")), decode(encode(wide, ".png")))
    assert_close(pixels(ask, "read", encode(wide[..., 1], ".png")), decode(encode(wide[..., 1], ".png")))

    for mode in ("P", "1", "L", "LA", "RGBA"):
        out = BytesIO()
        Image.fromarray(picture[..., ::-1]).convert(mode).save(out, "PNG")
        assert_close(pixels(ask, "read", out.getvalue()), decode(out.getvalue()), mode)


def test_transparent_pixels_show_the_background(ask):
    alpha = np.linspace(0, 255, 449).astype(np.uint8) * np.ones((299, 1), np.uint8)
    data = encode(np.dstack([odd("chelsea"), alpha]), ".png")
    assert np.array_equal(pixels(ask, "read", data), odd("chelsea"))
    part = (alpha / 255.0)[..., None]
    assert_close(pixels(ask, "read_on_white", data), odd("chelsea") * part + 255 * (1 - part))


def test_cmyk(ask):
    from io import BytesIO

    from PIL import Image

    out = BytesIO()
    Image.fromarray(odd("coffee")[..., ::-1]).convert("CMYK").save(out, "JPEG", quality=95)
    assert_close(pixels(ask, "read", out.getvalue()), decode(out.getvalue()))


@pytest.mark.parametrize("number", range(1, 9))
def test_pictures_are_turned_upright_on_request(ask, number):
    data = with_orientation(jpeg(odd("astronaut")), number)
    assert_close(pixels(ask, "read_upright", data), decode(data, cv2.IMREAD_COLOR))
    assert_close(pixels(ask, "read", data), decode(data))


# ----------------------------------------------------------------------------------- moving pixels


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("method", ["bilinear", "area", "nearest"])
def test_resizing_is_as_in_opencv(ask, method, width, height):
    way = {"bilinear": cv2.INTER_LINEAR, "area": cv2.INTER_AREA, "nearest": cv2.INTER_NEAREST}[method]
    for name in NAMES:
        data = encode(load(name), ".png")
        want = cv2.resize(load(name), (width, height), interpolation=way)
        assert_close(pixels(ask, f"{method}_{width}x{height}", data), want, name)


def test_samples_that_are_not_rounded(ask):
    got = pixels(ask, "half", encode(load("coffee"), ".png"))
    assert got.dtype == np.float16
    want = cv2.resize(load("coffee").astype(np.float32), (320, 240), interpolation=cv2.INTER_LINEAR)
    assert np.abs(got - want).max() < 0.1


def test_crops(ask):
    picture = odd("chelsea")
    data = encode(picture, ".png")
    assert np.array_equal(pixels(ask, "crop", data), picture[20:120, 30:230])
    assert np.array_equal(pixels(ask, "crop_middle", data), picture[99:200, 124:324])


def get_affine_transform(center, scale, rotation, size):
    """CenterNet's, from its three points."""
    turn = np.deg2rad(rotation)
    up = np.array([np.sin(turn), -np.cos(turn)]) * scale * 0.5
    source = [np.array(center), np.array(center) + up]
    target = [np.array(size) * 0.5, np.array(size) * 0.5 + [0, size[0] * -0.5]]
    for points in (source, target):
        way = points[0] - points[1]
        points.append(points[1] + [-way[1], way[0]])
    return cv2.getAffineTransform(np.float32(source), np.float32(target))


@pytest.mark.parametrize("model, rotation", [("centernet", 0), ("centernet_turned", 30)])
@pytest.mark.parametrize("name", NAMES)
def test_warping_is_as_in_opencv(ask, name, model, rotation):
    picture = odd(name)
    height, width = picture.shape[:2]
    there = get_affine_transform([width / 2, height / 2], max(width, height), rotation, (512, 512))
    result = ask(model, encode(picture, ".png"))
    want = cv2.warpAffine(picture, there, (512, 512), flags=cv2.INTER_LINEAR)
    assert_close(result["pixels"][0], want, name)
    back = get_affine_transform([width / 2, height / 2], max(width, height), rotation, (128, 128))
    assert result["to_raw"][0] == pytest.approx(cv2.invertAffineTransform(back), abs=2e-4)
    assert result["from_raw"][0] == pytest.approx(there, abs=2e-4)


def test_the_matrix_is_exact(ask):
    """In closed form: OpenCV's own comes from three points in single precision."""
    for width, height in [(449, 299), (123, 300), (512, 512)]:
        k = max(width, height) / 128
        want = [[k, 0, width / 2 - 64 * k], [0, k, height / 2 - 64 * k]]
        picture = load("astronaut")[:height, :width]
        assert ask("centernet", encode(picture, ".png"))["to_raw"][0] == pytest.approx(
            np.array(want), abs=1e-5
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_given_matrix(ask, name):
    there = np.array([[[0.7, 0.3, -60.5], [-0.2, 0.9, 25.25]]], np.float32)
    got = pixels(ask, "given", encode(load(name), ".png"), map=there)
    want = cv2.warpAffine(
        load(name), there[0], (300, 200), flags=cv2.INTER_LINEAR, borderValue=(10, 20, 30)
    )
    assert_close(got, want, name)


# ------------------------------------------------------------------------------ what networks get


def opencv_letterbox(data):
    picture = decode(data)
    height, width = picture.shape[:2]
    scale = min(640 / width, 640 / height)
    inner = round(width * scale), round(height * scale)
    left, top = (640 - inner[0]) // 2, (640 - inner[1]) // 2
    right, bottom = 640 - inner[0] - left, 640 - inner[1] - top
    small = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
    return cv2.copyMakeBorder(
        small, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114)
    )


def test_a_batch_of_pictures_of_different_sizes(ask):
    """Each row is the row of its own picture, and its matrix leads back to it."""
    pictures = [jpeg(load("astronaut")), jpeg(odd("chelsea")), encode(load("coffee"), ".png")]
    result = ask("letterbox", *pictures)
    assert result["image"].shape == (3, 3, 640, 640) and result["to_raw"].shape == (3, 2, 3)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    for data, image, matrix, size in zip(pictures, result["image"], result["to_raw"], result["size"]):
        back = (image.transpose(1, 2, 0) * std + mean) * 255
        assert_close(back[..., ::-1], opencv_letterbox(data))
        height, width = decode(data).shape[:2]
        assert size.tolist() == [height, width]
        # The middle of the box is the middle of the picture, up to the pixel that an odd border has.
        factor = max(height, width) / 640
        assert matrix @ [320, 320, 1] == pytest.approx([width / 2, height / 2], abs=factor)
        assert matrix[0, 0] == pytest.approx(factor, rel=0.005)


def test_the_preprocessing_of_the_tensorflow_graph(ask):
    """With the batch in the dims, and the old corners; in numpy as that graph computes."""
    picture = odd("chelsea")
    result = ask("tensorflow", jpeg(picture), batched=False)
    assert result["process_img"].shape == (1, 3, 512, 512)
    assert result["affine_trans_mat"].shape == (2, 3)
    k = 449 / 128
    want = [[k, 0, 449 / 2 - 64 * k], [0, k, 299 / 2 - 64 * k]]
    assert result["affine_trans_mat"] == pytest.approx(np.array(want), abs=1e-5)

    pixels = decode(jpeg(picture))[..., ::-1].astype(np.float32)
    inner = (512, 340)
    for axis, (source, target) in enumerate([(299, inner[1]), (449, inner[0])]):
        where = np.arange(target, dtype=np.float32) * np.float32(source / target)
        low = where.astype(int)
        high = np.minimum(low + 1, source - 1)
        part = (where - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        pixels = pixels.take(low, axis) * (1 - part) + pixels.take(high, axis) * part
    box = np.zeros((512, 512, 3))
    box[86 : 86 + 340] = pixels
    mean, std = np.array([0.408, 0.447, 0.470]), 0.274
    got = (result["process_img"][0].transpose(1, 2, 0) * std + mean) * 255
    assert_close(got, box)


def test_the_reference_finds_the_same_faces(ask, vision_server):
    path = os.path.join(ROOT, "tests", "references", "centerface", "reference.json")
    with open(path, encoding="utf-8") as f:
        want = json.load(f)["images"]["astronaut.png"]
    with open(os.path.join(ROOT, "tests", "references", "images", "astronaut.png"), "rb") as f:
        result = ask("face_image", f.read())
    assert result["to_raw"][0] == pytest.approx(np.array(want["affine_trans_mat"]), abs=1e-5)
    with grpc.InferenceServerClient(vision_server.grpc) as client:
        network = grpc.InferInput("input.1", list(result["image"].shape), "FP32")
        network.set_data_from_numpy(result["image"])
        reply = client.infer("centerface", [network])
    maps = [reply.as_numpy(name)[0] for name in ("537", "538", "539", "540")]
    matrix = result["to_raw"][0]
    found = faces.decode(*maps, (matrix[0, 0], matrix[0, 2], matrix[1, 2]), 0.5)
    assert len(found) == len(want["faces"])
    for (score, box, _), face in zip(found, want["faces"]):
        assert score == pytest.approx(face["score"], abs=0.01)
        assert box == pytest.approx(face["box_xyxy"], abs=1)


def test_a_picture_as_the_whole_body(vision_server):
    """As curl --data-binary sends it."""
    connection = http.client.HTTPConnection(vision_server.http)
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": "0"}
    connection.request("POST", "/v2/models/face_image/infer", jpeg(load("astronaut")), headers)
    reply = connection.getresponse()
    length = int(reply.headers["Inference-Header-Content-Length"])
    body = reply.read()
    assert reply.status == 200, body
    outputs = {output["name"]: output for output in json.loads(body[:length])["outputs"]}
    assert outputs["image"]["shape"] == [1, 3, 640, 640]
    connection.close()
