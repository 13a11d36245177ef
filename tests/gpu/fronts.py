"""The other front ends over a model on the GPU: V1 over HTTP, with CUDA shared memory too, and TorchServe's API."""

import base64
import http.client
import json

import numpy as np

from tests.server_process import free_ports

from .client import Client
from .models import CENTERFACE
from .results import requests
from .shared_memory import copies

OUTPUTS = ("537", "538", "539", "540")


def check(table, run):
    if "centerface" not in run.files:
        table.skip("V1 and TorchServe's API", "as v2", "the ONNX file of centerface is not there: --models")
        return
    repository = run.repository("fronts")
    repository.add("m", "centerface", CENTERFACE, run.kind, batch=2, parameters={"plan_batch_sizes": "2"})
    predictions, management = free_ports(2)
    flags = ["--allow-client-shm=true", "--allow-torchserve", f"--ts-inference-port={predictions}"]
    flags += [f"--ts-management-port={management}", f"--ts-metrics-port={management}"]
    flags += ["--ts-grpc-inference-port=0", "--ts-grpc-management-port=0"]
    with run.server(repository, *flags) as server:
        inputs = requests("centerface", np.random.default_rng(5), 2)
        expected = Client(server.http).infer("m", inputs)
        for what, call in (
            ("V1 over HTTP", lambda: v1(server, inputs, expected)),
            ("TorchServe's predictions", lambda: torchserve(predictions, inputs, expected)),
        ):
            try:
                worst = call()
                table.add(what, "as v2", f"differs by {worst:.2g}", worst == 0.0)
            except Exception as error:
                table.add(what, "as v2", "failed", False, f"{type(error).__name__}: {error}"[:500])
                run.show_log(server)
        try:
            import tritonclient.utils.cuda_shared_memory as cudashm
        except Exception as error:
            table.skip("V1 in CUDA shared memory", "as v2", f"tritonclient cannot be imported: {error}")
            return
        if not run.on_gpu:
            table.skip("V1 in CUDA shared memory", "as v2", "no GPU was asked for")
            return
        try:
            worst, through_host = v1_in_place(server, cudashm, inputs["input.1"], expected)
            table.add("V1 in CUDA shared memory", "as v2", f"differs by {worst:.2g}", worst == 0.0)
            table.add("copies through the host for it", 0, through_host, through_host == 0)
        except Exception as error:
            table.add("V1 in CUDA shared memory", "as v2", "failed", False, f"{type(error).__name__}: {error}"[:500])
            run.show_log(server)


def ask(address, method, path, body=b"", headers=None):
    link = http.client.HTTPConnection(address, timeout=120)
    link.request(method, path, body, headers or {})
    reply = link.getresponse()
    content = reply.read()
    status = reply.headers.get("NV-Status", "code: SUCCESS")
    if reply.status != 200 or "code: SUCCESS" not in status:
        raise RuntimeError(f"{method} {path}: {reply.status}, {status}, {content[:300]!r}")
    return content


def v1(server, inputs, expected):
    """The largest difference to v2's answers."""
    outputs = " ".join(f'output {{ name: "{name}" }}' for name in OUTPUTS)
    header = f'batch_size: 2 input {{ name: "input.1" dims: [ 3, 320, 320 ] }} {outputs}'
    headers = {"NV-InferRequest": header, "Content-Type": "application/octet-stream"}
    content = ask(server.http, "POST", "/api/infer/m", inputs["input.1"].tobytes(), headers)
    worst, at = 0.0, 0
    for name in OUTPUTS:
        size = expected[name].nbytes
        got = np.frombuffer(content[at : at + size], np.float32).reshape(expected[name].shape)
        worst, at = max(worst, float(np.abs(got - expected[name]).max())), at + size
    return worst


def torchserve(port, inputs, expected):
    # The bytes of a tensor are one row, which the server takes as a batch of one.
    worst = 0.0
    for row, picture in enumerate(inputs["input.1"]):
        answer = json.loads(ask(f"127.0.0.1:{port}", "POST", "/predictions/m", picture.tobytes()))
        for name in OUTPUTS:
            # JSON has as many digits as tell FP32 numbers apart.
            got = np.array(answer[name], np.float32).reshape(expected[name][row].shape)
            worst = max(worst, float(np.abs(got - expected[name][row]).max()))
    return worst


def v1_in_place(server, cudashm, array, expected):
    """The largest difference to v2's answers, and the copies through the host."""
    sizes = {name: expected[name].nbytes for name in OUTPUTS}
    regions = {"v1in": array.nbytes, "v1out": sum(sizes.values())}
    made = {name: cudashm.create_shared_memory_region(name, size, 0) for name, size in regions.items()}
    try:
        cudashm.set_shared_memory_region(made["v1in"], [array])
        for name, size in regions.items():
            raw = cudashm.get_raw_handle(made[name])
            ask(
                server.http,
                "POST",
                f"/api/sharedmemorycontrol/cudaregister/{name}/{size}/0",
                base64.b64decode(raw),
            )
        place = lambda name, offset, size: f'shared_memory {{ name: "{name}" offset: {offset} byte_size: {size} }}'
        header = f'batch_size: 2 input {{ name: "input.1" dims: [ 3, 320, 320 ] {place("v1in", 0, array.nbytes)} }}'
        offset = 0
        for name, size in sizes.items():
            header += f' output {{ name: "{name}" {place("v1out", offset, size)} }}'
            offset += size
        before = copies(server)
        ask(server.http, "POST", "/api/infer/m", b"", {"NV-InferRequest": header})
        after = copies(server)
        everything = cudashm.get_contents_as_numpy(made["v1out"], np.float32, [sum(sizes.values()) // 4])
        worst, at = 0.0, 0
        for name in OUTPUTS:
            flat = expected[name].ravel()
            worst, at = max(worst, float(np.abs(everything[at : at + flat.size] - flat).max())), at + flat.size
        return worst, sum(after[way] - before[way] for way in ("from_host", "to_host"))
    finally:
        for name in regions:
            ask(server.http, "POST", f"/api/sharedmemorycontrol/unregister/{name}")
            cudashm.destroy_shared_memory_region(made[name])
