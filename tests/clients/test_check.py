"""hippocamp check and hippocamp config: what they print, and the exit status."""

import json
import os
import subprocess

import numpy as np
import pytest
from models import ADD_SUB_CONFIG, add_sub, write_model
from server_process import BINARY, LIBRARY, ServerProcess

LIBRARY_FLAG = f"--backend-config=onnxruntime,library={LIBRARY}"


@pytest.fixture
def folder(tmp_path):
    """A repository with one good model."""
    repository = tmp_path / "models"
    repository.mkdir()
    write_model(repository, "good", ADD_SUB_CONFIG, add_sub())
    return repository


def run(*arguments, status=0, library=True):
    flags = [LIBRARY_FLAG] if library else []
    command = [BINARY, *(str(a) for a in arguments), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_good_repository_is_told_in_one_line(folder):
    assert run("check", folder) == "1 model, 0 errors, 0 warnings\n"
    # The server's own way to name it.
    assert run("check", f"--model-repository={folder}") == "1 model, 0 errors, 0 warnings\n"


def test_all_faults_of_all_models_come_with_place_and_fix(folder):
    write_model(folder, "typo", ADD_SUB_CONFIG.replace("max_batch_size", "max_batch"), add_sub())
    write_model(folder, "types", ADD_SUB_CONFIG.replace("TYPE_INT32 dims: [ 16 ] },", "TYPE_FP32 dims: [ 16 ] },", 1), add_sub())
    write_model(folder, "broken", ADD_SUB_CONFIG, b"not a model")
    text = run("check", folder, status=1)
    path = os.path.join(folder, "typo", "config.pbtxt")
    assert f"  --> {path}:3:" in text
    assert " 3 | max_batch: 8\n   | ^" in text or " 3 | max_batch: 8\n" in text
    assert "= fix: write 'max_batch_size'" in text
    assert "model provides TYPE_INT32" in text and "= fix: write data_type: TYPE_INT32" in text
    assert f"{os.path.join(folder, 'types', 'config.pbtxt')}:4:" in text
    assert "'broken'" in text
    assert text.endswith("4 models, 3 errors, 0 warnings\n"), text


def test_json_is_for_programs(folder):
    write_model(folder, "typo", ADD_SUB_CONFIG.replace("max_batch_size", "max_batch"), add_sub())
    report = json.loads(run("check", folder, "--format=json", status=1))
    assert report["errors"] == 1 and report["warnings"] == 0
    (finding,) = next(m for m in report["models"] if m["name"] == "typo")["findings"]
    assert finding["severity"] == "error" and finding["line"] == 3 and finding["column"] == 1
    assert finding["fix"] == "write 'max_batch_size'"
    assert json.loads(run("check", folder / "good", "--format=json", "--configs-only", status=1))


def test_without_onnx_runtime_configs_are_checked_all_the_same(folder):
    text = run("check", folder, "--backend-config=onnxruntime,library=/not/there.so", status=2, library=False)
    assert "1 model of backend 'onnxruntime' could not be checked" in text
    assert text.endswith("1 model, 1 error, 0 warnings\n")
    assert run("check", folder, "--configs-only", library=False) == "1 model, 0 errors, 0 warnings\n"


def test_what_cannot_be_checked_is_an_error(folder):
    assert "failed to read model repository '/not/there'" in run("check", "/not/there", status=1)
    run("check", status=2)
    run("check", "s3://", status=2)


def test_help_teaches(folder):
    assert "hippocamp check REPOSITORY" in run("--help", library=False)
    assert "Exit status" in run("check", "--help", library=False)
    assert "config.pbtxt" in run("config", "--help", library=False)


def test_a_config_is_written_from_a_model_file_and_served(tmp_path, folder, client_of):
    model = tmp_path / "net.onnx"
    model.write_bytes(add_sub())
    text = run("config", model, "--max-batch-size=16")
    assert text.startswith("# Made from net.onnx.\n")
    assert "max_batch_size: 16" in text and 'default_model_filename: "net.onnx"' in text
    made = folder / "made"
    (made / "1").mkdir(parents=True)
    (made / "1" / "net.onnx").write_bytes(add_sub())
    (made / "config.pbtxt").write_text(text)
    assert run("check", folder) == "2 models, 0 errors, 0 warnings\n"
    # Nothing has to be added to it.
    with ServerProcess(folder, flags=["--disable-auto-complete-config"]) as server:
        client = client_of("http", server)
        a = np.ones((3, 16), np.int32)
        inputs = [client.input(name, a, "INT32") for name in ("INPUT0", "INPUT1")]
        assert client.infer("made", inputs).as_numpy("OUTPUT0").tolist() == (a + a).tolist()
        client.close()


def test_config_says_what_is_wrong(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    run("config", bad, status=2)
    run("config", tmp_path / "none.onnx", status=2)
    run("config", tmp_path / "model.txt", status=2)
