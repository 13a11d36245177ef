"""CPU time of the server for a request on a kept connection, with TLS and without: small ones and such of 4.9 MB.

    python3 -m benches.tls [--rounds N]        with tritonclient and cryptography in the path, as scripts/bench sets it

A request and its answer have the same size: the model `identity_fp32` returns what it gets. Of several rounds, in turns, the least
counts: other work on the machine only adds.
"""

import argparse
import http.client
import json
import os
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "clients")]

import tritonclient.grpc  # noqa: E402
from certificates import Authority  # noqa: E402
from server_process import ServerProcess  # noqa: E402

# floats of a request, how many requests a round has
SIZES = {"16 floats": (16, 3000), "4.9 MB": (3 * 640 * 640, 60)}

CONFIG = """backend: "identity"
max_batch_size: 0
input { name: "INPUT0" data_type: TYPE_FP32 dims: -1 }
output { name: "OUTPUT0" data_type: TYPE_FP32 dims: -1 }
"""


def cpu(pid):
    """Nanoseconds that the threads of a process have run."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def http_call(server, context, floats):
    """A function that makes one request over HTTP, with tensors behind the JSON."""
    if context is None:
        link = http.client.HTTPConnection(server.http)
    else:
        link = http.client.HTTPSConnection(server.http, context=context)
    data = np.zeros(floats, np.float32).tobytes()
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [floats], "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}

    def call():
        link.request("POST", "/v2/models/identity/infer", head + data, headers)
        reply = link.getresponse()
        content = reply.read()
        assert reply.status == 200 and len(content) >= len(data), content[:200]

    return call


def grpc_call(server, root, floats):
    """The same over gRPC."""
    options = {} if root is None else {"ssl": True, "root_certificates": root}
    client = tritonclient.grpc.InferenceServerClient(server.grpc, **options)
    tensor = tritonclient.grpc.InferInput("INPUT0", [floats], "FP32")
    tensor.set_data_from_numpy(np.zeros(floats, np.float32))
    return lambda: client.infer("identity", [tensor])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
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
            for name, (floats, count) in SIZES.items():
                for protocol in ("http", "grpc"):
                    if protocol == "http":
                        calls = [http_call(plain, None, floats), http_call(secured, authority.context(), floats)]
                    else:
                        calls = [grpc_call(plain, None, floats), grpc_call(secured, authority.root, floats)]
                    least = [float("inf"), float("inf")]
                    for _ in range(rounds):
                        for number, (server, call) in enumerate(zip((plain, secured), calls)):
                            call()
                            before = cpu(server.pid)
                            for _ in range(count):
                                call()
                            least[number] = min(least[number], (cpu(server.pid) - before) / count / 1000)
                    print(
                        f"{name:9} {protocol:4}  plain {least[0]:8.1f} us  TLS {least[1]:8.1f} us  "
                        f"{least[1] / least[0]:.2f}x",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
