"""The tarball: one folder that runs where it is unpacked, with ONNX Runtime in it."""

from .archives import Tar, gzipped
from .contents import MACHINE


def build(product):
    """(file name, bytes)"""
    name = f"hippocamp-{product.version}-linux-{MACHINE}"
    tar = Tar(product.time, f"{name}/")
    for file in sorted(product.all, key=lambda file: file.path):
        tar.file(file.path, file.data, file.mode)
    return f"{name}.tar.gz", gzipped(tar.bytes())
