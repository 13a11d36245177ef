"""Answers of many requests at once, each with inputs of its own, by messages and by CUDA shared memory: what runs behind each other, and
is copied together, must not be mixed up."""

import threading

import numpy as np

from .client import Client
from .models import CENTERFACE, WITHOUT_TF32
from .results import requests
from .shared_memory import register

THREADS, ROUNDS, REQUESTS = 24, 3, 12
# Plans of other sizes sum up in another order. Another picture differs by far more.
TOLERANCE = 1e-3


def check(table, run):
    if "centerface" not in run.files:
        table.skip("many requests at once", "each its own answer", "the ONNX file of centerface is not there: --models")
        return
    repository = run.repository("together")
    body = WITHOUT_TF32 if run.on_gpu else ""
    plans = {"plan_batch_sizes": "1,4"}
    repository.add("m", "centerface", CENTERFACE, run.kind, count=2, batch=4, parameters=plans, more=body)
    repository.add("alone", "centerface", CENTERFACE, run.kind, count=2, batch=1, more=body)
    with run.server(repository, "--allow-client-shm=true") as server:
        try:
            for model in ("m", "alone"):
                by_messages(table, server, model)
                by_shared_memory(table, run, server, model)
        except Exception as error:
            table.add("many requests at once", "each its own answer", "failed", False, f"{type(error).__name__}: {error}"[:500])
            run.show_log(server)


def pictures(server, model):
    """The inputs of each thread, and what is expected for them."""
    client, random = Client(server.http), np.random.default_rng(11)
    inputs = [requests("centerface", random, 1) for _ in range(THREADS)]
    return inputs, [client.infer(model, one) for one in inputs]


def at_once(work):
    """Calls work for each thread; the largest of the results."""
    found, errors = [0.0] * THREADS, []

    def run(index):
        try:
            found[index] = work(index)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return max(found)


def difference(got, expected):
    return max(float(np.abs(got[name] - value).max()) for name, value in expected.items())


def by_messages(table, server, model):
    inputs, expected = pictures(server, model)

    def work(index):
        client = Client(server.http)
        return max(difference(client.infer(model, inputs[index]), expected[index]) for _ in range(REQUESTS))

    worst = at_once(work)
    table.add(f"{THREADS} at once by messages, {model}", f"<= {TOLERANCE:g}", f"{worst:.2g}", worst <= TOLERANCE)


def by_shared_memory(table, run, server, model):
    what = f"{THREADS} at once in CUDA shared memory, {model}"
    try:
        import tritonclient.utils.cuda_shared_memory as cudashm
    except Exception as error:
        table.skip(what, f"<= {TOLERANCE:g}", f"tritonclient cannot be imported: {error}")
        return
    if not run.on_gpu:
        table.skip(what, f"<= {TOLERANCE:g}", "no GPU was asked for")
        return
    inputs, expected = pictures(server, model)
    client, made = Client(server.http), {}
    size = sum(value.nbytes for value in expected[0].values())
    try:
        for index, one in enumerate(inputs):
            for name, length in ((f"in{index}", one["input.1"].nbytes), (f"out{index}", size)):
                made[name] = cudashm.create_shared_memory_region(name, length, 0)
                register(client, name, made[name], cudashm, length)
            cudashm.set_shared_memory_region(made[f"in{index}"], [one["input.1"]])
        worst = 0.0
        for _ in range(ROUNDS):
            for index in range(THREADS):
                cudashm.set_shared_memory_region(made[f"out{index}"], [np.full(size // 4, np.nan, np.float32)])
            at_once(lambda index: ask(server, model, index, inputs[index]["input.1"], expected[index]))
            for index in range(THREADS):
                worst = max(worst, region(cudashm, made[f"out{index}"], expected[index], size))
        table.add(what, f"<= {TOLERANCE:g}", f"{worst:.2g}", worst <= TOLERANCE)
    finally:
        for name, handle in made.items():
            client.json("POST", f"/v2/cudasharedmemory/region/{name}/unregister", {})
            cudashm.destroy_shared_memory_region(handle)


def ask(server, model, index, picture, expected):
    client = Client(server.http)
    place = {"shared_memory_region": f"in{index}", "shared_memory_byte_size": picture.nbytes}
    shared = [{"name": "input.1", "datatype": "FP32", "shape": list(picture.shape), "parameters": place}]
    outputs, offset = [], 0
    for name, value in expected.items():
        place = {"shared_memory_region": f"out{index}", "shared_memory_byte_size": value.nbytes, "shared_memory_offset": offset}
        outputs.append({"name": name, "parameters": place})
        offset += value.nbytes
    for _ in range(REQUESTS):
        client.infer(model, {}, shared, outputs)
    return 0.0


def region(cudashm, handle, expected, size):
    """The largest difference of what is in a region; infinite if some of it was not written."""
    everything, worst, offset = cudashm.get_contents_as_numpy(handle, np.float32, [size // 4]), 0.0, 0
    for value in expected.values():
        got = everything[offset : offset + value.size].reshape(value.shape)
        worst = max(worst, float(np.abs(got - value).max()) if np.isfinite(got).all() else float("inf"))
        offset += value.size
    return worst
