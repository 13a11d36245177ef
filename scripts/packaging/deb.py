"""The package for Debian and Ubuntu: binary, ONNX Runtime, a unit for systemd and its settings."""

import hashlib

from .archives import Tar, gzipped, xz
from .contents import MACHINE, ROOT, SUMMARY, read

# What ONNX Runtime's library asks for: GLIBCXX_3.4.22 and the unwinder.
NEEDS = "libstdc++6 (>= 6), libgcc-s1 | libgcc1"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}
SETTINGS = "etc/default/hippocamp"
UNIT = "usr/lib/systemd/system/hippocamp.service"

# The server is not started by its installation: nobody knows yet which models it is to serve. An update restarts one that runs.
AFTER = """#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    if [ -n "$2" ]; then systemctl --quiet try-restart hippocamp.service || true; fi
fi
"""
BEFORE_REMOVAL = """#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl --quiet stop hippocamp.service || true; fi
"""

# The link of `systemctl enable` is nobody's file.
AFTER_REMOVAL = """#!/bin/sh
set -e
if [ "$1" = purge ]; then rm -f /etc/systemd/system/multi-user.target.wants/hippocamp.service; fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
"""


def ar(members, time):
    """An archive of `ar`, which a .deb is."""
    out = bytearray(b"!<arch>\n")
    for name, data in members:
        out += f"{name:<16}{time:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) % 2)
    return bytes(out)


def control(product, size):
    major, minor = product.glibc
    return f"""\
Package: hippocamp
Version: {product.version}
Architecture: {ARCHITECTURE[MACHINE]}
Maintainer: The developers of Hippocamp <hippocamp@localhost>
Installed-Size: {-(-size // 1024)}
Depends: libc6 (>= {major}.{minor}), {NEEDS}
Recommends: ca-certificates
Section: net
Priority: optional
Description: {SUMMARY}
 Serves models to the clients of NVIDIA Triton by KServe v2 over HTTP and gRPC:
 ONNX models by ONNX Runtime, which is included. The engines of TensorRT,
 TensorFlow and PyTorch are opened where they are installed.
 .
 /etc/default/hippocamp says which models the service hippocamp serves.
"""


def build(product):
    """(file name, bytes)"""
    files = [(f"usr/{file.path}", file.data, file.mode) for file in product.all]
    files.append((UNIT, read(f"{ROOT}/deploy/systemd/hippocamp.service"), 0o644))
    files.append((SETTINGS, read(f"{ROOT}/deploy/systemd/hippocamp.default"), 0o644))
    copyright_ = "Hippocamp is Apache-2.0: LICENSE. What is linked into it: LICENSES-OF-CRATES.txt. ONNX Runtime: onnxruntime/.\n"
    files.append(("usr/share/doc/hippocamp/copyright", copyright_.encode(), 0o644))
    files.sort()
    data = Tar(product.time, "./")
    for path, content, mode in files:
        data.file(path, content, mode)
    sums = "".join(f"{hashlib.md5(content).hexdigest()}  {path}\n" for path, content, _ in files if path != SETTINGS)
    about = Tar(product.time, "./")
    about.file("control", control(product, sum(len(content) for _, content, _ in files)).encode())
    about.file("conffiles", f"/{SETTINGS}\n".encode())
    about.file("md5sums", sums.encode())
    about.file("postinst", AFTER.encode(), 0o755)
    about.file("prerm", BEFORE_REMOVAL.encode(), 0o755)
    about.file("postrm", AFTER_REMOVAL.encode(), 0o755)
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzipped(about.bytes())),
        ("data.tar.xz", xz(data.bytes())),
    ]
    return f"hippocamp_{product.version}_{ARCHITECTURE[MACHINE]}.deb", ar(members, product.time)
