"""`hippocamp tune`: settings are tried on a real model, and the config is edited or left alone."""

import os
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from models import add_sub, write_model
from server_process import BINARY, LIBRARY

CONFIG = """# The sum, and the difference.
backend: "onnxruntime"
max_batch_size: 2  # to begin with
"""
ENSEMBLE = """
platform: "ensemble"
input [ { name: "A" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [ { name: "B" data_type: TYPE_INT32 dims: [ 16 ] } ]
ensemble_scheduling { step [ { model_name: "simple" model_version: -1
  input_map { key: "INPUT0" value: "A" } input_map { key: "INPUT1" value: "A" } output_map { key: "OUTPUT0" value: "B" } } ] }
"""
QUICK = ["--seconds=0.03", "--concurrency=4", "--max-batch=4", "--max-instances=2"]


@pytest.fixture
def repository_of_one(tmp_path):
    folder = str(tmp_path / "models")
    write_model(folder, "simple", CONFIG, add_sub())
    return folder


def tune(folder, *flags, model="simple"):
    command = [BINARY, "tune", model, f"--model-repository={folder}", *flags]
    variables = dict(os.environ, HIPPOCAMP_ONNXRUNTIME_LIBRARY=LIBRARY)
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)


def config(folder):
    with open(os.path.join(folder, "simple", "config.pbtxt"), encoding="utf-8") as f:
        return f.read()


def test_a_dry_run_tries_and_writes_nothing(repository_of_one, tmp_path):
    svg = tmp_path / "tuned.svg"
    got = tune(repository_of_one, *QUICK, "--dry-run", f"--svg={svg}")
    assert got.returncode == 0, got.stderr
    assert config(repository_of_one) == CONFIG
    for settings in ("as it is", "instances 2", "threads 1", "batch 4", "delay 200 us"):
        assert settings in got.stdout, got.stdout
    lines = ElementTree.parse(svg).getroot().iter("{http://www.w3.org/2000/svg}polyline")
    assert len(list(lines)) == got.stdout.count("\n  ") + got.stdout.count("\n* ") - 1


def test_what_is_written_loads_and_keeps_the_rest(repository_of_one):
    got = tune(repository_of_one, *QUICK)
    assert got.returncode == 0, got.stderr
    text = config(repository_of_one)
    assert text.startswith("# The sum, and the difference.\n") and "# to begin with" in text
    assert ("Written to" in got.stdout) == (text != CONFIG), got.stdout
    variables = dict(os.environ, HIPPOCAMP_ONNXRUNTIME_LIBRARY=LIBRARY)
    check = subprocess.run([BINARY, "check", repository_of_one], env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert check.returncode == 0, check.stdout


def test_what_cannot_be_tuned_is_told(repository_of_one):
    write_model(repository_of_one, "both", ENSEMBLE)
    got = tune(repository_of_one, *QUICK, model="both")
    assert got.returncode == 1 and "'both' is an ensemble: tune the models of its steps" in got.stderr
    write_model(repository_of_one, "bare", None, add_sub())
    got = tune(repository_of_one, *QUICK, model="bare")
    assert got.returncode == 1 and "'bare' has no config.pbtxt that could be edited" in got.stderr
    got = tune(repository_of_one, *QUICK, model="absent")
    assert got.returncode == 1 and "absent" in got.stderr
