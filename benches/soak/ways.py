"""What is asked. Each way is a class: `step()` asks once or some times, and raises `Wrong` if an answer is not what it has
to be. Each has a client of its own, so that several of them run at once.
"""

import contextlib
import os
import queue

import numpy as np
import tritonclient.grpc
import tritonclient.http
import tritonclient.utils.shared_memory as shared_memory
from tritonclient.utils import InferenceServerException

from ..compare.rows import FLOATS_4_9_MB

MODULES = {"http": tritonclient.http, "grpc": tritonclient.grpc}
KINDS = {"float32": "FP32", "int32": "INT32"}
# How much batches may change the last digits of a float.
CLOSE = 1e-5


class Wrong(Exception):
    """An answer came, and is not right."""


def same(got, wanted, what):
    if got is None or got.shape != wanted.shape or got.dtype != wanted.dtype or not np.array_equal(got, wanted):
        raise Wrong(f"{what}: {got!r} instead of {wanted!r}"[:600])


class Way:
    def __init__(self, protocol, address, random):
        self.protocol, self.random, self.module = protocol, random, MODULES[protocol]
        options = {"network_timeout": 120, "connection_timeout": 120} if protocol == "http" else {}
        self.client = self.module.InferenceServerClient(address, **options)

    def tensor(self, name, data):
        tensor = self.module.InferInput(name, list(data.shape), KINDS[str(data.dtype)])
        tensor.set_data_from_numpy(data)
        return tensor

    def floats(self, *dims):
        return self.random.standard_normal(dims, dtype=np.float32)

    def numbers(self, *dims):
        return self.random.integers(-1000, 1000, dims, dtype=np.int32)

    def close(self):
        self.client.close()


class Identity(Way):
    size = 16

    def step(self):
        data = self.floats(self.size)
        answer = self.client.infer("identity", [self.tensor("INPUT0", data)])
        same(answer.as_numpy("OUTPUT0"), data, f"identity of {self.size}")


class Large(Identity):
    size = FLOATS_4_9_MB


class AddSub(Way):
    model = "simple"

    def step(self):
        batch = int(self.random.integers(1, 9))
        a, b = self.numbers(batch, 16), self.numbers(batch, 16)
        answer = self.client.infer(self.model, [self.tensor("INPUT0", a), self.tensor("INPUT1", b)])
        same(answer.as_numpy("OUTPUT0"), a + b, "sum")
        same(answer.as_numpy("OUTPUT1"), a - b, "difference")


class Mlp(Way):
    """Inputs whose outputs were asked for one by one, before anything else ran."""

    known = None

    @classmethod
    def learn(cls, address):
        way = cls("grpc", address, np.random.default_rng(1))
        inputs = [way.floats(1, 256) for _ in range(64)]
        cls.known = [(x, way.client.infer("mlp", [way.tensor("x", x)]).as_numpy("y")) for x in inputs]
        way.close()

    def step(self):
        chosen = [self.known[i] for i in self.random.integers(0, len(self.known), int(self.random.integers(1, 5)))]
        x, wanted = (np.concatenate(part) for part in zip(*chosen))
        got = self.client.infer("mlp", [self.tensor("x", x)]).as_numpy("y")
        if got.shape != wanted.shape or not np.allclose(got, wanted, rtol=CLOSE, atol=CLOSE):
            raise Wrong(f"mlp of {len(chosen)}: off by {np.abs(got - wanted).max() if got.shape == wanted.shape else got.shape}")


class Sequence(Way):
    """One sequence of numbers, each answer the sum so far."""

    def step(self):
        sequence, total, length = int(self.random.integers(1, 1 << 62)), 0, int(self.random.integers(1, 12))
        for i in range(length):
            data = self.numbers(1, 1)
            total += int(data[0, 0])
            ends = {"sequence_start": i == 0, "sequence_end": i == length - 1}
            answer = self.client.infer("sums", [self.tensor("INPUT", data)], sequence_id=sequence, **ends)
            same(answer.as_numpy("OUTPUT"), np.array([[total]], np.int32), f"sum of sequence {sequence}")


class Stream(Way):
    """Many requests at once over a stream."""

    count = 48

    def send(self, wanted):
        raise NotImplementedError

    def step(self):
        answers, wanted = queue.Queue(), []
        self.client.start_stream(lambda result, error: answers.put((result, error)))
        try:
            self.send(wanted)
            for n, (output, value) in enumerate(wanted):
                result, error = answers.get(timeout=120)
                if error is not None:
                    raise error
                if (told := result.get_response().id) != str(n):
                    raise Wrong(f"answer {told} of a stream came as number {n}")
                same(result.as_numpy(output), value, f"answer {n} of a stream")
        finally:
            self.client.stop_stream()


class OrderedStream(Stream):
    """`preserve_ordering`: two instances, and answers in the order of the requests."""

    def send(self, wanted):
        for n in range(self.count):
            batch = int(self.random.integers(1, 9))
            a, b = self.numbers(batch, 16), self.numbers(batch, 16)
            wanted.append(("OUTPUT0", a + b))
            tensors = [self.tensor("INPUT0", a), self.tensor("INPUT1", b)]
            self.client.async_stream_infer("ordered", tensors, request_id=str(n))


class SequenceStream(Stream):
    """A sequence that is sent at once. It keeps its order."""

    def send(self, wanted):
        sequence, total = int(self.random.integers(1, 1 << 62)), 0
        for n in range(self.count):
            data = self.numbers(1, 1)
            total += int(data[0, 0])
            wanted.append(("OUTPUT", np.array([[total]], np.int32)))
            ends = {"sequence_start": n == 0, "sequence_end": n == self.count - 1}
            tensors = [self.tensor("INPUT", data)]
            self.client.async_stream_infer("sums", tensors, request_id=str(n), sequence_id=sequence, **ends)


class Shared(Way):
    """Inputs and outputs in shared memory, which is registered anew now and then."""

    floats_most = 1 << 16

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.name = f"soak-{os.getpid()}-{id(self)}"
        self.region = shared_memory.create_shared_memory_region(self.name, f"/{self.name}", self.floats_most * 8)
        self.register()

    def register(self):
        self.client.register_system_shared_memory(self.name, f"/{self.name}", self.floats_most * 8)

    def step(self):
        if self.random.integers(0, 50) == 0:
            self.client.unregister_system_shared_memory(self.name)
            self.register()
        data = self.floats(int(self.random.integers(1, self.floats_most)))
        half = self.floats_most * 4
        shared_memory.set_shared_memory_region(self.region, [data, np.zeros(1, np.float32)])
        tensor = self.module.InferInput("INPUT0", list(data.shape), "FP32")
        tensor.set_shared_memory(self.name, data.nbytes)
        output = self.module.InferRequestedOutput("OUTPUT0")
        output.set_shared_memory(self.name, data.nbytes, half)
        self.client.infer("identity", [tensor], outputs=[output])
        got = shared_memory.get_contents_as_numpy(self.region, np.float32, list(data.shape), half)
        same(got, data, "identity in shared memory")

    def close(self):
        with contextlib.suppress(InferenceServerException):
            self.client.unregister_system_shared_memory(self.name)
        shared_memory.destroy_shared_memory_region(self.region)
        super().close()


class Refused(Way):
    """Requests that are wrong in some way, each of which has to be refused for its own reason."""

    def wrong(self):
        good = self.numbers(1, 16)
        pair = self.tensor("INPUT1", good)
        return [
            ("simple", [self.tensor("INPUT0", self.numbers(1, 15)), pair], "shape"),
            ("simple", [self.tensor("INPUT0", self.numbers(9, 16)), self.tensor("INPUT1", self.numbers(9, 16))], "batch"),
            ("simple", [self.tensor("INPUT0", self.floats(1, 16)), pair], "data"),
            ("simple", [pair], "input"),
            ("nobody", [pair], "nobody"),
            ("sums", [self.tensor("INPUT", self.numbers(1, 1))], "correlation"),
        ]

    def step(self):
        cases = self.wrong()
        model, tensors, reason = cases[int(self.random.integers(0, len(cases)))]
        try:
            self.client.infer(model, tensors)
        except InferenceServerException as e:
            if reason not in str(e):
                raise Wrong(f"a wrong request to {model} was refused with {e}, not for its {reason}") from e
            return
        raise Wrong(f"a request to {model} with a wrong {reason} was answered")


BOTH = [Identity, AddSub, Mlp, Large, Sequence, Shared, Refused]
WAYS = [(way, protocol) for way in BOTH for protocol in MODULES] + [(OrderedStream, "grpc"), (SequenceStream, "grpc")]
