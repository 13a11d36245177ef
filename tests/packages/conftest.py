"""Makes the packages of the built server once, and brings the roots that they are installed in."""

import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from clean import ROOT, copy_models  # noqa: E402
from server_process import BINARY  # noqa: E402


def need(*tools):
    """Fails, rather than skips, where a tool is missing: who wants these tests installs it (.ci/run does)."""
    if not {"chroot", "unshare"}.isdisjoint(tools):
        assert os.geteuid() == 0, "roots of packages are made by mmdebstrap, chroot and mount: root runs these tests"
    missing = [tool for tool in tools if shutil.which(tool) is None]
    assert not missing, f"missing: {' '.join(missing)}; on Debian and Ubuntu apt-get install brings them"


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """The folder with all packages of the release binary, made by the command that people use."""
    folder = tmp_path_factory.mktemp("packages")
    command = [os.path.join(ROOT, "scripts", "package"), "all", "--binary", BINARY, "--output", str(folder)]
    subprocess.run(command, check=True, timeout=300)
    return folder


@pytest.fixture(scope="session")
def package(packages):
    """Finds the one package whose name ends so."""

    def find(ending):
        (found,) = [path for path in packages.iterdir() if path.name.endswith(ending)]
        return found

    return find


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    # Whoever serves may read it, the user of the image as well.
    for path in [folder, *folder.parents]:
        if path.owner() == "root" and path.name.startswith(("pytest-", "repository")):
            path.chmod(0o755)
    copy_models(str(folder))
    return folder


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    """Makes a fresh root of a Debian release with some packages and nothing else."""
    need("mmdebstrap", "chroot", "unshare")

    def make(release, *packages, variant):
        root = tmp_path_factory.mktemp(f"{release}-{variant}") / "root"
        command = ["mmdebstrap", "--quiet", f"--variant={variant}", f"--include={','.join(packages)}", release, str(root)]
        got = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert got.returncode == 0, got.stderr
        (root / "proc").mkdir(exist_ok=True)
        (root / "models").mkdir(exist_ok=True)
        roots.append(root)
        return root

    roots = []
    yield make
    for root in roots:
        shutil.rmtree(root)
