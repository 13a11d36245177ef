"""The files that every package has, as paths below a prefix such as /usr, and the facts that its metadata says."""

import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, ".cache")
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
# The oldest ONNX Runtime that the server opens is OLDEST_MINOR_VERSION of crates/backend-onnxruntime, which follows from `ort`.
ONNXRUNTIME_REQUIREMENT = "onnxruntime>=1.31,<2"
SUMMARY = "A model repository server that speaks Triton's protocols"


class Failure(Exception):
    """Something that the user has to hear about; the text says what to do."""


def say(text):
    print(f"package: {text}", flush=True)


def run(command, **options):
    """The standard output of a command; Failure with its own words if it fails."""
    # What they say is read here, in English.
    options.setdefault("env", {**os.environ, "LC_ALL": "C.UTF-8"})
    try:
        got = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False, **options)
    except FileNotFoundError as missing:
        raise Failure(f"{missing.filename} is missing, which {' '.join(command[:3])} needs") from None
    if got.returncode != 0:
        told = (got.stderr or got.stdout).decode("utf-8", "replace").strip()
        raise Failure(f"{' '.join(command)} failed\n\n{told[-2000:]}")
    return got.stdout


@dataclass(frozen=True)
class File:
    """One file of a package: its path below the prefix, its bytes, and whether it is executable."""

    path: str
    data: bytes
    executable: bool = False

    @property
    def mode(self):
        return 0o755 if self.executable else 0o644


@dataclass(frozen=True)
class Product:
    """What is packaged."""

    version: str
    commit: str
    # Seconds since 1970 that every file of every package carries, so that the same input gives the same packages.
    time: int
    # The oldest C library, as (2, 28).
    glibc: tuple[int, int]
    # The loader that starts the binary, such as /lib64/ld-linux-x86-64.so.2.
    interpreter: str
    binary: File
    engine: File
    documents: tuple[File, ...]
    sbom: File

    @property
    def all(self):
        return [self.binary, self.engine, self.sbom, *self.documents]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def glibc_floor(path):
    """The oldest glibc that has all versions of symbols that an ELF file asks for."""
    told = run(["readelf", "--version-info", "--wide", path]).decode()
    found = {tuple(map(int, version.split("."))) for version in re.findall(r"Name: GLIBC_([0-9.]+)", told)}
    if "GLIBC_ABI_DT_RELR" in told:
        found.add((2, 36))
    if not found:
        raise Failure(f"{path} asks for no version of glibc; it is no program for GNU/Linux")
    return max(found)[:2]


def interpreter(path):
    found = re.search(r"\[Requesting program interpreter: (.*)\]", run(["readelf", "--program-headers", "--wide", path]).decode())
    if not found:
        raise Failure(f"{path} is started by no loader; it is no program for GNU/Linux")
    return found[1]


def commit_time(commit):
    """When the packaged commit was made; SOURCE_DATE_EPOCH says otherwise."""
    told = os.environ.get("SOURCE_DATE_EPOCH")
    return int(told) if told else int(run(["git", "log", "-1", "--format=%ct", commit], cwd=ROOT))


def packaged_commit(said):
    """The commit that a binary says to be of; HEAD if it was not told, or is not known here.

    The bill of materials and the licences are of the sources here: Failure if what they follow from was another then.
    """
    commit = re.search(r"^commit: ([0-9a-f]{7,40})(-dirty)?$", said, re.MULTILINE)
    if commit is None or subprocess.run(["git", "cat-file", "-e", commit[1]], cwd=ROOT, capture_output=True, check=False).returncode != 0:
        say("the binary does not say which commit of these sources it is of; the bill of materials is that of what is here")
        return "HEAD"
    changed = run(["git", "diff", "--name-only", commit[1], "--", "Cargo.lock", "Cargo.toml", "crates/*/Cargo.toml"], cwd=ROOT).decode().split()
    if changed:
        raise Failure(
            f"the binary is of commit {commit[1]}, since which {', '.join(changed)} changed, of which the bill of materials follows: "
            f"build it anew, or run the scripts/package of that commit"
        )
    return commit[1]


def shell_files(binary):
    """Manual pages and completions, by the binary itself."""
    completions = {
        "bash": "share/bash-completion/completions/hippocamp",
        "zsh": "share/zsh/site-functions/_hippocamp",
        "fish": "share/fish/vendor_completions.d/hippocamp.fish",
    }
    files = [File(path, run([binary, "completions", shell])) for shell, path in completions.items()]
    with tempfile.TemporaryDirectory() as folder:
        run([binary, "man", "--output", folder])
        pages = sorted(os.listdir(folder))
        return files + [File(f"share/man/man1/{name}", read(os.path.join(folder, name))) for name in pages]


def product(binary, sbom, notices):
    """Asks the binary itself what it is."""
    said = run([binary, "--version"]).decode()
    version = re.match(r"hippocamp (\S+)", said)
    if version is None:
        raise Failure(f"{binary} --version says\n\n{said}")
    commit = re.search(r"^commit: (.*)$", said, re.MULTILINE)
    engine = os.path.join(CACHE, "onnxruntime", "lib", "libonnxruntime.so")
    if not os.path.isfile(engine):
        raise Failure(f"{engine} is missing; run scripts/fetch onnxruntime")
    doc = "share/doc/hippocamp"
    documents = [
        File(f"{doc}/LICENSE", read(os.path.join(ROOT, "LICENSE"))),
        File(f"{doc}/LICENSES-OF-CRATES.txt", notices),
        File(f"{doc}/onnxruntime/LICENSE", read(os.path.join(CACHE, "onnxruntime", "LICENSE"))),
        File(f"{doc}/onnxruntime/ThirdPartyNotices.txt", read(os.path.join(CACHE, "onnxruntime", "ThirdPartyNotices.txt"))),
        File(f"{doc}/README.md", read(os.path.join(ROOT, "scripts", "packaging", "README.md"))),
    ]
    return Product(
        version=version[1],
        commit=commit[1] if commit else "unknown",
        time=commit_time(packaged_commit(said)),
        glibc=max(glibc_floor(binary), glibc_floor(engine)),
        interpreter=interpreter(binary),
        binary=File("bin/hippocamp", read(binary), executable=True),
        engine=File("lib/hippocamp/libonnxruntime.so", read(engine)),
        documents=(*documents, *shell_files(binary)),
        sbom=File(f"{doc}/hippocamp.cdx.json", sbom),
    )


def fail(failure):
    sys.exit(f"package: {failure}")
