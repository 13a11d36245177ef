"""A client of KServe v2 over HTTP with binary tensors: nothing but Python and NumPy."""

import http.client
import json

import numpy as np

TYPES = {
    "FP32": np.float32,
    "FP16": np.float16,
    "FP64": np.float64,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
NAMES = {np.dtype(dtype): name for name, dtype in TYPES.items()}


class Refused(Exception):
    """The server answered with an error; its status is the first argument, its text the second."""


class Client:
    """One connection to a server at HOST:PORT."""

    def __init__(self, address, timeout=120):
        self.link = http.client.HTTPConnection(address, timeout=timeout)

    def call(self, method, path, body=b"", headers=None):
        self.link.request(method, path, body, headers or {})
        reply = self.link.getresponse()
        content = reply.read()
        if reply.status != 200:
            raise Refused(reply.status, content.decode("utf-8", "replace"))
        return reply, content

    def json(self, method, path, body=None):
        content = b"" if body is None else json.dumps(body).encode()
        return json.loads(self.call(method, path, content)[1] or b"{}")

    def load(self, model):
        self.json("POST", f"/v2/repository/models/{model}/load", {})

    def unload(self, model):
        self.json("POST", f"/v2/repository/models/{model}/unload", {})

    def is_ready(self, model):
        try:
            self.call("GET", f"/v2/models/{model}/ready")
            return True
        except Refused:
            return False

    def infer(self, model, inputs, shared=None, outputs=None):
        """The outputs by name. `inputs` are arrays by name; `shared` and `outputs` are entries of the request as they are, for
        tensors in shared memory."""
        entries, parts = list(shared or []), []
        for name, array in inputs.items():
            content = np.ascontiguousarray(array).tobytes()
            parts.append(content)
            entry = {"name": name, "datatype": NAMES[array.dtype], "shape": list(array.shape)}
            entries.append({**entry, "parameters": {"binary_data_size": len(content)}})
        request = {"inputs": entries}
        if outputs is None:
            request["parameters"] = {"binary_data_output": True}
        else:
            request["outputs"] = outputs
        header = json.dumps(request).encode()
        headers = {"Inference-Header-Content-Length": str(len(header))}
        reply, content = self.call(
            "POST", f"/v2/models/{model}/infer", header + b"".join(parts), headers
        )
        length = int(reply.headers.get("Inference-Header-Content-Length", len(content)))
        answer, at, result = json.loads(content[:length]), length, {}
        for output in answer.get("outputs", []):
            size = output.get("parameters", {}).get("binary_data_size")
            if size is None:
                continue
            array = np.frombuffer(content[at : at + size], TYPES[output["datatype"]])
            result[output["name"]] = array.reshape(output["shape"])
            at += size
        return result

    def metadata(self, model):
        return self.json("GET", f"/v2/models/{model}")

    def statistics(self, model):
        return self.json("GET", f"/v2/models/{model}/stats")["model_stats"][0]

