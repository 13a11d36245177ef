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

# What is answered otherwise, and why.
NO_ANSWER = "the backend of model '{}' dropped a request without a final response"
OTHER_ANSWERS = {
    # In Triton the client waits for ever, as nobody will answer; here it is told.
    **{
        f"fault {what} over {protocol}": {"error": [status, NO_ANSWER.format("faults")]}
        for what in ("none", "none in list")
        for protocol, status in (("grpc", "StatusCode.INTERNAL"), ("http", "500"))
    },
}

# Answered otherwise if the stub lets go of the request. It does not if the coroutine has failed before the stub has noted it (RunCoroutine
# of pb_stub.cc adds the callback, which runs at once, before it adds the future): then nobody will ever answer, as in Triton.
ALSO_ANSWERED = {"coroutines, refused over grpc": {"stream": [{"error": [None, NO_ANSWER.format("coroutines")]}]}}


def failures(name, count, dropped=0):
    """Statistics in which so many requests that were answered with an error are failures, which the Python backend of Triton reports
    as successes, and no inferences. Those among them that the model dropped were executed, as the backend reports before they end.
    """
    given = RECORDED["statistics"][name]
    kept = ("executions", "fail", "cache_hit", "cache_miss")
    found = {key: value if key in kept else value - count for key, value in given.items()}
    return {**found, "inferences": found["inferences"] + dropped, "fail": found["fail"] + count}


OTHER_STATISTICS = {
    # Two kinds of requests without an answer, over two protocols.
    "faults": failures("faults", 24, dropped=4),
    "bls": failures("bls", 6),
    # A stream whose client got all responses and the end succeeds, though its model raised an error after that.
    "countdown": failures("countdown", -1),
    # Executions for the warm-up of a model are no requests here.
    "warmed": {**dict.fromkeys(RECORDED["statistics"]["warmed"], 1), "fail": 0, "cache_hit": 0, "cache_miss": 0},
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """What this server answers to all that Triton was asked."""
    folder = str(tmp_path_factory.mktemp("python") / "models")
    loads = [f"--load-model={name}" for name in cases.make_repository(folder)]
    # One of these models keeps a request for ever, which is waited for at the end.
    with start(folder, "--model-control-mode=explicit", "--exit-timeout-secs=3", *loads) as server:
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
    expected = OTHER_ANSWERS.get(name, RECORDED["answers"][name])
    assert expected != RECORDED["answers"][name] or name not in OTHER_ANSWERS
    if asked["answers"][name] == ALSO_ANSWERED.get(name):
        return
    assert asked["answers"][name] == expected


@pytest.mark.parametrize("section", ["loads", "configs", "metrics"])
def test_the_rest_is_as_with_triton(asked, section):
    assert asked[section] == RECORDED[section]


@pytest.mark.parametrize("name", sorted(RECORDED["statistics"]))
def test_a_model_is_counted_as_by_triton(asked, name):
    assert asked["statistics"][name] == OTHER_STATISTICS.get(name, RECORDED["statistics"][name])
