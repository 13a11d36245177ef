"""Runs test functions with the client of V1, in a process of its own: its protobuf and NumPy are those of its time.

    v1_worker.py RESULTS

Reads a line of JSON for each function: {"source", "name", "where"}. Answers each by a line of JSON on the file descriptor
RESULTS: {"error": null or a text, "value": what the function returned}. v1.py starts it.
"""

import contextlib
import json
import os
import sys
import textwrap
import threading
import traceback
import types
import warnings

warnings.filterwarnings("ignore", category=UserWarning)

import numpy as np  # noqa: E402
from google.protobuf.internal import api_implementation  # noqa: E402
from google.protobuf.message import Message  # noqa: E402

if api_implementation.Type() == "python":
    # protobuf 3.20.3 has no wheel in C++ for Python 3.11, and the one in Python cannot read an array of ctypes.
    def parse(message, serialized):
        message.Clear()
        return message.MergeFromString(bytes(serialized))

    Message.ParseFromString = parse

import tensorrtserver.api as api  # noqa: E402
import tensorrtserver.shared_memory as shm  # noqa: E402
from tensorrtserver.api import grpc_service_pb2, server_status_pb2  # noqa: E402

START, END = api.InferRequestHeader.FLAG_SEQUENCE_START, api.InferRequestHeader.FLAG_SEQUENCE_END
RAW = api.InferContext.ResultFormat.RAW
CLASS = api.InferContext.ResultFormat.CLASS


class Where:
    """The server and the protocol that a function talks to, and what most of them need."""

    api, np, shm, messages, grpc_messages = api, np, shm, server_status_pb2, grpc_service_pb2
    RAW, CLASS, START, END = RAW, CLASS, START, END

    def __init__(self, http, grpc, protocol, **more):
        self.http, self.grpc, self.protocol = http, grpc, api.ProtocolType.from_str(protocol)
        self.is_http = protocol == "HTTP"
        self.url = http if self.is_http else grpc
        self.more = types.SimpleNamespace(**more)

    def context(self, model, version=None, **more):
        return api.InferContext(self.url, self.protocol, model, version, **more)

    def status(self, model=None):
        with api.ServerStatusContext(self.url, self.protocol, model) as context:
            return context.get_server_status()

    def other(self, kind):
        """A context that is for no model: ServerHealthContext and its like."""
        return getattr(api, kind)(self.url, self.protocol)

    @contextlib.contextmanager
    def refused(self, text):
        """The client raises the server's error with this text, or one that contains it."""
        try:
            yield
        except api.InferenceServerException as error:
            assert text in error.message(), f"expected {text!r}, got {error.message()!r}"
            return
        raise AssertionError(f"expected {text!r}, got no error")

    def gather(self, context, count, start):
        """Calls start(callback, n) so many times, and returns the results of each by n."""
        done, ids = threading.Semaphore(0), {}

        def ended(n):
            def callback(_, request_id):
                ids[n] = request_id
                done.release()

            return callback

        for n in range(count):
            start(ended(n), n)
        for _ in range(count):
            assert done.acquire(timeout=60), f"{len(ids)} of {count} requests were answered"
        return [context.get_async_run_results(ids[n]) for n in range(count)]


def call(source, name, where):
    lines = textwrap.dedent(source).splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("def "))
    names = {}
    exec(compile("\n".join(lines[begin:]), name, "exec"), names)  # noqa: S102
    return names[name](Where(**where))


def main():
    with os.fdopen(int(sys.argv[1]), "w") as results:
        for line in sys.stdin:
            task, outcome = json.loads(line), {"error": None, "value": None}
            try:
                outcome["value"] = call(**task)
            except BaseException:  # noqa: BLE001
                outcome["error"] = explained(task["source"])
            print(json.dumps(outcome), file=results, flush=True)


def explained(source):
    """The traceback, with the lines of the function that it has only by their numbers."""
    lines = textwrap.dedent(source).splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("def "))
    _, error, at = sys.exc_info()
    shown = [
        f"{frame.filename}:{frame.lineno}: {frame.line or lines[begin + frame.lineno - 1].strip()}"
        for frame in traceback.extract_tb(at)
    ]
    return "\n".join([*shown, "".join(traceback.format_exception_only(type(error), error))])


if __name__ == "__main__":
    main()
