"""V1, by the package tensorrtserver 1.11.0."""

import threading
import urllib.request

import numpy as np
from tensorrtserver.api import InferContext, InferenceServerException, ProtocolType, server_status_pb2

OCTETS = "?format=binary"


class Verbatim(str):
    """Bytes that stay as they are. The client writes an array of objects by the text of each, which of bytes is b'...', and one
    of NumPy's bytes would lose the zeros at their ends."""

    def __new__(cls, data):
        made = super().__new__(cls)
        made.data = data
        return made

    def __str__(self):
        return self

    def encode(self, *_):
        return self.data


def as_client_wants(array):
    """The array such that the client sends what it says: it knows bytes of NumPy and objects, but no arrays of texts."""
    if array.dtype.kind not in "OU":
        return array
    wanted = array.astype(object)
    for place, each in enumerate(wanted.flat):
        if isinstance(each, bytes):
            wanted.flat[place] = Verbatim(each)
    return wanted


def status_over_http(url, model):
    with urllib.request.urlopen(f"http://{url}/api/status/{model}{OCTETS}") as reply:
        return server_status_pb2.ServerStatus.FromString(reply.read())


def status_over_grpc(url, model):
    import grpc
    from tensorrtserver.api import grpc_service_pb2, grpc_service_pb2_grpc

    with grpc.insecure_channel(url) as channel:
        stub = grpc_service_pb2_grpc.GRPCServiceStub(channel)
        return stub.Status(grpc_service_pb2.StatusRequest(model_name=model)).server_status


class Engine:
    def __init__(self, url, model, version, is_http):
        protocol = ProtocolType.from_str("HTTP" if is_http else "gRPC")
        # It raises the server's error if there is no such model.
        self.context = InferContext(url, protocol, model, version)
        # Not by ServerStatusContext, which fails under protobuf 3.20.3 in Python 3.11.
        status = (status_over_http if is_http else status_over_grpc)(url, model)
        status = status.model_status[model]
        if not status.config.output:
            versions = status.version_status.items()
            reasons = [f"version {number}: {each.ready_state_reason.message}" for number, each in versions]
            raise RuntimeError(f"model '{model}' is not served: {'; '.join(reasons) or 'it has no version'}")
        self.model, self.inputs = model, [tensor.name for tensor in status.config.input]
        self.outputs = {output.name: InferContext.ResultFormat.RAW for output in status.config.output}
        # The library is not made for several threads that start requests at a time.
        self.starting = threading.Lock()

    def run(self, inputs, batch_size):
        return self.context.run(self.arrays(inputs), self.outputs, batch_size)

    def start(self, inputs, batch_size, done):
        def ended(context, request_id):
            done(lambda: context.get_async_run_results(request_id))

        with self.starting:
            self.context.async_run(ended, self.arrays(inputs), self.outputs, batch_size)

    def times(self):
        stat = self.context.get_stat()
        names = ("total_request_time_ns", "send_time_ns", "receive_time_ns")
        return (stat["completed_request_count"], *(stat[f"cumulative_{name}"] for name in names))

    def close(self):
        self.context.close()

    def arrays(self, inputs):
        missing = [name for name in self.inputs if name not in inputs]
        if missing:
            # Over gRPC the library would end the process.
            raise ValueError(
                f"model '{self.model}' takes the inputs {self.inputs}, of which {missing} are missing: "
                "the client of V1 sends optional ones, too"
            )
        return {name: [as_client_wants(array) for array in value] for name, value in inputs.items()}


__all__ = ["Engine", "InferenceServerException"]
