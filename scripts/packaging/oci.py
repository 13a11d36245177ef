"""The OCI image: three layers of tar and some JSON, made without a Docker engine. Its base is a handful of files of Debian's packages."""

import hashlib
import io
import json
import os
import re
import tarfile
import tempfile
import time

from .archives import Tar, gzipped
from .contents import CACHE, Failure, MACHINE, SUMMARY, run

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}
# What the binary and ONNX Runtime link, and the certificates that stores are known by.
PACKAGES = ("base-files", "libc6", "libgcc-s1", "gcc-12-base", "libstdc++6", "ca-certificates")
# The user of the image, by the number that distroless images have for theirs.
USER = 65532
PASSWD = f"root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nhippocamp:x:{USER}:{USER}:hippocamp:/:/sbin/nologin\n"
GROUP = f"root:x:0:\nnogroup:x:65534:\nhippocamp:x:{USER}:\n"


def wanted(path):
    """Whether the image has that file of a Debian package: libraries, names of the system, certificates and licences."""
    if any(part in path for part in ("/gconv/", "/gdb/", "/lintian/")):
        return False
    shared = (".so", ".crt", "/copyright", "/os-release", "/debian_version", "/nsswitch.conf")
    return path.endswith(shared) or ".so." in path


def debian_packages():
    """The .deb files of the versions that apt would install now; kept in .cache, where a newer version takes the place of an older one."""
    folder = os.path.join(CACHE, "package", "debian")
    os.makedirs(folder, exist_ok=True)
    names = [name for name in PACKAGES if not name.startswith("gcc-")] + [compiler_base()]
    with tempfile.TemporaryDirectory(dir=folder) as work:
        if os.geteuid() == 0:
            # apt gives its rights away to fetch, and needs none here.
            os.chmod(work, 0o777)
        try:
            wanted = uris(names, work)
        except Failure:
            if os.geteuid() != 0:
                raise
            run(["apt-get", "update"])
            wanted = uris(names, work)
        if not all(os.path.isfile(os.path.join(folder, name)) for name in wanted):
            run(["apt-get", "download", *names], cwd=work)
            for name in os.listdir(folder):
                if name.endswith(".deb"):
                    os.remove(os.path.join(folder, name))
            for name in os.listdir(work):
                os.replace(os.path.join(work, name), os.path.join(folder, name))
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".deb"))


def uris(names, work):
    """The names of the files that apt would fetch, each with its version."""
    told = run(["apt-get", "download", "--print-uris", *names], cwd=work).decode()
    found = re.findall(r"^'[^']*' (\S+\.deb) ", told, re.MULTILINE)
    if len(found) != len(names):
        raise Failure(f"apt-get knows {len(found)} of {len(names)} packages: {' '.join(names)}")
    return found


def compiler_base():
    """The package with the licence of the compiler's libraries: libgcc-s1 depends on the one of its version."""
    depends = run(["apt-cache", "depends", "libgcc-s1"]).decode()
    for word in depends.split():
        if word.startswith("gcc-") and word.endswith("-base"):
            return word
    raise Failure(f"libgcc-s1 depends on no gcc-N-base:\n\n{depends}")


def base(product):
    """The lowest layer, and the C library's version in it."""
    tar, certificates = Tar(product.time), {}
    # As images without a shell have them, whose programs scanners find by these.
    status, libc = {}, None
    for package in debian_packages():
        fields = run(["dpkg-deb", "--field", package]).decode()
        name = fields.partition("Package: ")[2].splitlines()[0]
        status[f"var/lib/dpkg/status.d/{name}"] = fields.encode()
        with tarfile.open(fileobj=io.BytesIO(run(["dpkg-deb", "--fsys-tarfile", package]))) as source:
            for member in sorted(source.getmembers(), key=lambda member: member.name):
                if not wanted(member.name):
                    continue
                path = member.name.removeprefix("./")
                if path.endswith(".crt"):
                    certificates[path] = source.extractfile(member).read()
                elif member.issym():
                    tar.link(path, member.linkname)
                elif member.isfile():
                    data = source.extractfile(member).read()
                    tar.file(path, data, member.mode & 0o755)
                    if path.endswith("/libc.so.6"):
                        libc = data
    bundle = b"".join(data.rstrip() + b"\n" for _, data in sorted(certificates.items()))
    tar.file("etc/ssl/certs/ca-certificates.crt", bundle)
    tar.file("etc/passwd", PASSWD.encode())
    tar.file("etc/group", GROUP.encode())
    for path, data in sorted(status.items()):
        tar.file(path, data)
    tar.folder("tmp", 0o1777)
    tar.folder("models")
    with tempfile.NamedTemporaryFile() as f:
        f.write(libc)
        f.flush()
        told = run(["readelf", "--version-info", "--wide", f.name]).decode()
    newest = max(tuple(map(int, found)) for found in re.findall(r"Name: GLIBC_(\d+)\.(\d+)", told))
    if newest < product.glibc:
        raise Failure("the binary needs glibc %d.%d, and this distribution's libc6 is older" % product.glibc)
    return tar.bytes()


def layer(product, *files):
    tar = Tar(product.time)
    for file in files:
        tar.file(f"usr/{file.path}", file.data, file.mode)
    return tar.bytes()


def config(product, layers):
    """The image's configuration; LAYERS are (what made it, tar)."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(product.time))
    return {
        "created": created,
        "architecture": ARCHITECTURE[MACHINE],
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "ExposedPorts": {f"{port}/tcp": {} for port in (8000, 8001, 8002)},
            "Env": ["PATH=/usr/bin:/bin"],
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
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for _, tar in layers]},
        "history": [{"created": created, "created_by": f"scripts/package: {what}"} for what, _ in layers],
    }


def build(product):
    """(file name, bytes): an image layout of OCI as one tar, which docker load takes, too."""
    layers = [
        ("Debian's C and C++ libraries and certificates", base(product)),
        ("ONNX Runtime", layer(product, product.engine)),
        ("hippocamp", layer(product, product.binary, product.sbom, *product.documents)),
    ]
    blobs = {}

    def blob(kind, data):
        name = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{name}"] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{name}", "size": len(data)}

    def text(value):
        return json.dumps(value, indent=1).encode()

    packed = [blob("layer.v1.tar+gzip", gzipped(tar)) for _, tar in layers]
    about = blob("config.v1+json", text(config(product, layers)))
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = blob("manifest.v1+json", text({"schemaVersion": 2, "mediaType": kind, "config": about, "layers": packed}))
    name = f"hippocamp:{product.version}"
    manifest["annotations"] = {"org.opencontainers.image.ref.name": product.version, "io.containerd.image.name": name}
    manifest["platform"] = {"architecture": ARCHITECTURE[MACHINE], "os": "linux"}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]}

    def place(descriptor):
        return "blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")

    docker = [{"Config": place(about), "RepoTags": [name], "Layers": [place(one) for one in packed]}]
    out = Tar(product.time)
    out.file("oci-layout", text({"imageLayoutVersion": "1.0.0"}))
    out.file("index.json", text(index))
    out.file("manifest.json", text(docker))
    for path, data in sorted(blobs.items()):
        out.file(path, data)
    return f"hippocamp-{product.version}-oci.tar", out.bytes()
