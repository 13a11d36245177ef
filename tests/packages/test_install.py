"""Each package is installed where nothing of this clone is, and its server finds a face in a picture."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import venv

import pytest
from clean import PICTURE, ROOT, Installed, assert_the_face_is_found, in_root, unpack
from conftest import need
from server_process import BINARY


def said(command, **options):
    got = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert got.returncode == 0, f"{command}\n{got.stdout}\n{got.stderr}"
    return got.stdout


@pytest.fixture(scope="module")
def release():
    """The release of this machine: what was built here asks for its C library."""
    return said(["sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME"]).strip()


@pytest.fixture(scope="module")
def oldest(package, release):
    """The oldest release of Debian that mirrors have, where the binary's C library lets it run there: Debian 11 has 2.31."""
    floor = tuple(map(int, re.search(r"-manylinux_(\d+)_(\d+)_", package(".whl").name).groups()))
    return "bullseye" if floor <= (2, 31) else release


def test_the_version_says_commit_and_features():
    text = said([BINARY, "--version"])
    assert re.match(r"hippocamp \d+\.\d+\.\d+\ncommit: \S.*\ntarget: \S+\nprofile: (release|dist)\nfeatures: onnxruntime ", text), text
    assert said([BINARY, "-V"]) == text.splitlines()[0] + "\n"


def test_pip_install_and_run(package, models, tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    said([*pip, "install", "--no-cache-dir", "--quiet", str(package(".whl"))], timeout=300)
    said([*pip, "check"])
    binary = str(environment / "bin" / "hippocamp")
    assert said([binary, "--version"]) == said([BINARY, "--version"])
    assert (environment / "share" / "man" / "man1" / "hippocamp-check.1").is_file()
    # The environment is not active, and PATH does not name it.
    with Installed(binary, models) as server:
        assert_the_face_is_found(server)
        maps = open(f"/proc/{server.pid}/maps", encoding="utf-8").read()
        assert f"{environment}/lib/python3" in maps and "libonnxruntime.so" in maps
        # The examples run where nothing was built, by what is installed.
        examples = tmp_path / "clone" / "examples"
        examples.mkdir(parents=True)
        shutil.copy(os.path.join(ROOT, "examples", "detection.sh"), examples)
        path = f"{environment}/bin:/usr/bin:/bin"
        drawn = said(["sh", "examples/detection.sh", PICTURE, server.http], cwd=tmp_path / "clone", env={"PATH": path})
        assert "1 found" in drawn and (tmp_path / "clone" / "faces.png").is_file()
        assert server.stop() == 0
    said([*pip, "uninstall", "--yes", "--quiet", "hippocamp"])
    assert not os.path.exists(binary)


def test_examples_need_nothing_but_python():
    """Whoever has a wheel and Python has no curl and no compiler."""
    for path in pathlib.Path(ROOT, "examples").glob("*/run"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if re.search(r"\bcurl\b", line)], path
        assert "command -v hippocamp" in "".join(lines) or "server=hippocamp" in "".join(lines), path


def test_pip_install_into_a_folder(package, models, tmp_path):
    """--target has neither an environment nor `lib`."""
    folder = tmp_path / "folder"
    said([sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--target", str(folder), str(package(".whl"))], timeout=300)
    with Installed(str(folder / "bin" / "hippocamp"), models) as server:
        assert_the_face_is_found(server)


def test_the_deb_is_installed_by_apt(package, models, debian, release):
    root = debian(release, "apt", variant="apt")
    deb = package(".deb")
    apt = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", f"/packages/{deb.name}"]
    (root / "packages").mkdir()
    said([*in_root(root, (deb.parent, "/packages")), *apt], timeout=300, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    status = said(["chroot", str(root), "dpkg-query", "--show", "--showformat=${Status} ${Version}", "hippocamp"])
    assert status.startswith("install ok installed ")
    # It prints what it misses or finds changed, and exits with 0.
    assert said(["chroot", str(root), "dpkg", "--verify", "hippocamp"]) == ""
    enabled = root / "etc/systemd/system/multi-user.target.wants/hippocamp.service"
    enabled.parent.mkdir(parents=True)
    enabled.symlink_to("/usr/lib/systemd/system/hippocamp.service")
    # As somebody without rights, as the service does.
    with Installed("/usr/bin/hippocamp", "/models", within=in_root(root, (models, "/models"), user=65534)) as server:
        assert_the_face_is_found(server)
    assert (root / "usr/lib/systemd/system/hippocamp.service").is_file()
    said(["chroot", str(root), "dpkg", "--purge", "hippocamp"])
    assert not enabled.is_symlink()
    assert not (root / "usr/bin/hippocamp").exists() and not (root / "etc/default/hippocamp").exists()


def test_the_tarball_runs_where_it_is_unpacked(package, models, debian, oldest):
    """In a root that has the libraries that the README of the packages names, and not even a package manager."""
    root = debian(oldest, "libc6", "libstdc++6", variant="extract")
    unpack(package(".tar.gz"), root / "opt")
    (folder,) = (root / "opt").iterdir()
    binary = f"/opt/{folder.name}/bin/hippocamp"
    with Installed(binary, "/models", within=in_root(root, (models, "/models"), read_only=True, user=65534)) as server:
        assert_the_face_is_found(server)


def test_the_image_runs_rootless_on_a_read_only_root(package, models, tmp_path):
    need("umoci", "skopeo", "unshare")
    image = package("-oci.tar")
    assert image.stat().st_size <= 70_000_000
    layout = tmp_path / "layout"
    layout.mkdir()
    unpack(image, layout)
    (tag,) = said(["umoci", "list", "--layout", str(layout)]).split()
    bundle = tmp_path / "bundle"
    said(["umoci", "unpack", "--image", f"{layout}:{tag}", str(bundle)])
    process = json.loads((bundle / "config.json").read_text(encoding="utf-8"))["process"]
    assert (process["user"]["uid"], process["user"]["gid"]) == (65532, 65532)
    assert process["args"] == ["/usr/bin/hippocamp", "--model-repository=/models"]
    root = bundle / "rootfs"
    (root / "proc").mkdir(exist_ok=True)
    # No shell, no package manager.
    assert sorted(path.name for folder in ("bin", "usr/bin") for path in (root / folder).glob("*")) == ["hippocamp"]
    within = in_root(root, (models, "/models"), read_only=True, user=65532)
    with Installed(process["args"][0], "/models", within=within) as server:
        assert_the_face_is_found(server)
        owner = os.stat(f"/proc/{server.pid}").st_uid
        assert owner == 65532
        assert server.stop() == 0


def test_the_image_is_read_by_other_tools(package, tmp_path):
    need("skopeo")
    image, policy = package("-oci.tar"), ["skopeo", "--insecure-policy"]
    about = said([*policy, "inspect", "--config", f"oci-archive:{image}"])
    assert '"User":"65532:65532"' in about.replace(" ", "").replace("\n", "")
    # What `docker load` and `docker save` read and write, checked layer by layer.
    said([*policy, "copy", f"oci-archive:{image}", f"docker-archive:{tmp_path / 'docker.tar'}:hippocamp:test"])
    said([*policy, "inspect", f"docker-archive:{image}"])


def test_checksums_are_those_of_the_files(packages):
    said(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=packages)
    listed = {line.split()[1] for line in (packages / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in packages.iterdir()} - {"SHA256SUMS"}
    assert len(listed) == 5


def test_the_same_input_gives_the_same_packages(packages, tmp_path):
    command = [os.path.join(ROOT, "scripts", "package"), "wheel", "tarball", "--binary", BINARY, "--output", str(tmp_path)]
    subprocess.run(command, check=True)
    for path in tmp_path.iterdir():
        if path.name != "SHA256SUMS":
            first = hashlib.sha256((packages / path.name).read_bytes()).hexdigest()
            assert hashlib.sha256(path.read_bytes()).hexdigest() == first, path.name
