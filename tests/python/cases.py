"""Requests to the models beside this file, and what becomes of them, as JSON: for `record.py`, which asks Triton, and for
clients/test_python_answers.py, which asks the server and compares.
"""

import json
import os
import queue
import re
import shutil
import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(os.path.dirname(HERE), "golden")
RECORDED = os.path.join(HERE, "recorded.json")
TIMEOUT = 60
# What models of these tests write to the log, as this server and as Triton writes it: level and text.
LOGGED = r'(?m)^(?:\S+ +(INFO|WARN|ERROR|DEBUG) |([IWE])\d{4} .*?\] "?)(LOGGED [\w ,]+?)(?= file=|"|$)'

NUMPY = {"BOOL": "bool", "BYTES": "object", "FP16": "float16", "FP32": "float32", "FP64": "float64"}
NUMPY |= {f"{u}INT{n}": f"{u.lower()}int{n}" for u in ("U", "") for n in (8, 16, 32, 64)}

# Tests load these themselves: they fail, or they are about loading.
NOT_LOADED = ("bad_", "warmed")


def make_repository(folder):
    """The models beside this file and two of the golden ones, an ONNX model and an ensemble of it. Returns what to load."""
    shutil.copytree(os.path.join(HERE, "models"), folder, dirs_exist_ok=True)
    for name in ("simple", "ens"):
        shutil.copytree(os.path.join(GOLDEN, "models", name), os.path.join(folder, name))
    sys.path.insert(0, GOLDEN)
    import make_models

    with open(os.path.join(folder, "simple", "1", "model.onnx"), "wb") as f:
        f.write(make_models.add_sub())
    # The models that complete their config differ by a parameter alone.
    template = os.path.join(folder, "bad_completion")
    for how in COMPLETIONS:
        copied = shutil.copytree(template, os.path.join(folder, f"bad_completion_{how}"))
        with open(os.path.join(copied, "config.pbtxt"), "a", encoding="utf-8") as f:
            f.write(f'parameters {{ key: "how" value {{ string_value: "{how}" }} }}\n')
    shutil.rmtree(template)
    return sorted(name for name in os.listdir(folder) if not name.startswith(NOT_LOADED))


def array(datatype, shape, values):
    if datatype == "BYTES":
        values = [v if isinstance(v, bytes) else v.encode() for v in values]
    return np.array(values, dtype=NUMPY[datatype]).reshape(shape)


def text(value):
    return ("BYTES", [1], [value])


class Case:
    """A request, or several at once, for each of which there are inputs. `inputs` are {name: (datatype, shape, values)}; the options are those of tritonclient's `infer`."""

    def __init__(self, name, model, inputs, stream=False, outputs=None, over=("grpc", "http"), **options):
        self.name, self.model, self.inputs, self.stream = name, model, inputs, stream
        self.outputs, self.over, self.options = outputs, ("grpc",) if stream else over, options


def i32(*values):
    return ("INT32", [len(values)], list(values))


ROW = ("INT32", [1, 16], list(range(16)))
ONES = ("INT32", [1, 16], [1] * 16)
ADDED = {"INPUT0": ("FP32", [1, 4], [1, 2, 3, 4]), "INPUT1": ("FP32", [1, 4], [1, 2, 3, 4])}
TYPES = {
    "IN_BOOL": ("BOOL", [2], [True, False]),
    "IN_UINT8": ("UINT8", [2], [0, 255]),
    "IN_UINT16": ("UINT16", [2], [0, 65535]),
    "IN_UINT32": ("UINT32", [2], [0, 2**32 - 1]),
    "IN_UINT64": ("UINT64", [2], [0, 2**64 - 1]),
    "IN_INT8": ("INT8", [2], [-128, 127]),
    "IN_INT16": ("INT16", [2], [-32768, 32767]),
    "IN_INT32": ("INT32", [2], [-(2**31), 2**31 - 1]),
    "IN_INT64": ("INT64", [2], [-(2**63), 2**63 - 1]),
    "IN_FP16": ("FP16", [2], [-0.5, 65504]),
    "IN_FP32": ("FP32", [2], [-0.5, 3e38]),
    "IN_FP64": ("FP64", [2], [-0.5, 1e300]),
    "IN_STRING": ("BYTES", [3], ["", "a", "größer"]),
}
ERRORS = ["UNKNOWN", "INTERNAL", "NOT_FOUND", "INVALID_ARG", "UNAVAILABLE", "UNSUPPORTED", "ALREADY_EXISTS", "CANCELLED"]
FAULTS = ["right", "raise", "raise unicode", "raise triton", "error", "error and outputs", "too few", "too many"]
FAULTS += ["no list", "no response", "no outputs", "unknown output", "another type", "another shape", "strided"]


SENT = ["sent", "sent, None in the list", "sent, then ended", "error", "returned"]
HANDED = ["the input", "its capsule", "no tensor"]
MEETINGS = [["", "", "", ""], ["", "error", "", "error"], ["", "", "raise", ""], ["", "", "", "too few"], ["too many", "", "", ""]]
MEETINGS += [["", "two rows", "", ""]]
ASKED = ["plainly", "outputs in another order", "no outputs", "an output that there is not"]
ASKED += ["version 1", "version 7", "no inputs", "an input too few", "an input of another type"]
ASKED += ["an input of another shape", "an input of another rank", "memory of the CPU", "all that is told"]
ASKED += ["a sequence by name", "parameters of other types", "parameters that are lists", "optional inputs left out", "a sequence"]
ASKED += ["a sequence without a start", "a sequence without a number", "strings", "an error", "an error with a code"]
ASKED += ["an exception", "a stream", "an empty stream", "a stream of one that has none", "a model that there is not", "an ensemble"]
MEASURED = ["again", "no labels", "less", "a family again", "gone", "no buckets", "buckets of a gauge"]
COMPLETIONS = ["right", "given", "conflict", "no_name", "no_type", "no_dims", "odd_key", "odd_policy", "batch_less", "none", "dict"]
COMPLETIONS += ["nothing", "odd_type", "batching_without"]


def bls(name, model, a=ROW, b=ONES):
    return Case(name, "bls", {"MODEL": text(model), "INPUT0": a, "INPUT1": b}, request_id="from outside")


def counted(name, count, how=None, stream=True, model="countdown", shape=(1,)):
    inputs = {"COUNT": ("INT32", list(shape), [count])} | ({"HOW": text(how)} if how is not None else {})
    return Case(name, model, inputs, stream=stream)


SCORES = {"IN": ("FP32", [2, 3], [1, 3, 2, 0.5, -1, 9])}


def managed(what, name, when=""):
    return Case(f"manager {what} {name}{when}", "manager", {"WHAT": ("BYTES", [2], [what, name])})


def summed(name, value, start=False, end=False, sequence=77):
    """Over HTTP the sequence would go on that ended over gRPC."""
    options = {"sequence_id": sequence, "sequence_start": start, "sequence_end": end}
    return Case(name, "accumulate", {"IN": ("INT32", [1, 1], [value])}, over=["grpc"], **options)


CASES = [
    Case("add_sub", "add_sub", ADDED),
    Case("add_sub of three rows", "add_sub", {k: (d, [3, 2], [*v, 5, 6]) for k, (d, _, v) in ADDED.items()}),
    Case("add_sub, one output", "add_sub", ADDED, outputs=["OUTPUT1"]),
    Case("add_sub of no columns", "add_sub", {name: ("FP32", [1, 0], []) for name in ADDED}),
    Case("add_sub of lengths that differ", "add_sub", ADDED | {"INPUT1": ("FP32", [1, 3], [1, 2, 3])}),
    Case("ensemble of Python models", "simple_ensemble", {k: (d, [4], v) for k, (d, _, v) in ADDED.items()}),
    Case("strings", "strings", {"TEXT": ("BYTES", [4], ["", "abc", "größer", "x" * 300])}),
    Case("strings that are no UTF-8", "strings", {"TEXT": ("BYTES", [2], [b"\xff\x00a", b"\x00"])}),
    Case("no strings", "strings", {"TEXT": ("BYTES", [0], [])}),
    Case("types", "types", TYPES),
    Case("types, empty", "types", {name: (datatype, [0], []) for name, (datatype, _, _) in TYPES.items()}),
    Case("types, one of them", "types", {"IN_FP16": TYPES["IN_FP16"]}, outputs=["OUT_FP16"]),
    Case("types, one that is not returned", "types", {"IN_FP16": TYPES["IN_FP16"]}, outputs=["OUT_FP32"]),
    *(counted(f"countdown {how or 'plain'}", 4, how) for how in (None, "thread", "error", "flag", "raise", "again")),
    counted("countdown from 0", 0),
    counted("countdown, not streamed", 1, stream=False),
    counted("coroutines", 3, model="coroutines"),
    bls("bls", "simple"),
    bls("bls of an ensemble", "ens"),
    bls("bls of Python", "bls_same"),
    bls("bls of nothing", "nothing"),
    bls("bls of a model with other inputs", "strings"),
    bls("bls of a decoupled model", "countdown"),
    Case("bls_async", "bls_async", {"INPUT0": ROW, "INPUT1": ONES}),
    Case("bls_stream", "bls_stream", {"COUNT": i32(5), "HOW": text("")}),
    Case("bls_stream from a thread", "bls_stream", {"COUNT": i32(5), "HOW": text("thread")}),
    Case("bls_stream, an error", "bls_stream", {"COUNT": i32(4), "HOW": text("error")}),
    counted("bls_stream_async", 3, model="bls_stream_async"),
    *(Case(f"fault {what}", "faults", {"WHAT": text(what)}) for what in FAULTS + ERRORS),
    Case("no such fault", "faults", {"WHAT": text("nonsense")}),
    Case("completed", "completed", {"IN": ("INT32", [2, 2], [1, 2, 3, 4])}),
    Case("completed, more", "completed", {"IN": ("INT32", [1, 1], [1]), "MORE": ("INT32", [1, 1], [5])}),
    Case("completed, too many rows", "completed", {"IN": ("INT32", [5, 1], [1] * 5)}),
    Case("completed_decoupled", "completed_decoupled", {"IN": ("INT64", [1], [5])}, stream=True),
    Case("measured", "measured", {"VALUE": ("FP64", [1], [7.5])}),
    Case("told", "told", {"IN": i32(1)}),
    Case("told, nothing given but an output", "told", {"IN": i32(1)}, outputs=["TOLD"], request_id="an id"),
    Case("told, parameters", "told", {"IN": i32(1)}, parameters={"word": "x", "number": -5, "yes": True}, timeout=5_000_000),
    Case("told, a sequence", "told", {"IN": i32(1)}, sequence_id=42, sequence_start=True),
    Case("told, a sequence by name", "told", {"IN": i32(1)}, sequence_id="by name", sequence_end=True),
    Case("renamed", "renamed", {"IN": i32(1, 2)}),
    Case("iterative", "iterative", {"COUNT": ("INT32", [1, 1], [4])}),
    summed("accumulate, start", 1, start=True),
    summed("accumulate, another", 100, start=True, sequence=78),
    summed("accumulate, on", 2),
    summed("accumulate, end", 3, end=True),
    summed("accumulate, without a start", 1, sequence=79),
    *(managed(*both) for both in (("ready", "simple"), ("unload", "simple"), ("ready", "simple", ", unloaded"), ("load", "simple"))),
    *(managed(*both) for both in (("load given", "given"), ("ready", "given"))),
    Case("given", "given", {"IN": i32(41)}),
    managed("unload", "given"),
    Case("given, unloaded", "given", {"IN": i32(41)}),
    *(Case(f"answering {how}", "answering", {"HOW": text(how)}) for how in SENT),
    *(Case(f"dlpack of {how}", "dlpack", {"HOW": text(how), "IN": ("FP32", [2, 3], list(range(6)))}) for how in HANDED),
    *(Case(f"together {what}", "together", [{"WHAT": ("BYTES", [1, 1], [w])} for w in what], over=["grpc"]) for what in MEETINGS),
    Case("helpers", "helpers", {"IN": ("BOOL", [2, 1], [True, False])}),
    Case("helpers, of nothing", "helpers", {}),
    Case("helpers, version 1", "helpers", {"IN": ("BOOL", [1, 1], [True])}, outputs=["TOLD"], model_version="1"),
    Case("helpers, version 2", "helpers", {"IN": ("BOOL", [1, 1], [True])}, model_version="2"),
    counted("iterative_stream", 3, model="iterative_stream", shape=[1, 1]),
    Case("scores", "scores", SCORES),
    Case("scores, two classes", "scores", SCORES, outputs=[("SCORES", 2)]),
    Case("logs", "logs", {"TEXT": text("told")}),
    *(Case(f"asking, {how}", "asking", {"HOW": text(how)}) for how in ASKED),
    *(Case(f"measuring {how}", "measuring", {"HOW": text(how)}) for how in MEASURED),
]
LOADS = ["warmed", "bad_syntax", "bad_no_class", "bad_no_execute", "bad_import", "bad_initialize", "bad_initialize_error"]
LOADS += ["bad_auto_complete", "bad_finalize", *(f"bad_completion_{how}" for how in COMPLETIONS)]
CONFIGS = ["add_sub", "completed", "completed_decoupled", *(f"bad_completion_{how}" for how in COMPLETIONS)]
STATISTICS = ["answering", "together", "iterative_stream", "logs", "add_sub", "countdown", "faults", "bls", "simple", "eight", "warmed"]


class Peer:
    """A server that is asked. `folder` is its repository, which texts name."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.clients = {
            "http": http.InferenceServerClient(server.http, connection_timeout=TIMEOUT, network_timeout=TIMEOUT),
            "grpc": grpc.InferenceServerClient(server.grpc),
        }

    def close(self):
        for client in self.clients.values():
            client.close()

    def cleaned(self, told):
        told = told.replace(self.folder, "REPOSITORY")
        told = re.sub(r"/\S*/(?=triton_python_backend_utils\.py)", "BACKEND/", told)
        return re.sub(r"/\S*/folders/[^/]*/|/tmp/folder\w{6}/", "FILES/", told)

    def error(self, error):
        return {"error": [error.status(), self.cleaned(error.message())]}

    def outputs(self, result, protocol):
        if protocol == "http":
            described = result.get_response()["outputs"] if "outputs" in result.get_response() else []
        else:
            described = result.get_response(as_json=True).get("outputs", [])
        found = {}
        for output in described:
            values = result.as_numpy(output["name"])
            if output["datatype"] == "BYTES":
                values = [self.cleaned(value.decode("latin-1")) for value in values.reshape(-1)]
            else:
                values = [] if values is None else values.reshape(-1).tolist()
            found[output["name"]] = [output["datatype"], [int(n) for n in output["shape"]], values]
        return {"outputs": found}

    def prepared(self, case, protocol, all_inputs=None):
        module = {"http": http, "grpc": grpc}[protocol]
        inputs = []
        for name, given in (case.inputs if all_inputs is None else all_inputs).items():
            inputs.append(module.InferInput(name, given[1], given[0]))
            inputs[-1].set_data_from_numpy(array(*given))
        outputs = case.outputs and [self.output(module, given) for given in case.outputs]
        return {"model_name": case.model, "inputs": inputs, "outputs": outputs, **case.options}

    def output(self, module, given):
        """One that is named, or the classes of one."""
        name, classes = (given, 0) if isinstance(given, str) else given
        return module.InferRequestedOutput(name, class_count=classes)

    def met(self, case):
        """Requests that are there at once; each one's answer."""
        arrived = queue.Queue()
        for n, inputs in enumerate(case.inputs):
            prepared = self.prepared(case, "grpc", inputs)
            self.clients["grpc"].async_infer(
                callback=lambda result, error, n=n: arrived.put((n, result, error)), client_timeout=TIMEOUT, **prepared
            )
        found = {}
        for _ in case.inputs:
            n, result, error = arrived.get(timeout=TIMEOUT)
            found[n] = self.outputs(result, "grpc") if error is None else self.error(error)
        return {"met": [found[n] for n in sorted(found)]}

    def ask(self, case, protocol):
        if isinstance(case.inputs, list):
            return self.met(case)
        client, prepared = self.clients[protocol], self.prepared(case, protocol)
        try:
            if case.stream:
                return self.streamed(client, prepared)
            if protocol == "grpc":
                prepared["client_timeout"] = TIMEOUT
            return self.outputs(client.infer(**prepared), protocol)
        except InferenceServerException as error:
            return self.error(error)

    def streamed(self, client, prepared):
        """All responses until the final one, whether that has outputs."""
        arrived, responses = queue.Queue(), []
        client.start_stream(lambda result, error: arrived.put((result, error)))
        try:
            client.async_stream_infer(enable_empty_final_response=True, **prepared)
            while True:
                result, error = arrived.get(timeout=TIMEOUT)
                if error is not None:
                    responses.append(self.error(error))
                    return {"stream": responses}
                responses.append(self.outputs(result, "grpc"))
                if result.get_response().parameters["triton_final_response"].bool_param:
                    return {"stream": responses}
        finally:
            client.stop_stream(cancel_requests=True)

    def load(self, name):
        try:
            self.clients["http"].load_model(name)
            return "loaded"
        except InferenceServerException as error:
            return self.error(error)

    def config(self, name):
        return json.loads(self.server.get(f"/v2/models/{name}/config")[1])

    def statistics(self, name):
        """The counts of a model: those of executions depend on how requests met."""
        (found,) = json.loads(self.server.get(f"/v2/models/{name}/stats")[1])["model_stats"]
        counts = {key: value["count"] for key, value in found["inference_stats"].items()}
        return {"inferences": found["inference_count"], "executions": found["execution_count"], **counts}

    def logs(self):
        """What models had written to the log: the begin of the level, and the text."""
        return [[ours[:1] or theirs, told] for ours, theirs, told in re.findall(LOGGED, self.server.log())]

    def metrics(self):
        page = self.server.get("/metrics", self.server.metrics_port)[1].decode()
        return sorted(line for line in page.splitlines() if "py_" in line)


def run(peer, say=lambda name: None):
    """{section: {name: what came}}, in an order that is always the same."""
    answers = {}
    for case in CASES:
        for protocol in case.over:
            say(f"{case.name} over {protocol}")
            answers[f"{case.name} over {protocol}"] = peer.ask(case, protocol)
    loads = {name: peer.load(name) for name in LOADS}
    warmed = Case("warmed", "warmed", {"IN": ("INT32", [1, 3], [1, 2, 3])})
    answers["warmed"] = peer.ask(warmed, "grpc")
    return {
        "answers": answers,
        "loads": loads,
        "configs": {name: peer.config(name) for name in CONFIGS},
        "statistics": {name: peer.statistics(name) for name in STATISTICS},
        "metrics": peer.metrics(),
        "logs": peer.logs(),
    }
