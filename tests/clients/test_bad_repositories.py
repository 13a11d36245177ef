"""Models that cannot be served: each says why, and the others are served all the same."""

import json
import os
import subprocess

import numpy as np
import pytest
from models import ADD_SUB_CONFIG, add_sub, onnx_identity, write_model
from onnx import TensorProto
from server_process import BINARY, ServerProcess

A = np.ones((1, 16), np.int32)


@pytest.fixture
def folder(tmp_path):
    """A repository with one good model, `good`."""
    repository = tmp_path / "models"
    repository.mkdir()
    write_model(repository, "good", ADD_SUB_CONFIG, add_sub())
    return repository


@pytest.fixture
def serve(folder, client_of):
    """serve(*flags): a server on the folder that goes on with what it could load; a client of it."""
    servers = []

    def start(*flags):
        wanted = ["--exit-on-error=false", "--strict-readiness=false", *flags]
        server = ServerProcess(folder, flags=wanted).start()
        servers.append(server)
        client = client_of("http", server)
        inputs = [client.input(name, A, "INT32") for name in ("INPUT0", "INPUT1")]
        assert client.infer("good", inputs).as_numpy("OUTPUT0").tolist() == (A + A).tolist()
        return server, client

    yield start
    for server in servers:
        assert server.stop() == 0


def reason(client, model):
    """The reason that the index gives for a model not being there, whatever its version."""
    index = client.get_model_repository_index()
    return " ".join(entry.get("reason", "") for entry in index if entry["name"] == model)


def test_a_config_that_does_not_parse_names_file_line_and_column(folder, serve):
    config = 'backend: "onnxruntime"\nmax_batch_size: 8\ninput [\n  { nonsense: 3 }\n]\n'
    write_model(folder, "bad", config, add_sub())
    server, client = serve()
    assert not client.is_model_ready("bad")
    told = server.log() + reason(client, "bad")
    assert "bad/config.pbtxt" in told
    assert "4:5" in told
    assert "nonsense" in told


def test_all_faults_of_a_config_are_told_at_once(folder, serve):
    config = 'backend: "onnxruntime"\nfirst_fault: 1\nmax_batch_size: "many"\nsecond_fault { }\n'
    write_model(folder, "bad", config, add_sub())
    server, client = serve()
    told = server.log() + reason(client, "bad")
    for fault in ("first_fault", 'Expected integer, got: "many"', "second_fault"):
        assert fault in told
    for place in ("2:1", "3:17", "4:1"):
        assert place in told


@pytest.mark.parametrize(
    "name, config, content, words",
    [
        ("truncated", ADD_SUB_CONFIG, add_sub()[:100], ["truncated"]),
        ("empty", ADD_SUB_CONFIG, b"", ["empty"]),
        ("garbage", None, b"\x00garbage" * 100, ["garbage"]),
        ("types", ADD_SUB_CONFIG.replace("INT32", "FP32"), add_sub(), ["TYPE_FP32", "TYPE_INT32"]),
        ("dims", ADD_SUB_CONFIG.replace("[ 16 ]", "[ 15 ]"), add_sub(), ["15", "16"]),
        ("names", ADD_SUB_CONFIG.replace("INPUT1", "OTHER"), add_sub(), ["OTHER"]),
        ("missing", ADD_SUB_CONFIG, None, ["model.onnx"]),
        ("stranger", 'backend: "nobody_knows"', None, ["nobody_knows"]),
        ("renamed", 'name: "somebody_else"\n' + ADD_SUB_CONFIG, add_sub(), ["somebody_else"]),
    ],
)
def test_a_model_that_does_not_load_says_why(folder, serve, name, config, content, words):
    write_model(folder, name, config, content)
    server, client = serve()
    assert not client.is_model_ready(name)
    told = server.log() + reason(client, name)
    for word in [name, *words]:
        assert word in told


@pytest.mark.parametrize("version", ["0", "-1", "01", "one", "1.5", "99999999999999999999", " 1"])
def test_odd_version_folders_are_left_alone(folder, serve, version):
    write_model(folder, "versions", ADD_SUB_CONFIG, add_sub(), version="2")
    write_model(folder, "versions", ADD_SUB_CONFIG, add_sub(), version=version)
    _, client = serve()
    assert client.get_model_metadata("versions")["versions"] == ["2"]


def test_odd_names_of_models(folder, serve):
    names = ["two words", "Größe", "dot.dot", "plus+sign"]
    for name in names:
        write_model(folder, name, ADD_SUB_CONFIG, add_sub())
    _, client = serve()
    for name in names:
        inputs = [client.input(tensor, A, "INT32") for tensor in ("INPUT0", "INPUT1")]
        reply = client.infer(name, inputs)
        assert reply.as_numpy("OUTPUT0").tolist() == (A + A).tolist()


def test_what_is_no_model_is_left_alone(folder, serve):
    (folder / "README.md").write_text("not a model")
    (folder / ".hidden").mkdir()
    (folder / "dangling").symlink_to(folder / "nowhere")
    _, client = serve()
    names = {entry["name"] for entry in client.get_model_repository_index()}
    assert "README.md" not in names


def test_a_folder_without_anything_in_it(folder, serve):
    (folder / "hollow").mkdir()
    server, client = serve()
    assert not client.is_model_ready("hollow")


def test_no_config_at_all(folder, serve):
    write_model(folder, "found_out", onnx_file=onnx_identity(TensorProto.FLOAT))
    _, client = serve()
    assert client.is_model_ready("found_out")


def test_exit_on_error_is_the_default(folder):
    write_model(folder, "bad", "nonsense: 1\n", add_sub())
    with pytest.raises(RuntimeError, match="ended with status") as error:
        ServerProcess(folder).start()
    assert "bad" in str(error.value)


def test_strict_readiness_waits_for_all_models(folder, client_of, eventually):
    write_model(folder, "bad", "nonsense: 1\n", add_sub())
    server = ServerProcess(folder, flags=["--exit-on-error=false"], ready=False)
    with server:
        client = client_of("http", server)
        assert client.is_server_live()
        eventually(lambda: client.is_model_ready("good"), "the good model is served")
        assert not client.is_server_ready()


def test_a_repository_that_is_not_there():
    with pytest.raises(RuntimeError, match="ended with status") as error:
        ServerProcess("/nowhere/at/all").start()
    assert "/nowhere/at/all" in str(error.value)


def test_two_repositories(folder, tmp_path, client_of):
    other = tmp_path / "more"
    write_model(other, "better", ADD_SUB_CONFIG, add_sub())
    with ServerProcess(folder, other) as server:
        client = client_of("grpc", server)
        assert client.is_model_ready("good")
        assert client.is_model_ready("better")


def test_another_config_by_name(folder, client_of):
    write_model(folder, "tuned", ADD_SUB_CONFIG, add_sub())
    configs = folder / "tuned" / "configs"
    configs.mkdir()
    (configs / "small.pbtxt").write_text(ADD_SUB_CONFIG.replace("batch_size: 8", "batch_size: 2"))
    with ServerProcess(folder, flags=["--model-config-name=small"]) as server:
        client = client_of("http", server)
        assert client.get_model_config("tuned")["max_batch_size"] == 2
        assert client.get_model_config("good")["max_batch_size"] == 8


# --------------------------------------------------------------------------- the command line


def run(*flags):
    """A run of the server that is expected to end by itself."""
    return subprocess.run([BINARY, *flags], capture_output=True, text=True, timeout=30)


def test_help_and_version():
    assert "--model-repository" in run("--help").stdout
    assert run("--version").returncode == 0


def test_an_unknown_flag_is_named():
    done = run("--no-such-flag=1")
    assert done.returncode != 0
    assert "--no-such-flag" in done.stderr


def test_a_flag_that_is_not_there_yet_is_refused_by_name(folder):
    done = run(f"--model-repository={folder}", "--allow-sagemaker=true")
    assert done.returncode != 0
    assert "--allow-sagemaker" in done.stderr


def test_without_onnx_runtime_the_error_says_how_to_get_it(folder):
    library = str(folder / "no.so")
    with pytest.raises(RuntimeError) as error:
        ServerProcess(folder, library=library, timeout=20).start()
    assert library in str(error.value)
    assert "onnxruntime" in str(error.value)


def test_the_log_in_json(folder):
    with ServerProcess(folder, flags=["--log-format=json"]) as server:
        lines = [line for line in server.log().splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict)


def test_a_taken_port_is_named(folder):
    with ServerProcess(folder) as first:
        second = ServerProcess(folder)
        second.http_port = first.http_port
        second.launch()
        assert second.process.wait(timeout=20) != 0
        assert str(first.http_port) in second.log()


def test_the_binary_is_small():
    assert os.path.getsize(BINARY) < 40_000_000
