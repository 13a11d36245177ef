"""Requests in flight: async_infer, deadlines, cancellation, and many at once."""

import asyncio
import concurrent.futures
import queue

import numpy as np
import pytest
from gate import FLAG, Gate
from server_process import ServerProcess
from tritonclient.utils import InferenceServerException

A = np.arange(16, dtype=np.int32).reshape(1, 16)
ONE = np.ones(1, np.float32)


def simple_inputs(client, value=1):
    b = np.full((1, 16), value, np.int32)
    return [client.input("INPUT0", A, "INT32"), client.input("INPUT1", b, "INT32")]


def test_async_infer_over_http(client_of):
    client = client_of("http")
    pending = [client.async_infer("simple", simple_inputs(client, n)) for n in range(8)]
    for n, request in enumerate(pending):
        assert request.get_result().as_numpy("OUTPUT0").tolist() == (A + n).tolist()


def test_async_infer_over_http_reports_errors(client_of):
    client = client_of("http")
    request = client.async_infer("simple", simple_inputs(client)[:1])
    with pytest.raises(InferenceServerException, match="expected 2 inputs but got 1"):
        request.get_result()


def collect(client, count, call):
    """Starts `count` requests by call(callback, n); the (result, error) pairs that come back."""
    answers = queue.Queue()
    for n in range(count):
        call(lambda result, error: answers.put((result, error)), n)
    return [answers.get(timeout=20) for _ in range(count)]


def test_async_infer_over_grpc(client_of):
    client = client_of("grpc")
    answers = collect(
        client,
        8,
        lambda callback, n: client.async_infer(
            "simple", simple_inputs(client, n), callback, request_id=str(n)
        ),
    )
    assert all(error is None for _, error in answers)
    for result, _ in answers:
        n = int(result.get_response().id)
        assert result.as_numpy("OUTPUT0").tolist() == (A + n).tolist()


def test_async_infer_over_grpc_reports_errors(client_of):
    client = client_of("grpc")
    inputs = simple_inputs(client)[:1]
    [(result, error)] = collect(
        client, 1, lambda callback, _: client.async_infer("simple", inputs, callback)
    )
    assert result is None
    assert "expected 2 inputs but got 1" in error.message()


@pytest.mark.parametrize("kind", ["grpc", "grpc.aio"])
def test_a_deadline_of_the_client(client_of, kind):
    client = client_of(kind)
    with pytest.raises(InferenceServerException) as error:
        client.infer("slow", [client.input("INPUT0", ONE, "FP32")], client_timeout=0.05)
    assert error.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    assert client.is_server_live()


def executions(client, model):
    (entry,) = client.json("get_inference_statistics", model)["model_stats"]
    return int(entry.get("execution_count", 0))


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "models", tmp_path)


@pytest.fixture
def gate_server(gate, tmp_path):
    with ServerProcess(tmp_path / "models", flags=[FLAG]) as process:
        yield process
        gate.open()


def test_a_cancelled_request_that_still_waits_is_never_executed(gate, gate_server, client_of, eventually):
    client = client_of("grpc", gate_server)
    answers = queue.Queue()

    def start(request_id):
        return client.async_infer(
            "gate",
            [client.input("INPUT0", ONE, "FP32")],
            lambda result, error: answers.put((result, error)),
            request_id=request_id,
        )

    def waiting():
        return gate_server.metric("nv_inference_pending_request_count", model="gate")

    start("runs")
    eventually(gate.entered, "one request runs")
    start("waits")
    eventually(lambda: waiting() == 1, "one waits")
    cancelled = start("cancelled")
    eventually(lambda: waiting() == 2, "another one waits")
    cancelled.cancel()
    _, error = answers.get(timeout=20)
    assert error.status() == "StatusCode.CANCELLED"
    eventually(lambda: gate_server.metric("nv_server_open_requests") == 2, "the server knows that its client has gone")
    start("last")
    gate.open()
    assert [error for _, error in (answers.get(timeout=20) for _ in range(3))] == [None] * 3
    # The last one came behind the cancelled one and is done: that one was left out.
    assert executions(client, "gate") == 3


def test_a_cancelled_asyncio_request(client_of):
    client = client_of("grpc.aio")

    async def cancel_one():
        task = asyncio.ensure_future(
            client.real.infer("slow", [client.input("INPUT0", ONE, "FP32")])
        )
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises((asyncio.CancelledError, InferenceServerException)):
        client.loop.run_until_complete(cancel_one())
    assert client.is_server_live()


@pytest.mark.parametrize("kind", ["http.aio", "grpc.aio"])
def test_many_asyncio_requests_at_once(client_of, kind):
    client = client_of(kind)

    async def all_at_once():
        calls = [client.real.infer("simple", simple_inputs(client, n)) for n in range(64)]
        return await asyncio.gather(*calls)

    for n, reply in enumerate(client.loop.run_until_complete(all_at_once())):
        assert reply.as_numpy("OUTPUT0").tolist() == (A + n).tolist()


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_requests_of_many_threads_are_not_mixed_up_in_batches(client_of, kind):
    """identity_batch batches what waits: each caller has to get its own row back."""

    def work(number):
        client = client_of(kind)
        for step in range(20):
            values = np.array([[number, step]], np.float32)
            inputs = [client.input("INPUT0", values, "FP32")]
            reply = client.infer("identity_batch", inputs)
            assert reply.as_numpy("OUTPUT0").tolist() == values.tolist()
        return True

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))
