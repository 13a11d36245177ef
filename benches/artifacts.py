"""`scripts/bench artifacts`: each package as it is installed: size, time to ready, memory; the real tritonserver in the same run."""

import contextlib
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

from . import ROOT

sys.path.append(os.path.join(ROOT, "tests", "packages"))

from clean import Installed, copy_models, in_root  # noqa: E402

PYTHON = os.path.join(ROOT, ".cache", "triton-backends")
TRITON = "nvidia-pytriton==0.7.0"


def megabytes(path):
    """What a file or folder takes, each file once, in MB."""
    if os.path.isfile(path):
        return os.path.getsize(path) / 1e6
    sizes = {}
    for folder, _, names in os.walk(path):
        for name in names:
            found = os.lstat(os.path.join(folder, name))
            sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values()) / 1e6


# ---------------------------------------------------------------------------- installing


def wheel(path, folder):
    """By pip, with ONNX Runtime and what that depends on."""
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--root-user-action=ignore", "--target", folder, path], check=True)
    return [os.path.join(folder, "bin", "hippocamp")], ()


def deb(path, folder):
    subprocess.run(["dpkg-deb", "--extract", path, folder], check=True)
    return [os.path.join(folder, "usr", "bin", "hippocamp")], ()


def tarball(path, folder):
    with tarfile.open(path) as tar:
        tar.extractall(folder)
    return glob.glob(os.path.join(folder, "*", "bin", "hippocamp")), ()


def image(path, folder):
    """Its layers, one on the other, as a root of its own, which is read-only."""
    with tarfile.open(path) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        for layer in manifest[0]["Layers"]:
            with tarfile.open(fileobj=tar.extractfile(layer), mode="r:gz") as inner:
                inner.extractall(folder)
    for name in ("proc", "models", "python"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    return ["/usr/bin/hippocamp"], folder


KINDS = [("wheel", "*.whl", wheel), (".deb", "*.deb", deb), ("tarball", "*.tar.gz", tarball), ("image", "*-oci.tar", image), ("image for CUDA", "*-oci-cuda.tar", image)]


# ----------------------------------------------------------------------------- measuring


def children(pid):
    """The processes of models, and theirs."""
    found = []
    for task in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(task, encoding="ascii") as f:
            for child in map(int, f.read().split()):
                found += [child, *children(child)]
    return found


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) / 1024


def start(server):
    """(ms to ready, MiB of the server, MiB of its children)"""
    begun = time.perf_counter()
    server.launch()
    try:
        while server.get("/v2/health/ready")[0] != 200:
            if not server.alive() or time.perf_counter() - begun > 60:
                sys.exit(f"bench: the server does not get ready:\n{server.log()}")
            time.sleep(0.001)
        ready = (time.perf_counter() - begun) * 1000
        time.sleep(0.5)  # what is freed or given back after the start is gone by now
        return ready, resident(server.pid), sum(map(resident, children(server.pid)))
    finally:
        server.stop()
        server.log_file.close()


def ours(command, root, repository):
    if root:
        within = in_root(root, (repository, "/models"), read_only=True, user=65532)
        return Installed(*command, "/models", within=within)
    return Installed(*command, repository, flags=[f"--backend-directory={PYTHON}"])


def triton(repository):
    from .compare.servers import TritonProcess

    return TritonProcess(repository, PYTHON)


def repositories(folder):
    """(name, folder of models), each readable by whoever serves it."""
    os.chmod(folder, 0o755)
    for name in ("no models", "a Python model", "detection"):
        os.makedirs(os.path.join(folder, name.replace(" ", "-")))
    shutil.copytree(os.path.join(ROOT, "tests", "python", "models", "plain"), os.path.join(folder, "a-Python-model", "plain"))
    copy_models(os.path.join(folder, "detection"))
    return {name: os.path.join(folder, name.replace(" ", "-")) for name in ("no models", "a Python model", "detection")}


def artifacts(packages, runs, ours_only):
    found = [(name, paths[-1], install) for name, pattern, install in KINDS if (paths := sorted(glob.glob(os.path.join(packages, pattern))))]
    if not found:
        sys.exit(f"bench: no package is in {packages}: scripts/package")
    form = "{:16} {:>11} {:>13}  {:16} {:>9} {:>12} {:>12}"
    print(f"medians of {runs} starts, files in the page cache\n")
    print(form.format("", "compressed", "installed", "", "ready", "server", "its stubs"))
    print(form.format("package", "MB", "MB", "repository", "ms", "MiB", "MiB"))
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        os.chmod(work, 0o755)
        models = repositories(stack.enter_context(tempfile.TemporaryDirectory(prefix="models-", dir=work)))
        servers = []
        for number, (name, path, install) in enumerate(found):
            target = os.path.join(work, str(number))
            os.makedirs(target)
            if install is image and os.geteuid() != 0:
                print(f"{name}: sizes only; who runs this is not root, and cannot make it a root of its own")
            command, root = install(path, target)
            sizes = (f"{megabytes(path):.1f}", f"{megabytes(target):.1f}")
            runnable = not root or os.geteuid() == 0
            # An image has no Python in it.
            served = [one for one in models if not root or one != "a Python model"] if runnable else []
            servers.append((name, sizes, served, lambda repository, command=command, root=root: ours(command, root, repository)))
        if not ours_only:
            subprocess.run([os.path.join(ROOT, "scripts", "fetch"), "triton", "python-backend"], check=True)
            wheels = os.path.join(work, "wheels")
            options = ["--only-binary=:all:", "--platform", "manylinux_2_35_x86_64", "--python-version", "3.12"]
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options, "--dest", wheels, TRITON], check=True)
            sizes = f"{megabytes(wheels):.1f}", f"{megabytes(os.path.join(ROOT, '.cache', 'triton')):.1f}"
            servers.append(("tritonserver", sizes, ["no models", "a Python model"], triton))
        for name, sizes, served, make in servers:
            for repository in served or [""]:
                told = ["", "", ""]
                if repository:
                    start(make(models[repository]))
                    columns = zip(*(start(make(models[repository])) for _ in range(runs)), strict=True)
                    told = [f"{statistics.median(column):.{digits}f}" for column, digits in zip(columns, (0, 1, 1), strict=True)]
                print(form.format(name, *sizes, repository, *told), flush=True)
                name, sizes = "", ("", "")
    return 0
