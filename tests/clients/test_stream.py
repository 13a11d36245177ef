"""ModelStreamInfer by the blocking and the asyncio client."""

import asyncio
import queue

import numpy as np
import pytest

A = np.arange(16, dtype=np.int32).reshape(1, 16)


class Stream:
    """A stream of one client; answers() gives the (result, error) pairs in the order they came."""

    def __init__(self, client, **options):
        self.client, self.got = client, queue.Queue()
        client.start_stream(lambda result, error: self.got.put((result, error)), **options)

    def send(self, model, inputs, **options):
        self.client.async_stream_infer(model, inputs, **options)

    def answers(self, count):
        return [self.got.get(timeout=20) for _ in range(count)]

    def no_more(self):
        """Ends the stream, which waits for all that is under way: nothing may be left over."""
        self.client.stop_stream()
        return self.got.empty()


@pytest.fixture
def stream(client_of):
    return Stream(client_of("grpc"))


def simple_inputs(client, value=1):
    b = np.full((1, 16), value, np.int32)
    return [client.input("INPUT0", A, "INT32"), client.input("INPUT1", b, "INT32")]


def numbers(client, name, values, kind=np.int32):
    return client.input(name, np.array(values, kind), "INT32" if kind == np.int32 else "UINT32")


def count_to(client, n):
    return [numbers(client, "IN", [n])]


def is_final(result):
    return result.get_response().parameters["triton_final_response"].bool_param


def test_answers_of_a_plain_model_come_in_the_order_of_the_requests(stream):
    for n in range(20):
        stream.send("simple", simple_inputs(stream.client, n), request_id=str(n))
    for n, (result, error) in enumerate(stream.answers(20)):
        assert error is None
        assert result.get_response().id == str(n)
        assert is_final(result)
        assert result.as_numpy("OUTPUT0").tolist() == (A + n).tolist()
    assert stream.no_more()


def test_a_decoupled_model_answers_as_often_as_it_likes(stream):
    stream.send("repeat_py", count_to(stream.client, 3), request_id="d")
    for n, (result, error) in enumerate(stream.answers(3)):
        assert error is None
        assert result.get_response().id == "d"
        assert result.as_numpy("OUT").tolist() == [n]
        assert result.as_numpy("TEXT_OUT").tolist() == [f"tok{n}".encode()]
    assert stream.no_more()


@pytest.mark.parametrize("count", [0, 2])
def test_the_final_response_is_sent_to_those_who_ask(stream, count):
    inputs = count_to(stream.client, count)
    stream.send("repeat_py", inputs, request_id="f", enable_empty_final_response=True)
    *answers, (last, error) = stream.answers(count + 1)
    assert [is_final(result) for result, _ in answers] == [False] * count
    assert error is None
    assert is_final(last)
    assert last.get_response().id == "f"
    assert not last.get_response().outputs
    assert stream.no_more()


def test_a_failed_request_does_not_end_the_stream(stream):
    client = stream.client
    stream.send("simple", simple_inputs(client)[:1], request_id="bad")
    stream.send("nobody", simple_inputs(client), request_id="worse")
    stream.send("err_py", [numbers(client, "IN", [1])], request_id="model")
    stream.send("simple", simple_inputs(client), request_id="good")
    answers = stream.answers(4)
    texts = sorted(error.message() for _, error in answers if error is not None)
    assert texts[0] == "Request for unknown model: 'nobody' is not found"
    assert "expected 2 inputs but got 1 inputs for model 'simple'" in texts[1]
    assert texts[2] == "boom from the model"
    [good] = [result for result, error in answers if error is None]
    assert good.as_numpy("OUTPUT0").tolist() == (A + 1).tolist()
    assert stream.no_more()


def test_several_streams_of_decoupled_answers_at_once(client_of):
    streams = [Stream(client_of("grpc")) for _ in range(4)]
    for number, stream in enumerate(streams):
        stream.send("repeat_py", count_to(stream.client, 50), request_id=str(number))
    for number, stream in enumerate(streams):
        answers = stream.answers(50)
        assert [result.as_numpy("OUT")[0] for result, _ in answers] == list(range(50))
        assert {result.get_response().id for result, _ in answers} == {str(number)}
        assert stream.no_more()


def test_repeat_with_delays_answers_each_element(stream):
    client, n = stream.client, 4
    inputs = [
        numbers(client, "IN", [5, 6, 7, 8]),
        numbers(client, "DELAY", [1] * n, np.uint32),
        numbers(client, "WAIT", [1], np.uint32),
    ]
    stream.send("repeat", inputs)
    answers = stream.answers(n)
    assert [result.as_numpy("OUT")[0] for result, _ in answers] == [5, 6, 7, 8]
    assert [result.as_numpy("IDX")[0] for result, _ in answers] == [0, 1, 2, 3]
    assert stream.no_more()


def long_job(client):
    """Inputs of `repeat` that keep it busy for minutes, if nobody stops it."""
    n = 1000
    return [
        numbers(client, "IN", range(n)),
        numbers(client, "DELAY", [200] * n, np.uint32),
        numbers(client, "WAIT", [0], np.uint32),
    ]


def test_a_cancelled_stream_stops_the_model(server, stream, eventually):
    def failures():
        return server.metric("nv_inference_request_failure", model="repeat")

    before = failures()
    stream.send("repeat", long_job(stream.client))
    assert stream.answers(1)[0][1] is None
    stream.client.stop_stream(cancel_requests=True)
    eventually(lambda: failures() == before + 1, "the end of a job that nobody waits for")


def test_a_stream_with_a_time_limit(client_of):
    stream = Stream(client_of("grpc"), stream_timeout=0.5)
    stream.send("repeat", long_job(stream.client))
    errors = []
    while not errors:
        errors = [error for _, error in stream.answers(1) if error is not None]
    assert errors[0].status() == "StatusCode.DEADLINE_EXCEEDED"


def test_a_compressed_stream(client_of):
    stream = Stream(client_of("grpc"), compression_algorithm="gzip")
    stream.send("simple", simple_inputs(stream.client))
    [(result, error)] = stream.answers(1)
    assert error is None
    assert result.as_numpy("OUTPUT0").tolist() == (A + 1).tolist()


def test_the_asyncio_client(client_of):
    client = client_of("grpc.aio")

    async def requests():
        for n in (2, 0, 3):
            yield {
                "model_name": "repeat_py",
                "inputs": count_to(client, n),
                "request_id": str(n),
            }

    async def answers():
        got = []
        async for result, error in client.real.stream_infer(requests()):
            assert error is None
            got.append((result.get_response().id, is_final(result)))
            if len(got) == 5:
                break
        return got

    got = client.loop.run_until_complete(asyncio.wait_for(answers(), 20))
    # This client has no way to ask for the empty final response.
    assert sorted(got) == [("2", False)] * 2 + [("3", False)] * 3
