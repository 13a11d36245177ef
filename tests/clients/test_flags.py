"""Flags whose effect shows only from outside."""

import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import server_process
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


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The server in a folder of its own, with nothing around it that leads to an engine."""
    place = tmp_path / "elsewhere" / "bin"
    place.mkdir(parents=True)
    binary = shutil.copy2(server_process.BINARY, place)
    monkeypatch.setattr(server_process, "BINARY", binary)
    for variable in ("HIPPOCAMP_ONNXRUNTIME_LIBRARY", "VIRTUAL_ENV", "CONDA_PREFIX", "XDG_DATA_DIRS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", str(place))
    monkeypatch.chdir("/")
    return place


def test_the_engine_is_found_from_any_folder(folder, elsewhere, client_of):
    (elsewhere / "lib").mkdir()
    os.symlink(server_process.LIBRARY, elsewhere / "lib" / "libonnxruntime.so")
    with ServerProcess(folder, library=None) as server:
        assert infer(client_of("http", server)) == (A + A).tolist()


def test_an_engine_that_is_nowhere_says_where_it_was_looked_for(folder, elsewhere, tmp_path):
    server = ServerProcess(folder, library=None).launch()
    assert server.process.wait(timeout=20) == 1
    assert "ONNX Runtime was not found" in server.log()
    for place in (elsewhere / "lib", tmp_path / "data" / "hippocamp"):
        assert str(place / "libonnxruntime.so") in server.log()


def test_the_first_word_of_a_containers_command_line_is_passed_over(folder):
    command = ServerProcess(folder).command()
    command = [command[0], "tritonserver", *command[1:], "--http-max-input-size=0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "Error: --http-max-input-size must be greater than 0." in done.stderr


def test_a_log_file_that_cannot_be_opened_is_told(folder, tmp_path):
    log = tmp_path / "no such folder" / "server.log"
    server = ServerProcess(folder, flags=[f"--log-file={log}"]).launch()
    assert server.process.wait(timeout=20) == 1
    assert f"failed to open log file '{log}'" in server.log()


IDENTITY_CONFIG = """
backend: "identity" max_batch_size: 8
input { name: "INPUT0" data_type: TYPE_FP32 dims: 1 }
output { name: "OUTPUT0" data_type: TYPE_FP32 dims: 1 }
"""


def test_the_hook_that_collects_requests_before_the_scheduler_starts(tmp_path, client_of, monkeypatch):
    write_model(tmp_path, "batched", IDENTITY_CONFIG + "dynamic_batching { }", None)
    monkeypatch.setenv("TRITONSERVER_DELAY_SCHEDULER", "3")
    with ServerProcess(tmp_path) as server:
        client = client_of("http", server)
        inputs = [client.input("INPUT0", np.ones((1, 1), np.float32), "FP32")]
        with ThreadPoolExecutor(3) as pool:
            # Each makes its own: a blocking HTTP client belongs to one thread.
            replies = [
                pool.submit(lambda: client_of("http", server).infer("batched", inputs)) for _ in range(3)
            ]
            assert [reply.result().as_numpy("OUTPUT0").tolist() for reply in replies] == [[[1.0]]] * 3
        stats = client.get_inference_statistics("batched")["model_stats"][0]
        assert (stats["inference_count"], stats["execution_count"]) == (3, 1)


@pytest.mark.parametrize("hook", ["GRPC_PROCESS", "RESPONSE_COMPLETION"])
def test_the_hooks_that_hold_grpc_calls(tmp_path, client_of, monkeypatch, hook):
    write_model(tmp_path, "alone", IDENTITY_CONFIG, None)
    monkeypatch.setenv(f"TRITONSERVER_DELAY_{hook}", "300")
    monkeypatch.setenv("TRITONSERVER_DELAY_GRPC_NOTIFICATION", "no number")
    # An hour, if it did anything.
    monkeypatch.setenv("TRITONSERVER_DELAY_GRPC_ENQUEUE", "3600000")
    with ServerProcess(tmp_path) as server:
        client = client_of("grpc", server)
        inputs = [client.input("INPUT0", np.ones((1, 1), np.float32), "FP32")]
        begin = time.monotonic()
        assert client.infer("alone", inputs, client_timeout=60).as_numpy("OUTPUT0").tolist() == [[1.0]]
        assert 0.3 <= time.monotonic() - begin
        log = server.log()
        assert f"TRITONSERVER_DELAY_{hook}=300: a hook for tests" in log
        assert "TRITONSERVER_DELAY_GRPC_ENQUEUE=3600000: a hook for tests that has nothing to delay here" in log
        assert "NOTIFICATION" not in log


LIMITED = """
instance_group { count: 1 kind: KIND_CPU rate_limiter { resources { name: "R" count: 4 } } }
"""


def test_resources_of_the_rate_limiter(tmp_path, client_of):
    write_model(tmp_path, "limited", IDENTITY_CONFIG + LIMITED, None)
    few = ["--rate-limit-resource=R:3", "--exit-on-error=false", "--strict-readiness=false"]
    with ServerProcess(tmp_path, flags=["--rate-limit=execution_count", *few]) as server:
        reason = client_of("http", server).get_model_repository_index()[0]["reason"]
        assert 'Resource count for "R" is limited to 3' in reason
    for flags in ([], ["--rate-limit=execution_count", "--rate-limit-resource=R:4"], few):
        with ServerProcess(tmp_path, flags=flags) as server:
            assert client_of("http", server).is_model_ready("limited")


def test_instances_run_on_the_cores_of_their_host_policy(tmp_path):
    core = min(os.sched_getaffinity(0))
    write_model(tmp_path, "bound", IDENTITY_CONFIG + 'instance_group { host_policy: "one" }', None)
    write_model(tmp_path, "free", IDENTITY_CONFIG, None)
    with ServerProcess(tmp_path, flags=[f"--host-policy=one,cpu-cores={core}"]) as server:
        cores = {}
        for thread in os.listdir(f"/proc/{server.pid}/task"):
            with open(f"/proc/{server.pid}/task/{thread}/comm", encoding="utf-8") as f:
                cores[f.read().strip()] = os.sched_getaffinity(int(thread))
    assert cores.pop("bound_0_0") == {core}
    # The other model has no thread of its own while nobody asks it.
    assert all(others == os.sched_getaffinity(0) for others in cores.values()), cores


def test_instances_on_gpus_run_on_the_cpu_if_that_is_allowed(folder, client_of):
    write_model(folder, "auto", 'instance_group [ { kind: KIND_GPU gpus: [ 0, 1 ] count: 3 } ]\n', add_sub())
    refused = ServerProcess(folder)
    with pytest.raises(RuntimeError, match="ended with status 1") as error:
        refused.start()
    log = str(error.value)
    assert "has kind KIND_GPU but server does not support GPUs" in log, log
    assert "(--cpu-fallback would run it on the CPU)" in log, log
    with ServerProcess(folder, flags=["--cpu-fallback"]) as server:
        client = client_of("http", server)
        assert infer(client) == (A + A).tolist()
        (group,) = client.get_model_config("auto")["instance_group"]
        assert (group["kind"], group["count"], group["gpus"]) == ("KIND_CPU", 3, [])
        assert "runs on the CPU, as its GPUs cannot be used" in server.log()
