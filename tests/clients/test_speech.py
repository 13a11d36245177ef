"""A real stateful model: Silero VAD hears 16 streams at once, and each as if it were alone."""

import concurrent.futures
import json
import os
import queue
import random
import shutil
import wave

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from server_process import ROOT, ServerProcess

REFERENCES = os.path.join(ROOT, "tests", "references", "silero-vad")
STREAMS = 16

# The file as it comes in the package: no batch, the sampling rate a scalar, the state [2, 1, 128].
AS_PUBLISHED = """
backend: "onnxruntime"
input [
  { name: "input" data_type: TYPE_FP32 dims: [ 1, 576 ] },
  { name: "sr" data_type: TYPE_INT64 dims: [ 1 ] reshape { shape: [ ] } }
]
output [ { name: "output" data_type: TYPE_FP32 dims: [ -1, 1 ] } ]
sequence_batching {
  direct { }
  state [ { input_name: "state" output_name: "stateN" data_type: TYPE_FP32 dims: [ 2, 1, 128 ] } ]
}
instance_group [ { count: 2 kind: KIND_CPU } ]
"""


@pytest.fixture(scope="module")
def speech_server(tmp_path_factory):
    """A server with the voice detector of the repository that comes along, and as it is published."""
    folder = str(tmp_path_factory.mktemp("speech"))
    shipped = os.path.join(ROOT, "model_repository", "silero_vad")
    shutil.copytree(shipped, os.path.join(folder, "silero_vad"))
    # The same, but its one instance executes all streams as one batch, or none: nobody waits for so long.
    shutil.copytree(shipped, os.path.join(folder, "sixteen"))
    with open(os.path.join(folder, "sixteen", "config.pbtxt"), "r+", encoding="utf-8") as f:
        config = f.read()
        for shipped, patient in (
            ('name: "silero_vad"', 'name: "sixteen"'),
            ("max_candidate_sequences: 64", f"max_candidate_sequences: 64 preferred_batch_size: {STREAMS} max_queue_delay_microseconds: 3600000000"),
            ("max_sequence_idle_microseconds: 5000000", "max_sequence_idle_microseconds: 3600000000"),
            ("count: 2", "count: 1"),
        ):
            assert config.count(shipped) == 1, shipped
            config = config.replace(shipped, patient)
        f.seek(0)
        f.write(config)
    published = os.path.join(folder, "as_published", "1")
    os.makedirs(published)
    source = os.path.join(ROOT, ".cache", "models", "silero_vad.onnx")
    shutil.copy(source, os.path.join(published, "model.onnx"))
    with open(os.path.join(folder, "as_published", "config.pbtxt"), "w", encoding="utf-8") as f:
        f.write(AS_PUBLISHED)
    with ServerProcess(folder) as server:
        yield server
        assert server.alive(), server.log()[-4000:]


@pytest.fixture(scope="module")
def reference():
    with open(os.path.join(REFERENCES, "reference.json"), encoding="utf-8") as f:
        return json.load(f)


@pytest.fixture(scope="module")
def chunks(reference):
    """The inputs of the recording: each chunk behind the last samples of the one before."""
    with wave.open(os.path.join(REFERENCES, "speech16k.wav")) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    samples = samples.astype(np.float32) / 32768
    size, context = reference["chunk"], reference["context"]
    padded = np.concatenate([np.zeros(context, np.float32), samples])
    starts = range(0, len(samples) - size + 1, size)
    inputs = [padded[start : start + context + size].reshape(1, -1) for start in starts]
    assert len(inputs) == len(reference["probs"])
    return inputs


def statistics(server, model):
    status, body = server.get(f"/v2/models/{model}/stats")
    assert status == 200
    return json.loads(body)["model_stats"][0]


def flags(step, count):
    return {"sequence_start": step == 0, "sequence_end": step == count - 1}


def grpc_input(array):
    tensor = tritonclient.grpc.InferInput("input", array.shape, "FP32")
    tensor.set_data_from_numpy(array)
    return tensor


def test_sixteen_streams_over_grpc_are_heard_apart(speech_server, chunks, reference):
    answers = [queue.Queue() for _ in range(STREAMS)]
    clients = [tritonclient.grpc.InferenceServerClient(speech_server.grpc) for _ in answers]
    for client, answer in zip(clients, answers):
        client.start_stream(lambda result, error, answer=answer: answer.put((result, error)))
    # Every stream gets its chunks in order, but each is somewhere else in the recording.
    turns = [stream for stream in range(STREAMS) for _ in chunks]
    random.Random(1).shuffle(turns)
    steps = [0] * STREAMS
    for stream in turns:
        step = steps[stream]
        clients[stream].async_stream_infer(
            "silero_vad",
            [grpc_input(chunks[step])],
            request_id=str(step),
            sequence_id=stream + 1,
            **flags(step, len(chunks)),
        )
        steps[stream] += 1
    for client, answer in zip(clients, answers):
        got = []
        for step in range(len(chunks)):
            result, error = answer.get(timeout=60)
            assert error is None, error
            assert result.get_response().id == str(step)
            got.append(float(result.as_numpy("output")[0, 0]))
        assert got == pytest.approx(reference["probs"], abs=1e-3)
        client.stop_stream()
        client.close()


def test_sixteen_streams_are_executed_together_and_heard_apart(speech_server, chunks):
    """Each begins somewhere else in the recording, and hears what it hears alone."""
    steps = 20
    alone = tritonclient.http.InferenceServerClient(speech_server.http)
    client = tritonclient.grpc.InferenceServerClient(speech_server.grpc)
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for step in range(steps):
        got, want = {}, []
        for stream in range(STREAMS):
            chunk = chunks[7 * stream + step]
            client.async_stream_infer(
                "sixteen", [grpc_input(chunk)], request_id=str(stream), sequence_id=stream + 1, **flags(step, steps)
            )
            tensor = tritonclient.http.InferInput("input", list(chunk.shape), "FP32")
            tensor.set_data_from_numpy(chunk)
            one = alone.infer("silero_vad", [tensor], sequence_id=f"alone-{stream}", **flags(step, steps))
            want.append(float(one.as_numpy("output")[0, 0]))
        for _ in range(STREAMS):
            result, error = answers.get(timeout=60)
            assert error is None, error
            got[int(result.get_response().id)] = float(result.as_numpy("output")[0, 0])
        assert [got[stream] for stream in range(STREAMS)] == pytest.approx(want, abs=1e-3)
    client.stop_stream()
    client.close()
    alone.close()
    counts = statistics(speech_server, "sixteen")
    assert counts["inference_stats"]["success"]["count"] == STREAMS * steps
    assert counts["execution_count"] == steps


def test_streams_over_http_with_text_ids(speech_server, chunks, reference):
    def hear(name):
        with tritonclient.http.InferenceServerClient(speech_server.http) as client:
            probabilities = []
            for step, chunk in enumerate(chunks):
                tensor = tritonclient.http.InferInput("input", list(chunk.shape), "FP32")
                tensor.set_data_from_numpy(chunk)
                answer = client.infer(
                    "silero_vad", [tensor], sequence_id=name, **flags(step, len(chunks))
                )
                probabilities.append(float(answer.as_numpy("output")[0, 0]))
            return probabilities

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for probabilities in pool.map(hear, [f"stream-{n}" for n in range(4)]):
            assert probabilities == pytest.approx(reference["probs"], abs=1e-3)


def test_the_file_as_published_serves_one_stream_an_instance(speech_server, chunks, reference):
    client = tritonclient.http.InferenceServerClient(speech_server.http, concurrency=3)
    rate = tritonclient.http.InferInput("sr", [1], "INT64")
    rate.set_data_from_numpy(np.array([16000], np.int64))
    heard = {stream: [] for stream in (1, 2)}
    for step, chunk in enumerate(chunks):
        tensor = tritonclient.http.InferInput("input", list(chunk.shape), "FP32")
        tensor.set_data_from_numpy(chunk)
        for stream, probabilities in heard.items():
            answer = client.infer(
                "as_published", [tensor, rate], sequence_id=stream, **flags(step, len(chunks))
            )
            probabilities.append(float(answer.as_numpy("output")[0, 0]))
    for probabilities in heard.values():
        assert probabilities == pytest.approx(reference["probs"], abs=1e-3)
    client.close()


def test_without_its_state_the_model_hears_something_else(speech_server, chunks, reference):
    """Were the state lost between requests, the comparisons above would show it."""
    client = tritonclient.grpc.InferenceServerClient(speech_server.grpc)
    heard = []
    for chunk in chunks:
        answer = client.infer(
            "silero_vad", [grpc_input(chunk)], sequence_id=99, sequence_start=True, sequence_end=True
        )
        heard.append(float(answer.as_numpy("output")[0, 0]))
    assert np.abs(np.array(heard) - reference["probs"]).max() > 0.3
    client.close()
