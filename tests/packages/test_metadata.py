"""What the packages say of themselves, read by the tools that others check packages with."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile

import pytest
from clean import ROOT

sys.path.append(os.path.join(ROOT, ".cache", "python", "package-tests"))

from cyclonedx.schema import SchemaVersion  # noqa: E402
from cyclonedx.validation.json import JsonStrictValidator  # noqa: E402


@pytest.fixture(scope="module")
def bill(package):
    return package(".cdx.json").read_text(encoding="utf-8")


def test_the_bill_of_materials_is_cyclonedx(bill):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None


def test_the_bill_of_materials_names_what_is_linked(bill):
    bill = json.loads(bill)
    components = {component["name"]: component for component in bill["components"]}
    # Every third-party crate that the server itself names is there, with the checksum of Cargo.lock and a licence.
    with open(os.path.join(ROOT, "crates", "server", "Cargo.toml"), "rb") as f:
        wanted = [name for name in tomllib.load(f)["dependencies"] if not name.startswith("hippocamp")]
    assert set(wanted) <= set(components)
    others = [one for name, one in components.items() if not name.startswith("hippocamp")]
    assert len(others) > 150
    for one in others:
        assert one["hashes"][0]["alg"] == "SHA-256" and one["licenses"], one
    # What only tests use is not in the binary.
    assert not {"criterion", "proptest", "rcgen"} & set(components)
    assert "onnxruntime" in components


def test_the_wheel_is_what_its_tag_says(package):
    wheel = package(".whl")
    environment = dict(os.environ, PYTHONPATH=os.path.join(ROOT, ".cache", "python", "package-tests"))
    command = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    got = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    tag = wheel.name.removesuffix(".whl").rpartition("-")[2]
    assert got.returncode == 0 and f'"{tag}"' in got.stdout.replace("\n", " "), got.stdout + got.stderr


def test_licences_come_along(package):
    with zipfile.ZipFile(package(".whl")) as wheel:
        (path,) = [name for name in wheel.namelist() if name.endswith("LICENSES-OF-CRATES.txt")]
        text = wheel.read(path).decode()
    assert "tokio 1." in text and "Permission is hereby granted" in text and "of which the crate has no text" in text


# In a process of its own: the scripts' package has the name of another one, which pytest imports.
COMMIT = """
import sys
sys.path.insert(0, "scripts")
from packaging import contents
contents.ROOT = sys.argv[1]
try:
    print(contents.packaged_commit(sys.argv[2]))
except contents.Failure as failure:
    sys.exit(str(failure))
"""


def test_a_binary_of_other_dependencies_gets_no_bill_of_materials(tmp_path):
    def git(*arguments):
        command = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def judged(commit):
        command = [sys.executable, "-c", COMMIT, str(tmp_path), f"hippocamp 0.1.0\ncommit: {commit}\n"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    git("init", "--quiet")
    (tmp_path / "Cargo.lock").write_text("one\n")
    (tmp_path / "other").write_text("one\n")
    git("add", ".")
    git("commit", "--quiet", "--message=one")
    commit = git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "other").write_text("two\n")
    git("commit", "--quiet", "--all", "--message=two")
    for same in (commit, f"{commit}-dirty"):
        assert judged(same).stdout.splitlines()[-1] == commit
    for unknown in ("0123456789ab", "not told to the build by HIPPOCAMP_COMMIT"):
        assert judged(unknown).stdout.splitlines()[-1] == "HEAD"
    (tmp_path / "Cargo.lock").write_text("two\n")
    got = judged(commit)
    assert got.returncode != 0 and commit in got.stderr and "Cargo.lock changed" in got.stderr
