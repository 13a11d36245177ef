"""Flags whose effect shows only from outside."""

import numpy as np
import pytest
from models import add_sub, write_model
from server_process import ServerProcess

A = np.ones((1, 16), np.int32)


@pytest.fixture
def folder(tmp_path):
    """A repository with `auto`, which has no config."""
    repository = tmp_path / "models"
    repository.mkdir()
    write_model(repository, "auto", None, add_sub())
    return repository


def infer(client):
    inputs = [client.input(name, A, "INT32") for name in ("INPUT0", "INPUT1")]
    return client.infer("auto", inputs).as_numpy("OUTPUT0").tolist()


@pytest.mark.parametrize("flag", ["default-max-batch-size=7", "onnxruntime,default-max-batch-size=7"])
def test_the_default_batch_size(folder, client_of, flag):
    with ServerProcess(folder, flags=[f"--backend-config={flag}"]) as server:
        assert client_of("http", server).get_model_config("auto")["max_batch_size"] == 7


def test_configs_are_taken_as_they_are_written(folder, client_of):
    write_model(folder, "auto", 'backend: "onnxruntime"\n', add_sub())
    flags = ["--disable-auto-complete-config", "--exit-on-error=false", "--strict-readiness=false"]
    with ServerProcess(folder, flags=flags) as server:
        index = client_of("http", server).get_model_repository_index()
        assert index[0]["state"] == "UNAVAILABLE", index
        assert "input" in index[0]["reason"], index


def test_two_servers_on_one_port(folder, client_of, eventually):
    flags = ["--reuse-http-port=true", "--reuse-grpc-port=true"]
    with ServerProcess(folder, flags=flags) as first:
        second = ServerProcess(folder, flags=flags)
        second.http_port, second.grpc_port = first.http_port, first.grpc_port
        with second:
            # The port's health may be told by the first.
            eventually(lambda: " ready " in second.log(), "the second server is ready")
            for kind in ("http", "grpc"):
                assert infer(client_of(kind, second)) == (A + A).tolist()


def test_a_port_that_is_taken_is_told(folder):
    with ServerProcess(folder) as first:
        second = ServerProcess(folder)
        second.http_port = first.http_port
        second.launch()
        assert second.process.wait(timeout=20) == 1
        assert "choose another port with --http-port" in second.log()


def test_the_log_goes_to_a_file(folder, tmp_path):
    log = tmp_path / "server.log"
    with ServerProcess(folder, flags=[f"--log-file={log}"]) as server:
        assert server.log() == ""
        assert "auto" in log.read_text()
