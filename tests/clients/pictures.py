"""Pictures for the vision tests: the committed ones, encoded by OpenCV in every way, and how close two are."""

import os

import cv2
import numpy as np
from server_process import ROOT

cv2.setNumThreads(1)

IMAGES = os.path.join(ROOT, "tests", "references", "images")
NAMES = ("astronaut", "chelsea", "coffee")

SAMPLING = {
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:4:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}


def load(name):
    """A committed picture, BGR."""
    return cv2.imread(os.path.join(IMAGES, f"{name}.png"))


def encode(picture, extension, *flags):
    done, data = cv2.imencode(extension, picture, list(flags))
    assert done
    return data.tobytes()


def decode(data, flags=cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION):
    """What OpenCV reads, BGR or grey."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def jpeg(picture, sampling="4:2:0", quality=92, progressive=False):
    factor = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING[sampling]] if picture.ndim == 3 else []
    return encode(
        picture,
        ".jpg",
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_PROGRESSIVE,
        int(progressive),
        *factor,
    )


def with_orientation(data, number):
    """A JPEG with an Exif block that says how the camera was held, 1 to 8."""
    entry = b"\x12\x01\x03\x00\x01\x00\x00\x00" + bytes([number, 0, 0, 0])
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + b"\0\0\0\0"
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]


def assert_close(got, want, what=""):
    """The bar: mean difference under 0.6 of 255, at most 4 on 99.9 % of the pixels."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, what
    difference = np.abs(got - want)
    pixels = difference.max(axis=-1) if difference.ndim == 3 else difference
    close = np.mean(pixels <= 4)
    text = f"{what}: mean {difference.mean():.3f}, most {difference.max():.0f}, {100 * close:.3f} % within 4"
    assert difference.mean() < 0.6 and close >= 0.999, text
