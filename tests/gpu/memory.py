"""Device memory: of 16 instances, after an unload, and over 200 loads and unloads."""

import time

import numpy as np

from .client import Client
from .machine import used_mib
from .models import CENTERFACE, MAGIKA
from .results import requests

# What 16 plain sessions of CenterFace take, on an H200 with onnxruntime-gpu 1.31.1.
PLAIN_MIB = 3300


def settled(gpu=0):
    """The memory in use once it stays the same."""
    before = used_mib(gpu)
    for _ in range(50):
        time.sleep(0.1)
        now = used_mib(gpu)
        if now == before:
            return now
        before = now
    return before


def check(table, run):
    if "centerface" not in run.files:
        table.skip("memory", "", "the ONNX file of centerface is not there: --models")
        return
    repository = run.repository("memory")
    one = repository.add("one", "centerface", CENTERFACE, run.kind, batch=1)
    sixteen = repository.add("sixteen", "centerface", CENTERFACE, run.kind, count=16, batch=1)
    # A model without convolutions is ready in a tenth of the time, so that 200 cycles fit into a run.
    quick = "magika" if "magika" in run.files else "centerface"
    body = MAGIKA if quick == "magika" else CENTERFACE
    cycled = repository.add("cycled", quick, body, run.kind, batch=1)
    with run.server(repository, "--model-control-mode=explicit") as server:
        try:
            of_instances(table, run, Client(server.http), one, sixteen)
            cycles(table, run, server, Client(server.http), cycled, quick)
        except Exception as error:
            table.add("memory", "", "failed", False, str(error)[:400])
            run.show_log(server)


def of_instances(table, run, client, one, sixteen):
    ask = lambda model: client.infer(model, requests("centerface", np.random.default_rng(1), 1))
    # What the first session of a process takes once: the context, and the libraries' code.
    client.load(one)
    ask(one)
    client.unload(one)
    base = settled()
    began = time.monotonic()
    client.load(sixteen)
    took = time.monotonic() - began
    for _ in range(64):
        ask(sixteen)
    used = settled() - base
    if run.on_gpu:
        target = int(0.3 * PLAIN_MIB)
        table.add("16 instances of CenterFace", f"<= {target} MiB", f"{used} MiB", used <= target)
    table.add("time to load 16 instances", "told", f"{took:.1f} s", "told")
    client.unload(sixteen)
    left = settled() - base
    if run.on_gpu:
        table.add("left after their unload", "0 MiB", f"{left} MiB", left <= 0)


def cycles(table, run, server, client, model, kind, count=200):
    device, host = [], []
    budget = time.monotonic() + run.seconds_for_cycles
    for cycle in range(count):
        client.load(model)
        if cycle % 10 == 0:
            client.infer(model, requests(kind, np.random.default_rng(1), 1))
        client.unload(model)
        device.append(used_mib() if cycle % 10 == 9 else None)
        host.append(server.status_kib("VmRSS") / 1024)
        if time.monotonic() > budget:
            break
    done = len(host)
    # The first quarter warms up the allocators.
    points = [(n, value) for n, value in enumerate(device) if value is not None and n >= done // 4]
    note = "" if done == count else f"stopped after {done} of {count} cycles: the time was over"
    # A slope of a few cycles is noise.
    verdict = lambda met: met if done >= count // 2 else None
    if run.on_gpu and len(points) >= 2:
        slope = float(np.polyfit(*zip(*points), 1)[0])
        what = f"{done} load/unload cycles of {kind}, device"
        table.add(what, "<= 0.05 MiB a cycle", f"{slope:.3f}", verdict(slope <= 0.05), note)
    kept = host[done // 4 :]
    slope = float(np.polyfit(range(len(kept)), kept, 1)[0])
    what = f"{done} load/unload cycles of {kind}, host"
    table.add(what, "<= 0.1 MiB a cycle", f"{slope:.3f}", verdict(slope <= 0.1), note)
