"""NVIDIA's model_analyzer, which searches the settings of a model: it drives the server, and starts it in Triton's place."""

import json
import os
import urllib.request

import model_analyzer
import pytest
from models import add_sub, write_model
from server_process import BINARY, LIBRARY, ServerProcess, free_ports

CONFIG = """backend: "onnxruntime"
max_batch_size: 2
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
"""
# Whatever the machine does meanwhile, one try of short windows is enough: no time is judged here.
FLAGS = ["perf_analyzer_flags:", "  measurement-mode: time_windows", "  measurement-interval: 300", "  stability-percentage: 999"]
SMALL = ["--run-config-search-max-instance-count=2", "--run-config-search-max-model-batch-size=2", "--run-config-search-max-concurrency=2"]


@pytest.fixture
def repository(tmp_path):
    folder = str(tmp_path / "models")
    write_model(folder, "simple", CONFIG, add_sub())
    write_model(folder, "bare", None, add_sub())
    return folder


def settings(row):
    return row["Instance Group"], row["Max Batch Size"]


def test_it_searches_on_a_running_server(repository, tmp_path):
    with ServerProcess(repository, flags=["--model-control-mode=explicit"]) as server:
        ports = server.http_port, server.grpc_port, server.metrics_port
        options = ["--triton-launch-mode=remote", "--run-config-search-mode=quick", "--concurrency-sweep-disable", *SMALL]
        rows, log = model_analyzer.profile("simple", repository, str(tmp_path), ports, options, FLAGS)
        assert {("1:CPU", "2"), ("1:CPU", "1"), ("2:CPU", "1")} <= {settings(row) for row in rows}, log
        assert all(float(row["Throughput (infer/sec)"]) > 0 and float(row["p99 Latency (ms)"]) > 0 for row in rows)
        # The last variant is what the server has, dynamic batching included.
        with urllib.request.urlopen(f"http://{server.http}/v2/models/simple/config", timeout=10) as reply:
            got = json.load(reply)
    assert got["instance_group"][0]["kind"] == "KIND_CPU" and "dynamic_batching" in got
    assert "load failed" not in log


@pytest.mark.parametrize("model", ["simple", "bare"])
def test_it_starts_the_server_in_place_of_triton(repository, tmp_path, model):
    """`bare` has no config: the one that the server completes is where the search begins."""
    options = ["--triton-launch-mode=local", f"--triton-server-path={BINARY}", f"--triton-output-path={tmp_path / 'server.log'}"]
    options += ["--run-config-search-disable", "--concurrency=1,2"]
    os.environ["HIPPOCAMP_ONNXRUNTIME_LIBRARY"] = LIBRARY
    try:
        rows, log = model_analyzer.profile(model, repository, str(tmp_path), free_ports(3), options, FLAGS)
    finally:
        del os.environ["HIPPOCAMP_ONNXRUNTIME_LIBRARY"]
    assert {row["Concurrency"] for row in rows} == {"1", "2"}, log
    assert {row["Model Config Path"] for row in rows} == {f"{model}_config_default"}
    assert all(float(row["Throughput (infer/sec)"]) > 0 for row in rows)
