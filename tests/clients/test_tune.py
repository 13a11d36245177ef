"""`hippocamp tune`: settings are tried on a real model, and the config is edited or left alone."""

import os
import pty
import re
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from models import add_sub, sum_config, write_model
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
# Each execution takes its time, whatever the machine does, so that two instances are twice as good as one. The queue has room for
# two requests.
SLOW = """# Ours.
backend: "identity"
max_batch_size: 1
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 4 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 4 ] } ]
instance_group [ { name: "mine" count: 1 kind: KIND_CPU } ]  # one
dynamic_batching {
  max_queue_delay_microseconds: 100
  preserve_ordering: true
  default_queue_policy { max_queue_size: 2 }
}
parameters [ { key: "execute_delay_ms" value { string_value: "10" } } ]
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
    for settings in ("as it is", "instances 1", "threads 1", "batch 4", "delay 200 us"):
        assert settings in got.stdout, got.stdout
    lines = ElementTree.parse(svg).getroot().iter("{http://www.w3.org/2000/svg}polyline")
    assert len(list(lines)) == got.stdout.count("\n  ") + got.stdout.count("\n* ") - 1


@pytest.fixture
def repository_of_slow(tmp_path):
    folder = str(tmp_path / "models")
    write_model(folder, "simple", SLOW)
    return folder


def test_the_one_field_changes(repository_of_slow):
    path = os.path.join(repository_of_slow, "simple", "config.pbtxt")
    os.rename(path, path + ".real")
    os.symlink("config.pbtxt.real", path)
    got = tune(repository_of_slow, *QUICK, "--only=instances")
    assert got.returncode == 0, got.stderr
    assert config(repository_of_slow) == SLOW.replace("count: 1", "count: 2"), got.stdout
    assert f"Written to {path}: instances 2" in got.stdout and os.path.islink(path)


def test_a_goal_that_nothing_meets_is_told(repository_of_slow):
    got = tune(repository_of_slow, *QUICK, "--only=delay", "--latency=1", "--dry-run")
    assert got.returncode == 0, got.stderr
    assert re.search(r"No settings answer 99 % of requests in time: the shortest that was found is \d+\.\d\d ms", got.stdout), got.stdout
    assert config(repository_of_slow) == SLOW


def test_an_interrupt_leaves_the_config_alone(repository_of_slow):
    master, slave = pty.openpty()
    command = [BINARY, "tune", "simple", f"--model-repository={repository_of_slow}", "--seconds=30"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=slave, text=True) as process:
        os.close(slave)
        shown = b""
        while b"under way" not in shown:
            shown += os.read(master, 4096)
        process.send_signal(signal.SIGINT)
        while b"the config is as it was" not in shown:
            shown += os.read(master, 4096)
        assert process.wait(60) == 1
    os.close(master)
    assert config(repository_of_slow) == SLOW and os.listdir(os.path.join(repository_of_slow, "simple")) in (["config.pbtxt", "1"], ["1", "config.pbtxt"])


def test_a_model_that_fails_is_told(repository_of_slow):
    write_model(repository_of_slow, "simple", SLOW.replace('"identity"', '"fail"'))
    got = tune(repository_of_slow, *QUICK)
    assert got.returncode == 1 and "'simple' cannot be measured with any settings" in got.stderr, (got.stdout, got.stderr)
    write_model(repository_of_slow, "simple", SLOW.replace("max_batch_size: 1", "max_batch_size: -1"))
    got = tune(repository_of_slow, *QUICK)
    real = os.path.join(repository_of_slow, "simple", "config.pbtxt")
    assert got.returncode == 1 and f"{real}:3:" in got.stderr and got.stderr.count("max_batch_size") == 1, got.stderr


def test_settings_that_may_name_files_are_tuned(repository_of_one):
    more = 'parameters [ { key: "session.model_external_initializers_file_folder_path" value { string_value: "." } } ]\n'
    write_model(repository_of_one, "simple", CONFIG + more, add_sub())
    got = tune(repository_of_one, *QUICK, "--only=batch")
    assert got.returncode == 0 and "may name a file" not in got.stdout, (got.stdout, got.stderr)
    # Whatever was found better stands in front of it or behind it.
    assert more.strip() in config(repository_of_one)


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
    write_model(repository_of_one, "sums", sum_config("sequence", "direct { }"))
    got = tune(repository_of_one, *QUICK, model="sums")
    assert got.returncode == 1 and "'sums' takes sequences" in got.stderr
    got = tune(repository_of_one, *QUICK, model="absent")
    assert got.returncode == 1 and "absent" in got.stderr
