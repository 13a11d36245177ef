"""The lowest layer of images, of releases of Debian that put their loader elsewhere than this machine's."""

import os
import subprocess
import sys

import pytest
from clean import ROOT
from conftest import need

LOADER = "/lib64/ld-linux-x86-64.so.2"
# In a process of its own: the scripts' package has the name of another one, which pytest imports.
MAKE = """
import io, sys, tarfile, types
sys.path.insert(0, "scripts")
from packaging import archives, contents, debian
debian.debian_packages = lambda: sys.argv[2:]
tar = archives.Tar(0)
try:
    debian.base(tar, types.SimpleNamespace(interpreter=sys.argv[1], glibc=(2, 17)))
except contents.Failure as failure:
    sys.exit(str(failure))
print(*tarfile.open(fileobj=io.BytesIO(tar.bytes())).getnames(), sep="\\n")
"""


def package(folder, name, files, links):
    """A .deb with these files, of which each is a copy of another one, and links."""
    root = folder / name
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n")
    for path, source in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(open(source, "rb").read())
    for path, target in links.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    made = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(made)], check=True, capture_output=True)
    return str(made)


def made(*packages):
    return subprocess.run([sys.executable, "-c", MAKE, LOADER, *packages], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def libc():
    (path,) = [path for path in ("/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6") if os.path.isfile(path)][:1]
    return path


def test_the_loader_is_found_by_links_of_base_files(tmp_path, libc):
    """Debian 13: libc6 has all of it below /usr, and the links that lead there are base-files'."""
    need("dpkg-deb")
    base = package(tmp_path, "base-files", {}, {"lib64": "usr/lib64", "lib": "usr/lib", "etc/mtab": "../proc/mounts"})
    library = package(tmp_path, "libc6", {"usr/lib64/ld-linux-x86-64.so.2": libc, "usr/lib/x86_64-linux-gnu/libc.so.6": libc}, {})
    got = made(base, library)
    assert got.returncode == 0, got.stderr
    assert {"lib64", "lib", "usr/lib64/ld-linux-x86-64.so.2"} <= set(got.stdout.split()) and "etc/mtab" not in got.stdout


def test_the_loader_is_found_by_the_link_of_libc6(tmp_path, libc):
    """Debian 12: it is in /lib/x86_64-linux-gnu, and libc6 has the link, which is absolute."""
    need("dpkg-deb")
    target = "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    library = package(tmp_path, "libc6", {target[1:]: libc, "lib/x86_64-linux-gnu/libc.so.6": libc}, {LOADER[1:]: target})
    assert made(library).returncode == 0


def test_a_layer_that_starts_no_program_is_refused(tmp_path, libc):
    need("dpkg-deb")
    library = package(tmp_path, "libc6", {"usr/lib64/ld-linux-x86-64.so.2": libc, "usr/lib/x86_64-linux-gnu/libc.so.6": libc}, {})
    got = made(library)
    assert got.returncode != 0 and f"is started by {LOADER}, which is not in the layer" in got.stderr
