"""Calls among Python models that would be waited for for ever are answered with an error, and no others are."""

import concurrent.futures
import queue

import numpy as np
import pytest
import tritonclient.grpc as grpc
from python_models import infer, names_regions, prefix, regions, start, stubs, wait_until
from tritonclient.utils import InferenceServerException

# With each call the value is one less; the answer to 0 is ZERO, and that to others one more than the answer of the called model.
MODEL = """
import asyncio, json, os, time
import numpy as np
import triton_python_backend_utils as pb_utils

ZERO = 0


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self.calls, self.version, self.at_once = (parameters[key]["string_value"] for key in ("calls", "version", "at_once"))
        self.gate = parameters["gate"]["string_value"]

    async def execute(self, requests):
        return [await self.answer(int(pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()[0])) for request in requests]

    async def answer(self, value):
        if value == 0:
            return self.respond(ZERO)
        if self.gate:
            open(self.gate + ".waits", "w").close()
            while not os.path.exists(self.gate):
                time.sleep(0.01)
        requests = [self.request(value - 1) for _ in range(int(self.at_once) or 1)]
        if self.at_once == "0":
            answers = [requests[0].exec()]
        else:
            answers = await asyncio.gather(*(request.async_exec() for request in requests))
        for answer in answers:
            if answer.has_error():
                return pb_utils.InferenceResponse(error=pb_utils.TritonError(answer.error().message()))
        return self.respond(1 + int(pb_utils.get_output_tensor_by_name(answers[-1], "OUT").as_numpy()[0]))

    def request(self, value):
        x = pb_utils.Tensor("IN", np.array([value], dtype=np.int64))
        return pb_utils.InferenceRequest(
            model_name=self.calls, model_version=int(self.version), requested_output_names=["OUT"], inputs=[x]
        )

    def respond(self, value):
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([value], dtype=np.int64))])
"""
TENSORS = "".join(f'{put} {{ name: "{name}" data_type: TYPE_INT64 dims: [ 1 ] }}\n' for put, name in (("input", "IN"), ("output", "OUT")))


def config(calls, instances=1, version=-1, at_once=0, gate="", more=""):
    """`at_once` calls of `async_exec`; with 0 one of `exec`."""
    values = {"calls": calls, "version": version, "at_once": at_once, "gate": gate}
    parameters = "".join(f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n' for key, value in values.items())
    return f'backend: "python"\n{TENSORS}{parameters}instance_group {{ count: {instances} kind: KIND_CPU }}\n{more}'


def write(folder, name, text):
    (folder / name / "1").mkdir(parents=True, exist_ok=True)
    (folder / name / "config.pbtxt").write_text(text)
    if "ensemble" not in text:
        (folder / name / "1" / "model.py").write_text(MODEL)


def ensemble(*steps):
    """A chain of models."""
    names = ["IN", *(f"between_{n}" for n in range(len(steps) - 1)), "OUT"]
    inputs, outputs = ("INPUT0", "IN"), ("OUTPUT0", "OUT")
    text = "".join(
        f'step {{ model_name: "{step}" model_version: -1 input_map {{ key: "{inputs[step != "identity"]}" value: "{names[n]}" }}\n'
        f'output_map {{ key: "{outputs[step != "identity"]}" value: "{names[n + 1]}" }} }}\n'
        for n, step in enumerate(steps)
    )
    return f'platform: "ensemble"\n{TENSORS}ensemble_scheduling {{ {text} }}\n'


IDENTITY = 'backend: "identity"\ninput { name: "INPUT0" data_type: TYPE_INT64 dims: [ 1 ] }\noutput { name: "OUTPUT0" data_type: TYPE_INT64 dims: [ 1 ] }\n'


def ask(client, model, value, **options):
    return int(infer(client, model, {"IN": ("INT64", [1], [value])}, **options).as_numpy("OUT")[0])


@pytest.fixture
def served(tmp_path, prefix):
    """Starts a server with models, and sees to it that they can be unloaded afterwards."""
    started = []

    def serve(models, *flags):
        for name, text in models.items():
            write(tmp_path, name, text)
        flags = ["--model-control-mode=explicit", *(f"--load-model={name}" for name in models), *flags]
        server = start(str(tmp_path), names_regions(prefix), *flags).__enter__()
        client = grpc.InferenceServerClient(server.grpc)
        started.append((server, client))
        return client

    yield serve
    for server, client in started:
        for model in client.get_model_repository_index().models:
            client.unload_model(model.name, client_timeout=60)
        wait_until(lambda: not stubs(server), "the end of all stubs")
        client.close()
        server.__exit__()
    assert not regions(prefix)


def refused(client, model, value, text):
    with pytest.raises(InferenceServerException) as failed:
        ask(client, model, value)
    assert text in failed.value.message(), failed.value.message()


def test_models_with_one_instance(served):
    """By themselves, by two of them, and by ensembles of an ensemble."""
    client = served(
        {
            "identity": IDENTITY,
            "itself": config("itself"),
            "here": config("there"),
            "there": config("here", instances=2),
            "loop": config("outer", version=1),
            "inner": ensemble("identity", "loop"),
            "outer": ensemble("identity", "inner"),
        }
    )
    for name in ("itself", "here", "there"):
        assert ask(client, name, 0) == 0
    refused(client, "itself", 1, "model 'itself' calls 'itself', whose only instance waits for 'itself': both would wait for ever")
    assert ask(client, "here", 1) == 1
    refused(client, "here", 2, "model 'there' calls 'here', whose only instance waits for 'there'")
    assert ask(client, "there", 2) == 2
    refused(client, "there", 3, "model 'there' calls 'here'")
    refused(client, "loop", 1, "model 'loop' calls 'outer', a step of which is 'loop', whose only instance waits for 'loop'")
    refused(client, "outer", 1, "model 'loop' calls 'outer'")
    assert ask(client, "outer", 0) == 0


def test_models_with_several_instances(served):
    """Nested as deep as there are instances, by `exec` and by two calls of `async_exec` at once; and by several clients."""
    client = served({"deep": config("deep", instances=3), "wide": config("wide", instances=4, at_once=2)})
    assert ask(client, "deep", 2) == 2
    refused(client, "deep", 3, "model 'deep' calls 'deep', whose 3 instances all wait for their calls")
    # Two that are executed at once need two more, and can wait for each other; each is answered, and the rest can be.
    assert ask(client, "wide", 2) == 2

    def many(_):
        try:
            return ask(client, "deep", 2)
        except InferenceServerException as error:
            return error.message()

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(many, range(60)))
    told = [answer for answer in answers if answer != 2]
    assert all("model 'deep' calls 'deep', whose 3 instances all wait" in text for text in told), told
    assert len(told) < len(answers)
    assert ask(client, "deep", 2) == 2


def test_responses_in_the_order_of_requests(served):
    ordered = "max_batch_size: 0 dynamic_batching { preserve_ordering: true }\n"
    client = served({"ordered": config("ordered", instances=3, more=ordered), "other": config("ordered", instances=2)})
    assert ask(client, "other", 1) == 1
    refused(client, "ordered", 1, "model 'ordered' calls 'ordered', which keeps the order of responses")


def test_what_the_response_cache_answers_waits_for_nobody(served):
    client = served({"cached": config("cached", more="response_cache { enable: true }\n")}, "--cache-config=local,size=1048576")
    assert [ask(client, "cached", value) for value in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("version", [-1, 1])
def test_a_model_that_is_replaced_calls_its_successor(served, tmp_path, version):
    gate = str(tmp_path / "gate")
    client = served({"replaced": config("replaced", version=version, gate=gate)})
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        answer = threads.submit(ask, client, "replaced", 1)
        wait_until((tmp_path / "gate.waits").exists, "the execution")
        code = tmp_path / "replaced" / "1" / "model.py"
        code.write_text(MODEL.replace("ZERO = 0", "ZERO = 41"))
        client.load_model("replaced")
        (tmp_path / "gate").touch()
        assert answer.result(60) == 42
    refused(client, "replaced", 1, "model 'replaced' calls 'replaced', whose only instance waits")


@pytest.mark.parametrize("before, after", [(1, 2), (2, 1)])
def test_a_model_that_gets_other_instances(served, tmp_path, before, after):
    """The config is edited while the model executes; then it calls itself."""
    gate = str(tmp_path / "gate")
    client = served({"edited": config("edited", instances=before, gate=gate)})
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        answer = threads.submit(ask, client, "edited", 1)
        wait_until((tmp_path / "gate.waits").exists, "the execution")
        write(tmp_path, "edited", config("edited", instances=after, gate=gate))
        client.load_model("edited")
        (tmp_path / "gate").touch()
        try:
            assert answer.result(60) == 1
        except InferenceServerException as error:
            # The one that executes was kept, and the other has ended.
            assert after == 1 and "instance waits for 'edited'" in error.message()
    if after == 2:
        assert ask(client, "edited", 1) == 1
    else:
        refused(client, "edited", 1, "whose only instance waits")


DECOUPLED = """
import threading
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "IN")
            threading.Thread(target=self.answer, args=(request.get_response_sender(), int(x.as_numpy()[0]))).start()

    def answer(self, sender, value):
        if value:
            x = pb_utils.Tensor("IN", np.array([value - 1], dtype=np.int64))
            request = pb_utils.InferenceRequest(model_name="later", requested_output_names=["OUT"], inputs=[x])
            answers = [answer for answer in request.exec(decoupled=True) if answer.output_tensors()]
            value = 1 + int(pb_utils.get_output_tensor_by_name(answers[0], "OUT").as_numpy()[0])
        sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([value], dtype=np.int64))]))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def test_a_decoupled_model_calls_itself_from_threads(served, tmp_path):
    """Its executions do not wait for them."""
    client = served({"later": config("", more="model_transaction_policy { decoupled: true }\n")})
    (tmp_path / "later" / "1" / "model.py").write_text(DECOUPLED)
    client.load_model("later")
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    x = grpc.InferInput("IN", [1], "INT64")
    for value in range(8):
        x.set_data_from_numpy(np.array([value], dtype=np.int64))
        client.async_stream_infer("later", [x])
    given = [answers.get(timeout=60) for _ in range(8)]
    assert not [error for _, error in given if error]
    assert sorted(int(result.as_numpy("OUT")[0]) for result, _ in given) == list(range(8))
    client.stop_stream()
