"""`Inference`: one model of one server, asked for one result after the other or for many at a time."""

import importlib.util
import queue

import numpy as np

# protocol -> whether it is v2, and whether it is HTTP
PROTOCOLS = {"grpc": (False, False), "http": (False, True), "v2": (True, False), "v2-http": (True, True)}


def engine(url, model_name, model_version, protocol):
    if protocol.lower() not in PROTOCOLS:
        raise ValueError(f"protocol was expected to be 'gRPC', 'HTTP', 'v2' or 'v2-HTTP', got '{protocol}'")
    is_v2, is_http = PROTOCOLS[protocol.lower()]
    if is_v2 or importlib.util.find_spec("tensorrtserver") is None:
        from . import v2 as module
    else:
        from . import v1 as module
    return module.Engine(url, model_name, model_version, is_http)


def entries(value):
    """The entries of a batch: a list has as many as it has arrays, an array is one."""
    return [np.asarray(each) for each in value] if isinstance(value, (list, tuple)) else [np.asarray(value)]


class Inference:
    """Asks a model for its results.

    url            host and port of the protocol: 8001 for gRPC, 8000 for HTTP
    model_version  a number, or a text that is one; None for the highest
    protocol       "gRPC" or "HTTP" for V1, "v2" or "v2-HTTP" for v2. The first two are v2 as well where the client of V1,
                   the package tensorrtserver, is not installed
    """

    def __init__(self, url, model_name, model_version=None, protocol="gRPC"):
        version = None if model_version is None else int(model_version)
        self.engine = engine(url, model_name, version, protocol)
        self.done = queue.Queue()

    def run(self, input):  # noqa: A002
        """Waits for the results of {input: array, or a list of arrays that are a batch}.

        Returns {output: [array, one for each entry of the batch]}, without the batch dimension.
        """
        return self.engine.run(*self.batch(input))

    def async_run(self, input, input_id):  # noqa: A002
        """Sends a request and returns at once. `get` returns its results with `input_id`."""
        self.engine.start(*self.batch(input), lambda finish: self.done.put((input_id, finish)))

    def get_result(self, block=True):
        """(input_id, results) of the next request that is done. Raises queue.Empty if none is and `block` is False."""
        input_id, finish = self.done.get(block=block)
        return input_id, finish()

    get = get_result

    def get_time(self):
        """What a request took on average so far, in milliseconds, and how many there were."""
        count, total, send, receive = self.engine.times()
        each = 1e6 * max(count, 1)
        return {
            "completed_request_count": count,
            "send_time_ms": send / each,
            "inference_time_ms": (total - send - receive) / each,
            "receive_time_ms": receive / each,
        }

    def close(self):
        self.engine.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def batch(given):
        """The inputs as lists, and the number of entries that all of them have."""
        inputs = {name: entries(value) for name, value in given.items()}
        sizes = {len(value) for value in inputs.values()}
        if len(sizes) != 1 or 0 in sizes:
            raise ValueError(f"all inputs were expected to have the same number of entries, got {sorted(sizes)}")
        return inputs, sizes.pop()
