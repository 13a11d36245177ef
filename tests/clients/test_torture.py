"""Clients at full rate while the repository under them is changed in every way: no request fails, no answer is wrong.

`--torture-seconds` says for how long.
"""

import os
import queue
import random
import threading
import time

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from conftest import ROOT
from live import CONFIG, TENSORS, Folder, adds, chain
from models import sum_config
from server_process import ServerProcess

# Sequences over which the sum is taken, on two instances. Clients ask again at once, but a busy machine can keep all of them from running
# for longer than a sequence may be idle by default, a second.
SUMS = sum_config("sequence", "max_sequence_idle_microseconds: 60000000 direct { }", instances=2)
# What `offset` adds to tell that the ensemble `pair` goes through it.
DETOUR = 1_000_000
BACKENDS = os.path.join(ROOT, ".cache", "triton-backends")

PYTHON = 'backend: "python"\ninstance_group { count: 2 kind: KIND_CPU }\n' + TENSORS

ADDS_IN_PYTHON = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(pb_utils.get_input_tensor_by_name(request, "x")) for request in requests]

    def answer(self, x):
        return pb_utils.InferenceResponse([pb_utils.Tensor("y", (x.as_numpy() + NUMBER).astype(np.int32))])
"""

CALLS = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(pb_utils.get_input_tensor_by_name(request, "x")) for request in requests]

    def answer(self, x):
        answer = pb_utils.InferenceRequest(model_name="python", requested_output_names=["y"], inputs=[x]).exec()
        if answer.has_error():
            return pb_utils.InferenceResponse(error=answer.error())
        return pb_utils.InferenceResponse([pb_utils.get_output_tensor_by_name(answer, "y")])
"""


def adds_in_python(number):
    return f"NUMBER = {number}\n{ADDS_IN_PYTHON}"


class Declared:
    """What a model may answer, and when: a number from the moment when its files began to be there until its successor was
    seen to serve."""

    def __init__(self, number):
        self.lock, self.spans = threading.Lock(), [[number, 0.0, float("inf")]]

    @property
    def now(self):
        return self.spans[-1][0]

    def begin(self, number):
        with self.lock:
            self.spans.append([number, time.monotonic(), float("inf")])

    def took_over(self):
        """The last is seen to serve; those before it must not answer a request that is sent from here on."""
        with self.lock:
            for span in self.spans[:-1]:
                span[2] = min(span[2], time.monotonic())

    def withdraw(self):
        """The last was never right, and is gone from the disk."""
        with self.lock:
            self.spans.pop()

    def allows(self, number, sent, answered):
        with self.lock:
            return any(n == number and begin <= answered and sent <= end for n, begin, end in self.spans)


class Clients:
    """Threads that ask at full rate until they are stopped. Each answer is checked at once."""

    def __init__(self, server, declared):
        self.server, self.declared, self.stopping = server, declared, threading.Event()
        self.faults, self.counts, self.lock = [], {}, threading.Lock()
        ways = [(way, model) for way in (self.http, self.grpc, self.stream) for model in declared]
        ways += [(self.sequences, first) for first in (1, 1 << 32)]
        self.threads = [threading.Thread(target=self.run, args=each, daemon=True) for each in ways]
        for thread in self.threads:
            thread.start()

    def run(self, way, model):
        try:
            way(model)
        except Exception as error:  # noqa: BLE001
            self.faults.append(f"{way.__name__} {model}: {type(error).__name__}: {error}")

    def check(self, way, model, x, y, sent):
        answered = time.monotonic()
        with self.lock:
            self.counts[way, model] = self.counts.get((way, model), 0) + 1
        if not self.declared[model].allows(y - x, sent, answered):
            spans = self.declared[model].spans[-4:]
            self.faults.append(f"{way} {model}: added {y - x}, sent {sent}, answered {answered}, declared {spans}")

    def unary(self, module, way, model, url):
        client = module.InferenceServerClient(url)
        x = 0
        while not self.stopping.is_set():
            x += 1
            tensor = module.InferInput("x", [1], "INT32")
            tensor.set_data_from_numpy(np.array([x], np.int32))
            sent = time.monotonic()
            y = client.infer(model, [tensor]).as_numpy("y")[0]
            self.check(way, model, x, int(y), sent)
        client.close()

    def http(self, model):
        self.unary(tritonclient.http, "http", model, self.server.http)

    def grpc(self, model):
        self.unary(tritonclient.grpc, "grpc", model, self.server.grpc)

    def stream(self, model):
        client = tritonclient.grpc.InferenceServerClient(self.server.grpc)
        answers = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        x = 0
        while not self.stopping.is_set():
            x += 1
            tensor = tritonclient.grpc.InferInput("x", [1], "INT32")
            tensor.set_data_from_numpy(np.array([x], np.int32))
            sent = time.monotonic()
            client.async_stream_infer(model, [tensor])
            result, error = answers.get(timeout=60)
            if error is not None:
                raise error
            self.check("stream", model, x, int(result.as_numpy("y")[0]), sent)
        client.stop_stream()
        client.close()

    def sequences(self, sequence):
        """Sums up one sequence after the other. Each has to find its state, whatever happens to the model meanwhile."""
        client = tritonclient.grpc.InferenceServerClient(self.server.grpc)
        while not self.stopping.is_set():
            sequence, total = sequence + 1, 0
            for x in range(1, 11):
                tensor = tritonclient.grpc.InferInput("INPUT", [1, 1], "INT32")
                tensor.set_data_from_numpy(np.array([[x]], np.int32))
                ends = {"sequence_start": x == 1, "sequence_end": x == 10}
                result = client.infer("sums", [tensor], sequence_id=sequence, **ends)
                total += x
                if (y := int(result.as_numpy("OUTPUT")[0, 0])) != total:
                    self.faults.append(f"sequence {sequence}: {y} instead of {total}")
            with self.lock:
                self.counts["sequences", "sums"] = self.counts.get(("sequences", "sums"), 0) + 1
        client.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "a request was never answered"


class Vandal:
    """Does to the repository what people do, and worse. Each deed ends when the server serves what the disk holds."""

    def __init__(self, folder, server, seed):
        self.folder, self.server, self.random = folder, server, random.Random(seed)
        self.declared = {"plain": Declared(1), "linked": Declared(1), "pair": Declared(1001)}
        self.declared |= {"python": Declared(1), "caller": Declared(1)}
        self.number, self.pair, self.detour, self.version, self.tag = 1, 1, False, 1, 0
        self.client = tritonclient.http.InferenceServerClient(server.http)

    def next(self):
        self.number += 1
        return self.number

    def answer(self, model):
        tensor = tritonclient.http.InferInput("x", [1], "INT32")
        tensor.set_data_from_numpy(np.zeros(1, np.int32))
        return int(self.client.infer(model, [tensor]).as_numpy("y")[0])

    def wait(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true:\n{self.server.log()[-3000:]}"
            time.sleep(0.01)

    def takes_over(self, model):
        wanted = self.declared[model].now
        self.wait(lambda: self.answer(model) == wanted, f"{model} == {wanted}")
        self.declared[model].took_over()

    def failures(self, model):
        return self.server.metric("nv_model_load_failure", model=model)

    def copy_slowly(self):
        number = self.next()
        self.declared["plain"].begin(number)
        pause = lambda: time.sleep(self.random.choice([0, 0.02, 0.3]))  # noqa: E731
        self.folder.overwrite(adds(number), "plain", str(self.version), "model.onnx", between=pause)
        self.takes_over("plain")

    def replace_at_once(self):
        number = self.next()
        self.declared["plain"].begin(number)
        self.folder.replace(adds(number), "plain", str(self.version), "model.onnx")
        self.takes_over("plain")

    def truncate_and_heal(self):
        before = self.failures("plain")
        with open(self.folder.file("plain", str(self.version), "model.onnx"), "r+b") as file:
            file.truncate(self.random.randrange(2000))
        self.wait(lambda: self.failures("plain") > before, "the truncated file is refused")
        self.replace_at_once()

    def break_the_config(self):
        before = self.failures("plain")
        self.folder.replace(self.random.choice(["input {", "max_batch_size: 'x'", "backend: 'none'"]), "plain", "config.pbtxt")
        self.wait(lambda: self.failures("plain") > before, "the config is refused")
        self.folder.replace(CONFIG, "plain", "config.pbtxt")
        self.replace_at_once()

    def change_the_settings(self):
        count = self.random.choice([1, 2, 3])
        batching = self.random.choice(["", "dynamic_batching { }", "dynamic_batching { preserve_ordering: true }"])
        settings = f"max_batch_size: 0 instance_group {{ count: {count} kind: KIND_CPU }} {batching}"
        # Another one each time, so that it can be told from the one before.
        self.tag += 1
        tag = f'metric_tags {{ key: "edit" value: "{self.tag}" }}'
        self.folder.replace(f"{CONFIG} {settings} {tag}", "plain", "config.pbtxt")
        told = lambda: self.client.get_model_config("plain").get("metric_tags", {}).get("edit")  # noqa: E731
        self.wait(lambda: told() == str(self.tag), "the settings are told")

    def load_the_sums_anew(self):
        before = self.server.metric("nv_model_load_success", model="sums")
        self.tag += 1
        parameter = f'parameters {{ key: "edit" value {{ string_value: "{self.tag}" }} }}'
        self.folder.replace(f"{SUMS} {parameter}", "sums", "config.pbtxt")
        self.wait(lambda: self.server.metric("nv_model_load_success", model="sums") > before, "the sums are loaded")

    def add_and_remove_a_version(self):
        number, old = self.next(), self.declared["plain"].now
        self.declared["plain"].begin(number)
        os.rename(self.folder.prepare({9: adds(number)}) / "9", self.folder.file("plain", "9"))
        self.takes_over("plain")
        self.declared["plain"].begin(old)
        self.folder.remove("plain", "9")
        self.takes_over("plain")

    def swap_links(self):
        number = self.next()
        target = self.folder.prepare({1: adds(number)})
        os.rename(target, self.folder.file("linked", f"..{number}"))
        self.declared["linked"].begin(number)
        os.symlink(f"..{number}", self.folder.file("linked", "..new"))
        os.rename(self.folder.file("linked", "..new"), self.folder.file("linked", "..data"))
        self.takes_over("linked")

    def change_the_pair(self):
        self.pair = self.next()
        self.detour = self.random.random() < 0.5
        steps = ["ones", "thousands", "offset"] if self.detour else ["ones", "thousands"]
        self.declared["pair"].begin(self.pair * 1001 + self.detour * DETOUR)
        edits = [
            lambda: self.folder.replace(adds(self.pair), "ones", "1", "model.onnx"),
            lambda: self.folder.overwrite(adds(self.pair * 1000), "thousands", "1", "model.onnx"),
            lambda: self.folder.replace(chain(*steps), "pair", "config.pbtxt"),
        ]
        self.random.shuffle(edits)
        for edit in edits:
            edit()
        self.takes_over("pair")

    def bring_a_guest(self):
        self.folder.add("guest", {1: adds(0)})
        self.wait(lambda: self.client.is_model_ready("guest"), "the guest serves")
        self.folder.remove("guest")
        self.wait(lambda: not self.client.is_model_ready("guest"), "the guest is gone")

    def edit_the_python_model(self):
        number = self.next()
        for model in ("python", "caller"):
            self.declared[model].begin(number)
        self.folder.replace(adds_in_python(number), "python", "1", "model.py")
        for model in ("python", "caller"):
            self.takes_over(model)

    def deeds(self):
        return [
            self.edit_the_python_model,
            self.copy_slowly,
            self.replace_at_once,
            self.truncate_and_heal,
            self.break_the_config,
            self.change_the_settings,
            self.load_the_sums_anew,
            self.add_and_remove_a_version,
            self.swap_links,
            self.change_the_pair,
            self.bring_a_guest,
        ]


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.add("plain", {1: adds(1)})
    folder.add("ones", {1: adds(1)})
    folder.add("thousands", {1: adds(1000)})
    folder.add("offset", {1: adds(DETOUR)})
    folder.add("pair", {1: None}, chain("ones", "thousands"))
    folder.add("sums", {1: None}, SUMS)
    for name, code in (("python", adds_in_python(1)), ("caller", CALLS)):
        folder.add(name, {1: None}, PYTHON)
        folder.replace(code, name, "1", "model.py")
    folder.file("linked", "1").mkdir(parents=True)
    os.rename(folder.prepare({1: adds(1)}), folder.file("linked", "..1"))
    os.symlink("..1", folder.file("linked", "..data"))
    os.symlink("..data/config.pbtxt", folder.file("linked", "config.pbtxt"))
    os.symlink("../..data/1/model.onnx", folder.file("linked", "1", "model.onnx"))
    return folder


def test_no_request_fails_and_no_answer_is_wrong(folder, request):
    seconds = request.config.getoption("--torture-seconds")
    seed = request.config.getoption("--torture-seed") or random.randrange(1 << 30)
    print(f"--torture-seed={seed}")
    flags = ["--model-control-mode=poll", "--repository-poll-secs=2", f"--backend-directory={BACKENDS}"]
    with ServerProcess(folder.path, flags=flags, timeout=120) as server:
        vandal = Vandal(folder, server, seed)
        clients = Clients(server, vandal.declared)
        end, done = time.monotonic() + seconds, 0
        order = []
        # Every deed at least once, however slow the machine is.
        while time.monotonic() < end or done < len(vandal.deeds()):
            if not order:
                order = vandal.deeds()
                vandal.random.shuffle(order)
            order.pop()()
            done += 1
            assert not clients.faults, "\n".join(clients.faults[:5]) + "\n" + server.log()[-3000:]
        clients.stop()
        assert not clients.faults, "\n".join(clients.faults[:5]) + "\n" + server.log()[-3000:]
        print(f"{done} deeds, {sum(clients.counts.values())} answers: {clients.counts}")
        assert len(clients.counts) == 3 * len(vandal.declared) + 1, "each client was answered"

        for model, declared in vandal.declared.items():
            assert vandal.answer(model) == declared.now, model
        on_disk = {path.name for path in folder.path.iterdir()}
        index = vandal.client.get_model_repository_index()
        assert {entry["name"] for entry in index} == on_disk
        ready = {entry["name"]: entry["version"] for entry in index if entry.get("state") == "READY"}
        assert ready == dict.fromkeys(on_disk, "1")
        assert server.get("/v2/health/ready")[0] == 200
