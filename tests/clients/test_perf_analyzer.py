"""perf_analyzer from its PyPI wheels drives the server: every protocol and mode, 1 to 16 at once."""

import json
import platform

import perf_analyzer
import pytest

MODES = {
    "http": ["-i", "http", "--sync"],
    "http async": ["-i", "http", "--async"],
    "grpc": ["-i", "grpc", "--sync"],
    "grpc async": ["-i", "grpc", "--async"],
    "grpc stream": ["-i", "grpc", "--async", "--streaming"],
    "grpc compressed": ["-i", "grpc", "--sync", "--grpc-compression-algorithm", "gzip"],
}

pytestmark = [
    pytest.mark.skipif(
        platform.machine() != "x86_64", reason="perf_analyzer is there for x86_64 only"
    ),
    pytest.mark.parametrize("version", ["2.34.0", "2.40.0"]),
]


@pytest.fixture
def analyze(server, tmp_path, version):
    """analyze(model, mode, *options): [inferences per second] for each concurrency."""

    def run(model, mode, *options, concurrency="1:16:5"):
        address = server.http if mode.startswith("http") else server.grpc
        # Whether the numbers are steady is not what is asked here: any three short windows will do.
        windows = ["--concurrency-range", concurrency, "-p", "100", "-s", "1000"]
        options = [*MODES[mode], *windows, *options]
        rows = perf_analyzer.analyze(version, model, address, options, tmp_path)
        return {int(row["Concurrency"]): float(row["Inferences/Second"]) for row in rows}

    return run


def inferences(server, model):
    status, body = server.get(f"/v2/models/{model}/stats")
    assert status == 200
    return json.loads(body)["model_stats"][0]["inference_count"]


@pytest.mark.parametrize("mode", MODES)
def test_an_onnx_model(server, analyze, mode):
    before = inferences(server, "simple")
    rates = analyze("simple", mode)
    assert sorted(rates) == [1, 6, 11, 16]
    assert all(rate > 0 for rate in rates.values())
    assert inferences(server, "simple") > before


@pytest.mark.parametrize("mode", ["http", "http async", "grpc", "grpc stream"])
def test_an_ensemble(server, analyze, mode):
    before = [inferences(server, model) for model in ("ens", "simple")]
    rates = analyze("ens", mode, concurrency="1:5:4")
    assert all(rate > 0 for rate in rates.values())
    after = [inferences(server, model) for model in ("ens", "simple")]
    # Two steps, both of the same model.
    assert after[1] - before[1] >= 2 * (after[0] - before[0]) > 0


def test_dynamic_batching(server, analyze):
    before = inferences(server, "identity_batch")
    rates = analyze("identity_batch", "grpc async", "-b", "2", concurrency="16")
    assert rates[16] > 0
    assert inferences(server, "identity_batch") > before


@pytest.mark.parametrize("model", ["sum_by_slot", "sum_by_id"])
@pytest.mark.parametrize("mode", ["grpc stream", "http async"])
def test_sequences(server, analyze, model, mode):
    before = inferences(server, model)
    rates = analyze(model, mode, "--sequence-length", "7", concurrency="8")
    assert rates[8] > 0
    assert inferences(server, model) > before


def test_strings_of_free_length(server, analyze):
    shape = ["--shape", "INPUT0:3", "--string-length", "20"]
    assert analyze("identity_bytes", "http", *shape, concurrency="4")[4] > 0


def test_json_tensors(server, analyze, version):
    if version == "2.34.0":
        pytest.skip("this release has no option for it")
    options = ["--input-tensor-format=json", "--output-tensor-format=json"]
    assert analyze("simple", "http", *options, concurrency="2")[2] > 0


def test_a_decoupled_model(server, analyze, version, tmp_path):
    data = tmp_path / "input.json"
    # The older release knows no final flag: it takes every response for the last one.
    count = 1 if version == "2.34.0" else 3
    data.write_text(json.dumps({"data": [{"IN": [count], "TEXT": ["t"]}]}))
    before = inferences(server, "repeat_py")
    analyze("repeat_py", "grpc stream", "--input-data", str(data), concurrency="1:4:3")
    assert inferences(server, "repeat_py") > before


def test_server_metrics(server, analyze):
    options = ["--collect-metrics", "--verbose-csv"]
    options += ["--metrics-url", f"{server.metrics}/metrics", "--metrics-interval", "50"]
    assert analyze("simple", "grpc", *options, concurrency="1")[1] > 0


def test_an_unknown_model_ends_it_with_the_servers_text(server, version):
    done = perf_analyzer.call(version, "nobody", server.grpc, ["-i", "grpc"], timeout=60)
    assert done.returncode == 99
    assert "Request for unknown model: 'nobody' is not found" in done.stdout + done.stderr
