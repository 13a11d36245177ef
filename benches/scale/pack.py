"""All that the measurement needs, in a folder and in an archive: for a host without network, compiler or Rust.

    DIR/tree              what is measured there, in the layout of this repository
    DIR/hippocamp.tar.xz  our binary and the scripts, which change more often; with `--pack-again` only this is written
    DIR/rest.tar.xz       all the rest; several parts, .00 and on, where it is large
    DIR/python.tar.xz     the packages of the soak's clients for PYTHON, which nothing else needs
    DIR/numpy.tar.xz      the one of them that a host may well have

On the other host: `python3 -m tarfile -e rest.tar.xz THERE; python3 -m tarfile -e hippocamp.tar.xz THERE`, then in THERE
`python3 -m benches.scale` with the options of `scripts/bench scale`. The host has to run what is built here: the same
processor family, and a C library that is not older.
"""

import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from server_process import LIBRARY

from .. import ROOT
from ..compare import repository
from ..compare.servers import TRITON, WHEEL
from . import load, prebuilt
from .servers import Triton

PART = 46_000_000
# The Python of the other host, and what `python3 -m benches.soak` imports there.
PYTHON = "3.12"
PACKAGES = ("tritonclient[http,grpc]==2.73.0", "numpy==2.4.6")
SOURCES = ("benches/__init__.py", "benches/compare/*.py", "benches/scale/*.py", "benches/soak/*.py", "tests/*.py")
OURS = os.path.join("target", "release", "hippocamp")
PYTHON_FOLDER = os.path.join(".cache", "python")
NUMPY = os.path.join(os.path.relpath(repository.PACKAGES, ROOT), "numpy")
ANALYZER = os.path.join(".cache", "perf_analyzer")
# What comes with the C library, and has to be the host's.
OF_C = re.compile(r"(linux-vdso|ld-linux|libc|libm|libdl|libpthread|librt|libresolv)[.-]")


def libraries(program, paths):
    """The shared libraries that a program is loaded with: {name: path}."""
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(paths)}
    done = subprocess.run(["ldd", program], env=environment, capture_output=True, text=True, check=True)
    found = dict(re.findall(r"^\s*(\S+) => (/\S+)", done.stdout, re.MULTILINE))
    return {name: path for name, path in found.items() if not OF_C.match(name)}


def put(source, tree, path):
    target = os.path.join(tree, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(source, target)
    return target


def strip(path):
    """Takes symbols for debugging away, where there is the tool and it can."""
    if shutil.which("strip"):
        subprocess.run(["strip", "--strip-unneeded", path], check=False, capture_output=True)


def put_program(source, tree, path, libs, paths):
    """A program, and beside it what it loads."""
    strip(put(source, tree, path))
    for name, library in libraries(source, paths).items():
        put(os.path.realpath(library), tree, os.path.join(libs, name))


def put_triton(tree):
    home = os.path.join(".cache", "triton")
    libs = os.path.join(home, os.path.basename(glob.glob(os.path.join(WHEEL, "*.libs"))[0]))
    program = os.path.join(TRITON, "bin", "tritonserver")
    put_program(program, tree, os.path.relpath(program, ROOT), libs, [os.path.join(ROOT, libs)])


def put_built(tree, binary):
    """The prebuilt parts. The library of a backend in C is the one that ours loads, not a second copy."""
    with tempfile.TemporaryDirectory(prefix="bench-pack-") as work:
        built = prebuilt.build(os.path.join(work, "built"), binary, work, Triton.is_there())
        target = os.path.join(tree, "built")
        shutil.copytree(built.folder, target, symlinks=True)
    for folder, _, names in os.walk(target):
        for link in (os.path.join(folder, name) for name in names):
            if os.path.islink(link):
                packed = os.path.join(tree, os.path.relpath(os.path.abspath(os.readlink(link)), ROOT))
                os.remove(link)
                os.symlink(os.path.relpath(packed, folder), link)


def put_packages(tree):
    """The packages of the soak, without their tests."""
    target = os.path.join(tree, os.path.relpath(repository.PACKAGES, ROOT))
    wheels = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    for libc in ("2_28", "2_27", "2_17"):
        wheels += ["--platform", f"manylinux_{libc}_x86_64"]
    wheels += ["--platform", "manylinux2014_x86_64"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", target, *wheels, *PACKAGES]
    subprocess.run(command, check=True)
    for tests in glob.glob(os.path.join(target, "**", "tests"), recursive=True):
        shutil.rmtree(tests)
    for library in glob.glob(os.path.join(target, "**", "*.so*"), recursive=True):
        if not library.endswith(".libs"):
            strip(library)


def archive(path, tree, keep):
    """What `keep` takes of the tree."""
    with tarfile.open(path, "w:xz", preset=6) as tar:
        tar.add(tree, ".", filter=lambda member: member if member.isdir() or keep(member.name) else None)


def split(path):
    """Parts of at most PART bytes, instead of a file that is larger."""
    for old in glob.glob(f"{path}.[0-9][0-9]"):
        os.remove(old)
    if os.path.getsize(path) <= PART:
        return
    with open(path, "rb") as f:
        for number in range(100):
            content = f.read(PART)
            if not content:
                break
            with open(f"{path}.{number:02}", "wb") as part:
                part.write(content)
    os.remove(path)


def put_changing(tree, binary):
    """Our binary and the scripts."""
    strip(put(binary, tree, OURS))
    for pattern in SOURCES:
        for source in glob.glob(os.path.join(ROOT, pattern)):
            put(source, tree, os.path.relpath(source, ROOT))


def changes(name):
    return name.removeprefix("./").startswith(("target", "benches", "tests"))


def put_rest(tree, binary):
    put(LIBRARY, tree, os.path.relpath(LIBRARY, ROOT))
    analyzer = os.path.join(ANALYZER, load.VERSION, "perf_analyzer")
    libs = os.path.join(ANALYZER, "lib")
    put_program(os.path.join(ROOT, analyzer), tree, analyzer, libs, [os.path.join(ROOT, libs)])
    if Triton.is_there():
        put_triton(tree)
    put_built(tree, binary)
    put_packages(tree)


def pack(folder, binary, again):
    """Writes it all anew, or what changes."""
    tree = os.path.join(folder, "tree")
    if not again:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(tree)
    put_changing(tree, binary)
    archive(os.path.join(folder, "hippocamp.tar.xz"), tree, changes)
    if not again:
        put_rest(tree, binary)
        rest = os.path.join(folder, "rest.tar.xz")
        archive(rest, tree, lambda name: not changes(name) and PYTHON_FOLDER not in name)
        split(rest)
        archive(os.path.join(folder, "python.tar.xz"), tree, lambda name: PYTHON_FOLDER in name and NUMPY not in name)
        archive(os.path.join(folder, "numpy.tar.xz"), tree, lambda name: NUMPY in name)
    for path in sorted(glob.glob(os.path.join(folder, "*.tar.xz*"))):
        print(f"{os.path.getsize(path) / 1e6:6.1f} MB {path}")
    return 0
