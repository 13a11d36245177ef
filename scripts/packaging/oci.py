"""OCI images: layers of tar and some JSON, made without a Docker engine."""

import concurrent.futures
import dataclasses
import gzip
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable

from . import cuda, debian, sbom
from .archives import Hashed, Tar
from .contents import CACHE, MACHINE, SUMMARY, File

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}
# What NVIDIA's container toolkit mounts into the image for CUDA: the driver, and NVML for the metrics.
TOOLKIT = ("NVIDIA_VISIBLE_DEVICES=all", "NVIDIA_DRIVER_CAPABILITIES=compute,utility")


@dataclasses.dataclass(frozen=True)
class Layer:
    what: str
    fill: Callable[[Tar], None]


@dataclasses.dataclass(frozen=True)
class Blob:
    """A file of the layout, named by its checksum: in memory, or where it was packed."""

    kind: str
    digest: str
    size: int
    data: bytes = b""
    packed: str = ""
    # Of a layer: the checksum of its tar.
    plain: str = ""

    @property
    def place(self):
        return f"blobs/sha256/{self.digest}"

    @property
    def descriptor(self):
        return {"mediaType": f"application/vnd.oci.image.{self.kind}", "digest": f"sha256:{self.digest}", "size": self.size}


def files(*these):
    """Fills a layer with files of the packages, below /usr."""

    def fill(tar):
        for file in these:
            tar.file(f"usr/{file.path}", file.data, file.mode)

    return fill


def pack(layer, path, created):
    """Writes a layer to PATH; it is never in memory as a whole."""
    with open(path, "wb") as f:
        packed = Hashed(f)
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=packed, mtime=0) as pressed:
            plain = Hashed(pressed)
            tar = Tar(created, sink=plain)
            layer.fill(tar)
            tar.close()
    return Blob("layer.v1.tar+gzip", packed.digest.hexdigest(), packed.size, packed=path, plain=plain.digest.hexdigest())


def text(kind, value):
    data = json.dumps(value, indent=1).encode()
    return Blob(kind, hashlib.sha256(data).hexdigest(), len(data), data)


def config(product, layers, blobs, environment):
    """The image's configuration."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(product.time))
    return {
        "created": created,
        "architecture": ARCHITECTURE[MACHINE],
        "os": "linux",
        "config": {
            "User": f"{debian.USER}:{debian.USER}",
            "ExposedPorts": {f"{port}/tcp": {} for port in (8000, 8001, 8002)},
            "Env": ["PATH=/usr/bin:/bin", *environment],
            "Entrypoint": ["/usr/bin/hippocamp"],
            "Cmd": ["--model-repository=/models"],
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": {
                "org.opencontainers.image.title": "hippocamp",
                "org.opencontainers.image.description": SUMMARY,
                "org.opencontainers.image.version": product.version,
                "org.opencontainers.image.revision": product.commit,
                "org.opencontainers.image.created": created,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{blob.plain}" for blob in blobs]},
        "history": [{"created": created, "created_by": f"scripts/package: {layer.what}"} for layer in layers],
    }


def image(product, repository, layers, environment, sink):
    """Writes an image layout of OCI as one tar, which docker load takes, too."""
    os.makedirs(os.path.join(CACHE, "package"), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.join(CACHE, "package")) as work:
        paths = [os.path.join(work, str(number)) for number in range(len(layers))]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            packed = list(pool.map(pack, layers, paths, [product.time] * len(layers)))
        about = text("config.v1+json", config(product, layers, packed, environment))
        kind = "application/vnd.oci.image.manifest.v1+json"
        layers = [blob.descriptor for blob in packed]
        manifest = text("manifest.v1+json", {"schemaVersion": 2, "mediaType": kind, "config": about.descriptor, "layers": layers})
        name = f"{repository}:{product.version}"
        entry = manifest.descriptor | {
            "annotations": {"org.opencontainers.image.ref.name": product.version, "io.containerd.image.name": name},
            "platform": {"architecture": ARCHITECTURE[MACHINE], "os": "linux"},
        }
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
        docker = [{"Config": about.place, "RepoTags": [name], "Layers": [blob.place for blob in packed]}]
        out = Tar(product.time, sink=sink)
        for path, value in {"oci-layout": {"imageLayoutVersion": "1.0.0"}, "index.json": index, "manifest.json": docker}.items():
            out.file(path, json.dumps(value, indent=1).encode())
        for blob in sorted({blob.digest: blob for blob in (*packed, about, manifest)}.values(), key=lambda blob: blob.digest):
            if blob.packed:
                out.copy(blob.place, blob.packed)
            else:
                out.file(blob.place, blob.data)
        out.close()


def build(product):
    """(file name, what writes the image to a file)"""
    layers = [
        Layer("Debian's C and C++ libraries and certificates", lambda tar: debian.base(tar, product)),
        Layer("ONNX Runtime", files(product.engine)),
        Layer("hippocamp", files(product.binary, product.sbom, *product.documents)),
    ]
    return f"hippocamp-{product.version}-oci.tar", lambda sink: image(product, "hippocamp", layers, (), sink)


def build_cuda(product, folder):
    """The same with ONNX Runtime for CUDA and NVIDIA's libraries, of the Python packages in FOLDER."""
    engine = cuda.Engine(folder)
    product = dataclasses.replace(
        product,
        glibc=max(product.glibc, engine.glibc()),
        sbom=File(product.sbom.path, sbom.bill(engine.components())),
    )
    layers = [
        Layer("Debian's C and C++ libraries and certificates", lambda tar: debian.base(tar, product)),
        *(Layer(what, fill) for what, fill in engine.layers()),
        Layer("hippocamp", files(product.binary, product.sbom, *product.documents)),
    ]
    return f"hippocamp-{product.version}-oci-cuda.tar", lambda sink: image(product, "hippocamp-cuda", layers, TOOLKIT, sink)
