"""CUDA shared memory by tritonclient.utils.cuda_shared_memory, unmodified."""

import re

import numpy as np

from .client import Client
from .models import CENTERFACE, WITHOUT_TF32
from .results import requests


def check(table, run):
    what = "CUDA shared memory by tritonclient"
    if not run.on_gpu:
        table.skip(what, "right", "no GPU was asked for")
        return
    try:
        import tritonclient.utils.cuda_shared_memory as cudashm
    except Exception as error:
        table.skip(what, "right", f"tritonclient cannot be imported: {error}")
        return
    if "centerface" not in run.files:
        table.skip(what, "right", "the ONNX file of centerface is not there: --models")
        return
    repository = run.repository("shm")
    plans = {"plan_batch_sizes": "4"}
    repository.add("m", "centerface", CENTERFACE, run.kind, batch=4, parameters=plans, more=WITHOUT_TF32 if run.on_gpu else "")
    with run.server(repository, "--allow-client-shm=true") as server:
        try:
            in_place(table, what, cudashm, server)
        except Exception as error:
            table.add(what, "right", "failed", False, str(error)[:500])
            run.show_log(server)


def register(client, name, region, cudashm, size):
    import base64

    raw = cudashm.get_raw_handle(region)
    # It is base64 already, as bytes or text by the client's version.
    text = raw.decode() if isinstance(raw, bytes) else raw
    base64.b64decode(text)
    body = {"raw_handle": {"b64": text}, "device_id": 0, "byte_size": size}
    client.json("POST", f"/v2/cudasharedmemory/region/{name}/register", body)


def copies(server):
    """The copies by the server so far, by their direction."""
    _, page = server.get("/metrics", server.metrics_port)
    found = re.findall(r'^nv_gpu_copies\{.*direction="(\w+)"\} (\d+)', page.decode(), re.MULTILINE)
    return {direction: sum(int(count) for name, count in found if name == direction) for direction, _ in found}


def in_place(table, what, cudashm, server):
    client = Client(server.http)
    inputs = requests("centerface", np.random.default_rng(3), 3)
    expected = client.infer("m", inputs)
    array = inputs["input.1"]
    sizes = {name: value.nbytes for name, value in expected.items()}
    source = cudashm.create_shared_memory_region("in", array.nbytes, 0)
    target = cudashm.create_shared_memory_region("out", sum(sizes.values()), 0)
    try:
        cudashm.set_shared_memory_region(source, [array])
        register(client, "in", source, cudashm, array.nbytes)
        register(client, "out", target, cudashm, sum(sizes.values()))
        place = {"shared_memory_region": "in", "shared_memory_byte_size": array.nbytes}
        shared = [{"name": "input.1", "datatype": "FP32", "shape": list(array.shape), "parameters": place}]
        offset, outputs = 0, []
        for name, size in sizes.items():
            place = {"shared_memory_region": "out", "shared_memory_byte_size": size, "shared_memory_offset": offset}
            outputs.append({"name": name, "parameters": place})
            offset += size
        before = copies(server)
        client.infer("m", {}, shared, outputs)
        after = copies(server)
        through_host = sum(after[name] - before[name] for name in ("from_host", "to_host"))
        # The client reads a region from its beginning only.
        everything = cudashm.get_contents_as_numpy(target, np.float32, [sum(sizes.values()) // 4])
        worst, offset = 0.0, 0
        for value in expected.values():
            got = everything[offset : offset + value.size].reshape(value.shape)
            worst = max(worst, float(np.abs(got - value).max()))
            offset += value.size
        table.add(what, "as in messages", f"differs by {worst:.2g}", worst == 0.0)
        table.add("copies through the host for it", 0, through_host, through_host == 0)
        refusals(table, client, array)
    finally:
        for path in ("in", "out"):
            try:
                client.json("POST", f"/v2/cudasharedmemory/region/{path}/unregister", {})
            except Exception as error:
                table.add("unregistering a region", "ok", "failed", False, str(error)[:200])
        cudashm.destroy_shared_memory_region(source)
        cudashm.destroy_shared_memory_region(target)


def refusals(table, client, array):
    beyond = {"shared_memory_region": "in", "shared_memory_byte_size": array.nbytes, "shared_memory_offset": 4}
    shared = [{"name": "input.1", "datatype": "FP32", "shape": list(array.shape), "parameters": beyond}]
    foreign = {"raw_handle": {"b64": "AAAA"}, "device_id": 0, "byte_size": 16}
    for what, call in (
        ("a tensor beyond its region", lambda: client.infer("m", {}, shared)),
        (
            "a handle that is none",
            lambda: client.json("POST", "/v2/cudasharedmemory/region/bad/register", foreign),
        ),
        (
            "a region of a device that is not there",
            lambda: client.json(
                "POST", "/v2/cudasharedmemory/region/bad/register", {**foreign, "device_id": 99}
            ),
        ),
    ):
        try:
            call()
            table.add(what, "is refused", "was taken", False)
        except Exception as error:
            table.add(what, "is refused", "refused", True, str(error)[:200])


