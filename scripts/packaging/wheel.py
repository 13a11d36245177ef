"""The wheel: `pip install hippocamp` puts the binary beside Python, and ONNX Runtime comes as a dependency."""

import base64
import hashlib
import io
import time
import zipfile

from .contents import MACHINE, ONNXRUNTIME_REQUIREMENT, ROOT, SUMMARY, read


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def tag(product):
    """The platform by PEP 600. It says the oldest glibc, and that nothing but it and the compiler's runtime is linked."""
    major, minor = product.glibc
    return f"py3-none-manylinux_{major}_{minor}_{MACHINE}"


def metadata(product):
    readme = read(f"{ROOT}/scripts/packaging/README.md").decode()
    return f"""\
Metadata-Version: 2.4
Name: hippocamp
Version: {product.version}
Summary: {SUMMARY}
License-Expression: Apache-2.0
License-File: LICENSE
License-File: LICENSES-OF-CRATES.txt
Keywords: inference,onnx,triton,kserve,model server
Requires-Python: >=3.10
Requires-Dist: {ONNXRUNTIME_REQUIREMENT}
Description-Content-Type: text/markdown

{readme}"""


def build(product):
    """(file name, bytes)"""
    info = f"hippocamp-{product.version}.dist-info"
    wheel = f"Wheel-Version: 1.0\nGenerator: scripts/package\nRoot-Is-Purelib: false\nTag: {tag(product)}\n"
    names = {"LICENSE", "LICENSES-OF-CRATES.txt"}
    shell = [file for file in product.documents if not file.path.startswith("share/doc/")]
    licenses = [file for file in product.documents if file.path.rpartition("/")[2] in names and "onnxruntime" not in file.path]
    files = [
        (f"hippocamp-{product.version}.data/scripts/hippocamp", product.binary.data, 0o755),
        (f"{info}/METADATA", metadata(product).encode(), 0o644),
        (f"{info}/WHEEL", wheel.encode(), 0o644),
        # PEP 770.
        (f"{info}/sboms/hippocamp.cdx.json", product.sbom.data, 0o644),
        # pip puts these below the environment.
        *((f"hippocamp-{product.version}.data/data/{file.path}", file.data, 0o644) for file in shell),
        *((f"{info}/licenses/{file.path.rpartition('/')[2]}", file.data, 0o644) for file in licenses),
    ]
    record = "".join(f"{path},sha256={digest(data)},{len(data)}\n" for path, data, _ in files) + f"{info}/RECORD,,\n"
    files.append((f"{info}/RECORD", record.encode(), 0o644))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for path, data, mode in files:
            entry = zipfile.ZipInfo(path, time.gmtime(product.time)[:6])
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, data)
    return f"hippocamp-{product.version}-{tag(product)}.whl", buffer.getvalue()
