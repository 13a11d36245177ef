"""CPU time of the server for a request on a kept connection, with TLS and without: small ones and such of 4.9 MB.

A request and its answer have the same size, as the model returns what it gets; or the answer is one class of it. Of several rounds, in turns, the least counts: other work on
the machine only adds.
"""

import http.client
import json
import os
import sys
import tempfile
import time

from . import ROOT

sys.path[:0] = [os.path.join(ROOT, "tests", "clients"), os.path.join(ROOT, ".cache", "python", "tests")]

import numpy as np  # noqa: E402
import tritonclient.grpc  # noqa: E402
from certificates import Authority  # noqa: E402
from server_process import ServerProcess  # noqa: E402

# doubles of a request, whether they come back, how many requests a round has
SIZES = {
    "64 bytes there and back": (8, True, 3000),
    "4.9 MB there, a class back": (614_400, False, 60),
    "4.9 MB there and back": (614_400, True, 60),
}

CONFIG = """backend: "identity"
max_batch_size: 0
input { name: "INPUT0" data_type: TYPE_FP64 dims: -1 }
output { name: "OUTPUT0" data_type: TYPE_FP64 dims: -1 }
"""


def cpu(pid):
    """Nanoseconds that a process has run, with threads that have ended: its clock, as clock_getcpuclockid(3) names it."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def http_call(server, context, doubles, comes_back):
    """A function that makes one request over HTTP, with tensors behind the JSON."""
    if context is None:
        link = http.client.HTTPConnection(server.http)
    else:
        link = http.client.HTTPSConnection(server.http, context=context)
    data = np.zeros(doubles, np.float64).tobytes()
    tensor = {"name": "INPUT0", "datatype": "FP64", "shape": [doubles], "parameters": {"binary_data_size": len(data)}}
    output = {"name": "OUTPUT0", "parameters": {"binary_data": True} if comes_back else {"classification": 1}}
    head = json.dumps({"inputs": [tensor], "outputs": [output]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}

    def call():
        link.request("POST", "/v2/models/identity/infer", head + data, headers)
        reply = link.getresponse()
        content = reply.read()
        assert reply.status == 200 and (len(content) >= len(data)) == comes_back, content[:200]

    return call


def grpc_call(server, root, doubles, comes_back):
    """The same over gRPC."""
    options = {} if root is None else {"ssl": True, "root_certificates": root}
    client = tritonclient.grpc.InferenceServerClient(server.grpc, **options)
    tensor = tritonclient.grpc.InferInput("INPUT0", [doubles], "FP64")
    tensor.set_data_from_numpy(np.zeros(doubles, np.float64))
    output = tritonclient.grpc.InferRequestedOutput("OUTPUT0", class_count=0 if comes_back else 1)
    return lambda: client.infer("identity", [tensor], outputs=[output])


def tls(rounds):
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "models", "identity", "1"))
        with open(os.path.join(folder, "models", "identity", "config.pbtxt"), "w", encoding="ascii") as f:
            f.write(CONFIG)
        authority = Authority(folder)
        certificate, key = authority.sign("server", "server")
        flags = []
        for port in ("http", "grpc"):
            flags += [f"--{port}-use-ssl=true", f"--{port}-server-cert={certificate}", f"--{port}-server-key={key}"]
        models = os.path.join(folder, "models")
        plain = ServerProcess(models, library=None)
        secured = ServerProcess(models, library=None, flags=flags, context=authority.context())
        with plain, secured:
            for name, (doubles, comes_back, count) in SIZES.items():
                for protocol in ("http", "grpc"):
                    if protocol == "http":
                        calls = [
                            http_call(plain, None, doubles, comes_back),
                            http_call(secured, authority.context(), doubles, comes_back),
                        ]
                    else:
                        calls = [
                            grpc_call(plain, None, doubles, comes_back),
                            grpc_call(secured, authority.root, doubles, comes_back),
                        ]
                    least = [float("inf"), float("inf")]
                    for _ in range(rounds):
                        for number, (server, call) in enumerate(zip((plain, secured), calls)):
                            call()
                            before = cpu(server.pid)
                            for _ in range(count):
                                call()
                            least[number] = min(least[number], (cpu(server.pid) - before) / count / 1000)
                    print(
                        f"{name:26} {protocol:4}  plain {least[0]:8.1f} us  TLS {least[1]:8.1f} us  "
                        f"{least[1] / least[0]:.2f}x",
                        flush=True,
                    )

