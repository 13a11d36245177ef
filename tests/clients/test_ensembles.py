"""Ensembles: asked like any model by all four clients."""

import queue
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

A = np.arange(16, dtype=np.int32).reshape(1, 16)
B = np.full((1, 16), 3, np.int32)


def inputs(client, a=A, b=B):
    return [client.input("A", a, "INT32"), client.input("B", b, "INT32")]


def executions(client, model):
    (entry,) = client.json("get_inference_statistics", model)["model_stats"]
    return int(entry.get("execution_count", 0))


def test_runs_all_steps(client):
    reply = client.infer("ens", inputs(client), request_id="e1")
    assert (reply.as_numpy("DIFF") == A - B).all()
    assert (reply.as_numpy("SUM") == A + B + B).all()


def test_runs_only_the_steps_that_are_needed(client):
    before = [executions(client, model) for model in ("ens", "simple")]
    reply = client.infer("ens", inputs(client), outputs=[client.output("DIFF")])
    assert (reply.as_numpy("DIFF") == A - B).all()
    assert reply.as_numpy("SUM") is None
    after = [executions(client, model) for model in ("ens", "simple")]
    assert after == [before[0] + 1, before[1] + 1]


def test_says_that_it_is_an_ensemble(client):
    assert client.is_model_ready("ens")
    metadata = client.json("get_model_metadata", "ens")
    assert metadata["platform"] == "ensemble"
    assert [tensor["name"] for tensor in metadata["outputs"]] == ["SUM", "DIFF"]
    config = client.json("get_model_config", "ens")
    steps = config.get("config", config)["ensemble_scheduling"]["step"]
    assert [step["model_name"] for step in steps] == ["simple", "simple"]


def test_a_wrong_input_is_refused_in_the_ensembles_name(client):
    with pytest.raises(InferenceServerException, match="unexpected shape for input 'A' for model 'ens'"):
        client.infer("ens", inputs(client, a=A[:, :15]))
    with pytest.raises(InferenceServerException, match="missing required input"):
        client.infer("ens", [client.input("A", A, "INT32")])


def test_requests_at_once_get_their_own_answers(client_of):
    def ask(worker):
        client = client_of("grpc")
        for n in range(20):
            row = np.array([[worker, n]] * (1 + n % 4), np.float32)
            reply = client.infer("rows", [client.input("ROW", row, "FP32")])
            assert (reply.as_numpy("ONCE") == row).all()
            assert (reply.as_numpy("TWICE") == row).all()
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(16)))


def test_a_decoupled_step_streams(client_of):
    client = client_of("grpc")
    answers = queue.Queue()
    client.real.start_stream(lambda result, error: answers.put((result, error)))
    number = client.input("IN", np.array([7], np.int32), "INT32")
    client.real.async_stream_infer("streamed", [number], enable_empty_final_response=True)
    got = []
    while True:
        result, error = answers.get(timeout=20)
        assert error is None
        response = result.get_response()
        if response.outputs:
            got.append(int(result.as_numpy("OUT")[0]))
        if response.parameters["triton_final_response"].bool_param:
            break
    client.real.stop_stream()
    assert sorted(got) == list(range(7))
