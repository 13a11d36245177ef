"""The lowest layer of images: a handful of files of Debian's packages."""

import io
import os
import re
import tarfile
import tempfile

from .contents import CACHE, Failure, run

# What the binary and ONNX Runtime link, and the certificates that stores are known by.
PACKAGES = ("base-files", "libc6", "libgcc-s1", "gcc-12-base", "libstdc++6", "ca-certificates")
# The user of the image, by the number that distroless images have for theirs.
USER = 65532
PASSWD = f"root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nhippocamp:x:{USER}:{USER}:hippocamp:/:/sbin/nologin\n"
GROUP = f"root:x:0:\nnogroup:x:65534:\nhippocamp:x:{USER}:\n"




def wanted(path):
    """Whether the image has that file of a Debian package: libraries, names of the system, certificates and licences.

    Of base-files also the links /lib and /lib64 to folders of /usr, which newer releases have there: programs name their loader by one.
    """
    if re.fullmatch(r"(\./)?lib\w*", path):
        return True
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
            missing = fetch(names, folder, work)
        except Failure:
            # apt has no lists yet, or old ones, whose files are gone from the mirror.
            if os.geteuid() != 0:
                raise
            run(["apt-get", "update"])
            missing = fetch(names, folder, work)
        if missing:
            for name in os.listdir(folder):
                if name.endswith(".deb"):
                    os.remove(os.path.join(folder, name))
            for name in os.listdir(work):
                os.replace(os.path.join(work, name), os.path.join(folder, name))
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".deb"))


def fetch(names, folder, work):
    """Downloads the packages into WORK unless all are in FOLDER; whether it did."""
    missing = not all(os.path.isfile(os.path.join(folder, name)) for name in uris(names, work))
    if missing:
        run(["apt-get", "download", *names], cwd=work)
    return missing


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


def resolves(path, files, links):
    """Whether a path leads to one of FILES, by way of LINKS."""
    parts = path.strip("/").split("/")
    for _ in range(40):
        for length in range(1, len(parts) + 1):
            link = "/".join(parts[:length])
            if link in links:
                target = os.path.normpath(os.path.join("/", os.path.dirname(link), links[link]))
                parts = target.strip("/").split("/") + parts[length:]
                break
        else:
            return "/".join(parts) in files
    return False


def base(tar, product):
    """Fills the lowest layer; Failure if the binary of PRODUCT would not start on it."""
    certificates, files, links = {}, set(), {}
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
                    links[path] = member.linkname
                elif member.isfile():
                    data = source.extractfile(member).read()
                    tar.file(path, data, member.mode & 0o755)
                    files.add(path)
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
    if not resolves(product.interpreter, files, links):
        raise Failure(f"the binary is started by {product.interpreter}, which is not in the layer: this distribution has it in a way that is not known here")
    with tempfile.NamedTemporaryFile() as f:
        f.write(libc)
        f.flush()
        told = run(["readelf", "--version-info", "--wide", f.name]).decode()
    newest = max(tuple(map(int, found)) for found in re.findall(r"Name: GLIBC_(\d+)\.(\d+)", told))
    if newest < product.glibc:
        raise Failure("the binary needs glibc %d.%d, and this distribution's libc6 is older" % product.glibc)
