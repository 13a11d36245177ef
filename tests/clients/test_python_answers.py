"""What Triton 2.51 has answered for the models of tests/python (recorded.json), asked of this server with the same Python backend."""

import json
import os
import sys

import pytest
from conftest import TESTS
from test_python_backend import start

sys.path.append(os.path.join(TESTS, "python"))

import cases  # noqa: E402

with open(cases.RECORDED, encoding="utf-8") as f:
    RECORDED = json.load(f)


def failures(name, count):
    """Statistics in which so many requests that were answered with an error are failures, which the Python backend of Triton reports
    as successes, and no inferences.
    """
    given = RECORDED["statistics"][name]
    kept = ("executions", "fail", "cache_hit", "cache_miss")
    found = {key: value if key in kept else value - count for key, value in given.items()}
    return {**found, "fail": found["fail"] + count}


TIMES = ("success", "queue", "compute_input", "compute_infer", "compute_output")
OTHER_STATISTICS = {
    "faults": failures("faults", 24),
    "bls": failures("bls", 6),
    # A stream whose client got all responses and the end succeeds, though its model raised an error after that.
    "countdown": failures("countdown", -1),
    # Executions for the warm-up of a model are no requests here.
    "answering": failures("answering", 2),
    "together": failures("together", 2),
    # A request that is executed again is one success, not one for each time, and no failure.
    "iterative_stream": {**RECORDED["statistics"]["iterative_stream"], **dict.fromkeys(TIMES, 1), "fail": 0},
    "warmed": {**dict.fromkeys(RECORDED["statistics"]["warmed"], 1), "fail": 0, "cache_hit": 0, "cache_miss": 0},
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """What this server answers to all that Triton was asked."""
    folder = str(tmp_path_factory.mktemp("python") / "models")
    loads = [f"--load-model={name}" for name in cases.make_repository(folder)]
    with start(folder, "--model-control-mode=explicit", *loads) as server:
        peer = cases.Peer(server, folder)
        try:
            found = cases.run(peer)
        finally:
            peer.close()
        assert server.alive(), server.log()[-4000:]
    return found


def test_all_that_is_recorded_is_asked(asked):
    for section in ("answers", "loads", "configs", "statistics"):
        assert asked[section].keys() == RECORDED[section].keys()


@pytest.mark.parametrize("name", sorted(RECORDED["answers"]))
def test_a_request_is_answered_as_by_triton(asked, name):
    assert asked["answers"][name] == RECORDED["answers"][name]


@pytest.mark.parametrize("section", ["loads", "configs", "metrics", "logs"])
def test_the_rest_is_as_with_triton(asked, section):
    assert asked[section] == RECORDED[section]


@pytest.mark.parametrize("name", sorted(RECORDED["statistics"]))
def test_a_model_is_counted_as_by_triton(asked, name):
    assert asked["statistics"][name] == OTHER_STATISTICS.get(name, RECORDED["statistics"][name])
