"""V1, by the package tensorrtserver 1.11.0."""

import threading
import urllib.request

import numpy as np
from tensorrtserver.api import InferContext, InferenceServerException, ProtocolType, server_status_pb2

OCTETS = "?format=binary"


def as_client_wants(array):
    """The client writes the bytes of an array of bytes, but of one of objects their text, as in b'...'."""
    is_bytes = array.dtype == object and all(isinstance(each, bytes) for each in array.flat)
    return array.astype(np.bytes_) if is_bytes else array


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
        outputs = status.model_status[model].config.output
        self.outputs = {output.name: InferContext.ResultFormat.RAW for output in outputs}
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

    @staticmethod
    def arrays(inputs):
        return {name: [as_client_wants(array) for array in value] for name, value in inputs.items()}


__all__ = ["Engine", "InferenceServerException"]
