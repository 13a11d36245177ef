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
