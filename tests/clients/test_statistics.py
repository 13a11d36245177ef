"""Statistics and metrics: complete, and with the right counts."""

import re

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

DURATIONS = ["success", "fail", "queue", "compute_input", "compute_infer", "compute_output"]


def statistics(client, model):
    (entry,) = client.json("get_inference_statistics", model)["model_stats"]
    return entry


def counts(entry):
    durations = entry["inference_stats"]
    found = {name: int(durations.get(name, {}).get("count", 0)) for name in DURATIONS}
    found |= {name: int(entry.get(name, 0)) for name in ("inference_count", "execution_count")}
    return found


def infer(client, rows=2):
    values = np.zeros((rows, 2), np.float32)
    client.infer("identity_batch", [client.input("INPUT0", values, "FP32")])


def test_counts_grow_by_what_was_asked(client):
    before = counts(statistics(client, "identity_batch"))
    for _ in range(3):
        infer(client)
    with pytest.raises(InferenceServerException):
        infer(client, rows=9)
    entry = statistics(client, "identity_batch")
    grown = {name: count - before[name] for name, count in counts(entry).items()}
    # Refused before it was queued: that is no failure of the model.
    assert grown.pop("fail") in (0, 1)
    assert grown.pop("inference_count") == 6
    assert set(grown.values()) == {3}
    assert int(entry["last_inference"]) > 1_600_000_000_000


def test_failures_are_counted_apart(client):
    before = counts(statistics(client, "err_py"))
    with pytest.raises(InferenceServerException):
        client.infer("err_py", [client.input("IN", np.zeros(1, np.int32), "INT32")])
    after = counts(statistics(client, "err_py"))
    assert after["fail"] == before["fail"] + 1
    assert after["success"] == before["success"] == 0


def test_http_statistics_lack_no_key(client_of):
    """perf_analyzer reads them without looking whether they are there."""
    client = client_of("http")
    infer(client)
    entry = statistics(client, "identity_batch")
    for name in [*DURATIONS, "cache_hit", "cache_miss"]:
        duration = entry["inference_stats"][name]
        assert isinstance(duration["count"], int) and isinstance(duration["ns"], int)
    assert isinstance(entry["inference_count"], int)
    assert isinstance(entry["execution_count"], int)
    assert isinstance(entry["last_inference"], int)
    sizes = [batch["batch_size"] for batch in entry["batch_stats"]]
    assert 2 in sizes
    for batch in entry["batch_stats"]:
        for name in ("compute_input", "compute_infer", "compute_output"):
            assert batch[name]["count"] >= 1 and batch[name]["ns"] >= 0


def test_metrics_follow_the_requests(server, client):
    names = {
        "nv_inference_request_success": 1,
        "nv_inference_count": 2,
        "nv_inference_exec_count": 1,
    }
    before = {name: server.metric(name, model="identity_batch") for name in names}
    infer(client)
    for name, step in names.items():
        assert server.metric(name, model="identity_batch") == before[name] + step
    # Microseconds of a model that does nothing: only the whole is sure to take some.
    assert server.metric("nv_inference_request_duration_us", model="identity_batch") > 0
    for part in ("queue", "compute_input", "compute_infer", "compute_output"):
        assert server.metric(f"nv_inference_{part}_duration_us", model="identity_batch") >= 0


def test_the_metrics_page_is_well_formed(server):
    status, page = server.get("/metrics", server.metrics_port)
    assert status == 200
    for line in page.decode().splitlines():
        assert re.fullmatch(
            r'# (HELP|TYPE) \w+ .*|\w+(\{(\w+="([^"\\]|\\.)*",?)*\})? ([-+\d.eE]+|NaN|[+-]Inf)',
            line,
        ), line


def test_histograms_of_latency_have_buckets_for_a_quick_model(server, client):
    infer(client)
    status, page = server.get("/metrics", server.metrics_port)
    assert status == 200
    lines = page.decode().splitlines()
    buckets = [line for line in lines if "_bucket{" in line and 'model="identity_batch"' in line]
    assert buckets, "no histogram for identity_batch"
    assert any('le="+Inf"' in line for line in buckets)
