"""Calls other models with all that a call may say, and with what it must not; returns as JSON what came of it."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils

ROW = np.arange(16, dtype=np.int32).reshape(1, 16)
START, END = pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START, pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END


def values(tensor):
    array = tensor.as_numpy()
    return [text.decode() for text in array.reshape(-1)] if array.dtype == np.object_ else array.reshape(-1).tolist()


def told(answer):
    if answer.has_error():
        return {"error": [int(answer.error().code()), answer.error().message()]}
    return {tensor.name(): values(tensor) for tensor in answer.output_tensors()}


def call(model, outputs, inputs, decoupled=False, **options):
    tensors = [pb_utils.Tensor(name, array) for name, array in inputs.items()]
    request = pb_utils.InferenceRequest(model_name=model, requested_output_names=outputs, inputs=tensors, **options)
    answers = request.exec(decoupled=decoupled)
    return [told(answer) for answer in answers] if decoupled else told(answers)


def simple(outputs=("OUTPUT0", "OUTPUT1"), inputs=None, **options):
    return call("simple", list(outputs), inputs or {"INPUT0": ROW, "INPUT1": ROW}, **options)


def tells(**options):
    return call("told", ["TOLD", "OTHER"], {"IN": np.array([1], dtype=np.int32)}, **options)


def summed(value, flags, who):
    return call("accumulate", ["SUM"], {"IN": np.array([[value]], dtype=np.int32)}, flags=flags, correlation_id=who)


def counted(count, how="", **options):
    inputs = {"COUNT": np.array([count], dtype=np.int32), "HOW": np.array([how.encode()], dtype=np.object_)}
    return call("countdown", ["OUT"], inputs, **options)


WAYS = {
    "plainly": simple,
    "outputs in another order": lambda: simple(["OUTPUT1", "OUTPUT0"]),
    "no outputs": lambda: simple([]),
    "an output that there is not": lambda: simple(["OUTPUT0", "OTHER"]),
    "version 1": lambda: simple(model_version=1),
    "version 7": lambda: simple(model_version=7),
    "no inputs": lambda: call("simple", ["OUTPUT0"], {}),
    "an input too few": lambda: simple(inputs={"INPUT0": ROW}),
    "an input of another type": lambda: simple(inputs={"INPUT0": ROW, "INPUT1": ROW.astype(np.float32)}),
    "an input of another shape": lambda: simple(inputs={"INPUT0": ROW, "INPUT1": ROW.reshape(2, 8)}),
    "an input of another rank": lambda: simple(inputs={"INPUT0": ROW, "INPUT1": ROW.reshape(16)}),
    "memory of the CPU": lambda: simple(preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)),
    "all that is told": lambda: tells(
        request_id="of the call", correlation_id=5, flags=START, timeout=5_000_000, parameters={"a": "b", "n": 5, "yes": True}
    ),
    "a sequence by name": lambda: tells(correlation_id="by name", flags=END),
    "parameters of other types": lambda: tells(parameters={"x": 1.5}),
    "parameters that are lists": lambda: tells(parameters={"x": [1]}),
    "optional inputs left out": lambda: call("told", ["OTHER"], {}),
    "a sequence": lambda: [summed(1, START, 901), summed(2, 0, 901), summed(3, END, 901)],
    "a sequence without a start": lambda: summed(1, 0, 902),
    "a sequence without a number": lambda: summed(1, START, 0),
    "strings": lambda: call("strings", ["UPPER", "LENGTH"], {"TEXT": np.array([b"", "größer".encode()], dtype=np.object_)}),
    "an error": lambda: call("faults", ["OUT"], {"WHAT": np.array([b"error"], dtype=np.object_)}),
    "an error with a code": lambda: call("faults", ["OUT"], {"WHAT": np.array([b"NOT_FOUND"], dtype=np.object_)}),
    "an exception": lambda: call("faults", ["OUT"], {"WHAT": np.array([b"raise"], dtype=np.object_)}),
    "a stream": lambda: counted(3, decoupled=True),
    "an empty stream": lambda: counted(0, decoupled=True),
    "a stream of one that has none": lambda: simple(decoupled=True),
    "a model that there is not": lambda: call("nothing", ["OUTPUT0"], {"INPUT0": ROW}),
    "an ensemble": lambda: call("ens", ["SUM"], {"A": ROW, "B": ROW}),
}


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            how = pb_utils.get_input_tensor_by_name(request, "HOW").as_numpy()[0].decode()
            try:
                found = WAYS[how]()
            except Exception as error:
                found = {"raised": [type(error).__name__, str(error)]}
            text = np.array([json.dumps(found, sort_keys=True, ensure_ascii=False)], dtype=np.object_)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("TOLD", text)]))
        return responses
