"""Sequences of requests, by all clients: sums that a model or the server keeps."""

import json
import queue

import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

ids = iter(range(1000, 1_000_000))


@pytest.fixture
def fresh_id():
    """A correlation id that no other test has used."""
    return next(ids)


def send(client, model, value, sequence_id, flags="", outputs=None):
    """The answer to one request; `flags` has S for START and E for END."""
    array = np.array([[value]], np.int32)
    return client.infer(
        model,
        [client.input("INPUT", array, "INT32")],
        outputs=outputs,
        sequence_id=sequence_id,
        sequence_start="S" in flags,
        sequence_end="E" in flags,
    )


def total(*arguments):
    return int(send(*arguments).as_numpy("OUTPUT")[0, 0])


@pytest.mark.parametrize("model", ["sum_by_slot", "sum_by_id", "onnx_sum"])
def test_a_sequence_is_summed_up(client, model, fresh_id):
    other = next(ids)
    assert total(client, model, 1, fresh_id, "S") == 1
    assert total(client, model, 100, other, "S") == 100
    assert total(client, model, 2, fresh_id) == 3
    assert total(client, model, 200, other) == 300
    last = total(client, model, 3, fresh_id, "E")
    # dyna_sequence adds the id to the last sum.
    assert last == (6 + fresh_id if model == "sum_by_id" else 6)
    assert total(client, model, 7, fresh_id, "S") == 7, "nothing is left of the old sequence"
    assert total(client, model, 1, other, "SE") == (1 + other if model == "sum_by_id" else 1)


def test_text_ids_reach_the_model(client, fresh_id):
    name = str(fresh_id)
    assert total(client, "sum_by_text", 1, name, "S") == 1
    assert total(client, "sum_by_text", 2, name, "E") == 3 + fresh_id
    with pytest.raises(InferenceServerException, match="was expected to be a number"):
        send(client, "sum_by_text", 1, f"not-{name}", "S")


def test_what_belongs_to_no_sequence_is_refused(client, fresh_id):
    start = "must specify the START flag on the first request of the sequence"
    with pytest.raises(InferenceServerException, match="non-zero or non-empty correlation ID"):
        send(client, "sum_by_id", 1, 0, "S")
    with pytest.raises(InferenceServerException) as refused:
        send(client, "sum_by_id", 1, fresh_id)
    assert f"inference request for sequence {fresh_id} to model 'sum_by_id' {start}" in str(
        refused.value
    )
    send(client, "sum_by_id", 1, fresh_id, "SE")
    with pytest.raises(InferenceServerException, match=start):
        send(client, "sum_by_id", 1, fresh_id)
    two = client.input("INPUT", np.array([[1], [2]], np.int32), "INT32")
    with pytest.raises(InferenceServerException, match="must specify batch-size 1"):
        client.infer("sum_by_id", [two], sequence_id=fresh_id, sequence_start=True)


def test_states_and_controls_are_no_business_of_clients(client):
    for model, tensors in {"onnx_sum": (["INPUT"], ["OUTPUT"]), "sum_by_id": (["INPUT"], ["OUTPUT"])}.items():
        metadata = client.json("get_model_metadata", model)
        named = [[tensor["name"] for tensor in metadata[kind]] for kind in ("inputs", "outputs")]
        assert tuple(named) == tensors
    with pytest.raises(InferenceServerException, match="unexpected inference output 'OUTPUT_STATE'"):
        send(client, "onnx_sum", 1, next(ids), "SE", [client.output("OUTPUT_STATE")])


def test_a_state_grows_from_what_a_file_says(client, fresh_id):
    def history(value, flags=""):
        answer = send(client, "onnx_history", value, fresh_id, flags)
        np.testing.assert_array_equal(answer.as_numpy("OUTPUT"), answer.as_numpy("OUTPUT_STATE"))
        return answer.as_numpy("OUTPUT")[0].tolist()

    assert history(5, "S") == [-2, -1, 5]
    assert history(6) == [-2, -1, 5, 6]
    only = send(client, "onnx_history", 7, fresh_id, "", [client.output("OUTPUT")])
    assert only.as_numpy("OUTPUT")[0].tolist() == [-2, -1, 5, 6, 7]
    assert only.as_numpy("OUTPUT_STATE") is None
    assert history(8, "S") == [-2, -1, 8], "a START begins anew"
    assert history(9, "E") == [-2, -1, 8, 9]


@pytest.mark.parametrize("model", ["sum_by_slot", "sum_by_id", "onnx_sum"])
def test_many_sequences_on_one_stream(server, model):
    """More than there are slots, all at once, without waiting for answers."""
    answers = queue.Queue()
    client = tritonclient.grpc.InferenceServerClient(server.grpc)
    client.start_stream(lambda result, error: answers.put((result, error)))
    sequences = [next(ids) for _ in range(20)]
    for step in range(10):
        for sequence in sequences:
            tensor = tritonclient.grpc.InferInput("INPUT", [1, 1], "INT32")
            tensor.set_data_from_numpy(np.array([[step]], np.int32))
            client.async_stream_infer(
                model,
                [tensor],
                request_id=f"{sequence} {step}",
                sequence_id=sequence,
                sequence_start=step == 0,
                sequence_end=step == 9,
            )
    for _ in range(10 * len(sequences)):
        result, error = answers.get(timeout=30)
        assert error is None, error
        sequence, step = map(int, result.get_response().id.split())
        last = sequence if model == "sum_by_id" and step == 9 else 0
        assert result.as_numpy("OUTPUT")[0, 0] == step * (step + 1) // 2 + last
    client.stop_stream()
    client.close()


def test_statistics_count_requests_and_not_rows_without_one(server, client_of):
    def counts():
        status, body = server.get("/v2/models/onnx_sum/stats")
        assert status == 200
        entry = json.loads(body)["model_stats"][0]
        return entry["inference_count"], entry["inference_stats"]["success"]["count"]

    client = client_of("http")
    first, second = next(ids), next(ids)
    before = counts()
    send(client, "onnx_sum", 1, first, "S")
    send(client, "onnx_sum", 1, second, "S")
    # Its row is behind that of the first one, which has nothing to execute now.
    send(client, "onnx_sum", 1, second, "E")
    send(client, "onnx_sum", 1, first, "E")
    assert tuple(now - then for now, then in zip(counts(), before)) == (4, 4)
