"""The served rate against bare loops over the same library, in one run."""

import json
import os
import subprocess
import sys
import tempfile

from .client import Client
from .models import CENTERFACE, SIDE

HERE = os.path.dirname(os.path.abspath(__file__))
MIX = "1,2,4,8,16,32,64"


def loop(run, sessions, batch, kind):
    """Pictures a second of a bare loop; None and why, if it did not run."""
    command = [sys.executable, os.path.join(HERE, "loops.py"), run.files["centerface"]]
    # A run of the naive way may take two seconds.
    seconds = max(run.seconds, 8) if kind == "naive" else run.seconds
    command += [str(sessions), str(batch), str(seconds), kind]
    variables = {**os.environ, **run.variables}
    if run.packages:
        variables["PYTHONPATH"] = run.packages + os.pathsep + variables.get("PYTHONPATH", "")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=variables, check=False)
        found = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError) as error:
        return None, f"{error}; {done.stderr[-300:] if 'done' in locals() else ''}"
    if found["errors"] or not found["rows_per_s"]:
        return None, "; ".join(found["errors"]) or "nothing ran"
    return found["rows_per_s"], ""


def served(run, server, model, concurrency, memory=None, batch=1):
    """The results of `hippocamp bench`, one for each level of concurrency."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [run.binary, "bench", model, "--url", server.http, "-c", concurrency]
        command += ["--seconds", str(run.seconds), "--warm-up", "1", "--batch", str(batch), "--json", file.name]
        command += ["--shape", f"input.1:3,{SIDE},{SIDE}"]
        command += ["--shared-memory", memory] if memory else []
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"hippocamp bench: {done.stdout[-300:]} {done.stderr[-500:]}")
        return json.load(file)["results"]


def check(table, run):
    if "centerface" not in run.files:
        table.skip("speed", "", "the ONNX file of centerface is not there: --models")
        return
    bare = {}
    for key, sessions, batch, kind in (
        ("device-resident, 4 x 16", 4, 16, "graph"),
        ("with host copies, 4 x 32", 4, 32, "copies"),
        ("batch 1, 1 instance", 1, 1, "graph"),
        ("batch 1, 16 instances", 16, 1, "graph"),
        ("naive, batches up to 32", 1, 32, "naive"),
    ):
        if run.on_gpu and run.with_loops:
            rate, why = loop(run, sessions, batch, kind)
        else:
            rate, why = None, "not asked for"
        bare[key] = rate
        if rate is None:
            table.skip(f"bare loop: {key}", "told", why)
        else:
            table.add(f"bare loop: {key}", "told", f"{rate:.0f}/s", "told")
    repository = run.repository("speed")
    # Two instances keep the GPU busy, as one begins its next batch while the other's is executed, and of 64 requests each batch is full.
    plans = {"plan_batch_sizes": "1,4,8,16"}
    repository.add("two", "centerface", CENTERFACE, run.kind, count=2, batch=16, parameters=plans)
    repository.add("one", "centerface", CENTERFACE, run.kind, count=1, batch=1)
    repository.add("sixteen", "centerface", CENTERFACE, run.kind, count=16, batch=1)
    flags = ("--model-control-mode=explicit", "--allow-client-shm=true")
    with run.server(repository, *flags) as server:
        client = Client(server.http)
        try:
            client.load("two")
            for memory in ("system", "cuda") if run.on_gpu else ("system",):
                mix(table, run, server, memory, bare)
            client.unload("two")
            for model, key, levels in (
                ("one", "batch 1, 1 instance", (1, 2, 4)),
                ("sixteen", "batch 1, 16 instances", (16, 32, 64)),
            ):
                client.load(model)
                alone(table, run, server, model, key, levels, bare)
                client.unload(model)
        except Exception as error:
            table.add("served", "", "failed", False, str(error)[:600])
            run.show_log(server)


def alone(table, run, server, model, key, levels, bare):
    """Instances that execute one picture at a time, with tensors on the device, or in system shared memory without a GPU."""
    memory = "cuda" if run.on_gpu else "system"
    found = served(run, server, model, ",".join(map(str, levels)), memory)
    table.add(f"served, {key}, {memory} shared memory", "told", rates(found), "told")
    if not run.on_gpu:
        table.skip(f"served, {key}, cuda shared memory", ">= 0.9 of the loop", "no GPU was asked for")
        return
    share(table, f"served, {key}, cuda shared memory", 0.9, max(r["requests_per_s"] for r in found), bare[key])


def rates(results):
    return ", ".join(f"{r['requests_per_s']:.0f}/s at {r['concurrency']}" for r in results)


def mix(table, run, server, memory, bare):
    name = f"{memory} shared memory"
    results = served(run, server, "two", MIX, memory)
    for result in results:
        latency = result["latency_us"]
        text = f"{result['requests_per_s']:.0f}/s, median {latency['p50'] / 1e3:.2f} ms, max {latency['max'] / 1e3:.1f} ms"
        table.add(f"served, {name}, concurrency {result['concurrency']}", "told", text, "told")
    best = max(result["requests_per_s"] for result in results)
    key = "device-resident, 4 x 16" if memory == "cuda" else "with host copies, 4 x 32"
    share(table, f"served, {name}, best of the mix", 0.9 if memory == "cuda" else 0.95, best, bare[key])
    worst = max(result["latency_us"]["max"] / result["latency_us"]["p50"] for result in results)
    table.add(f"slowest request, {name}", "<= 5 medians", f"{worst:.1f}", worst <= 5)
    failed = sum(result["failed"] for result in results)
    table.add(f"failed requests, {name}", "0", str(failed), failed == 0)
    if bare["naive, batches up to 32"]:
        ratio = best / bare["naive, batches up to 32"]
        table.add(f"against the naive way, {name}", ">= 50x", f"{ratio:.0f}x", ratio >= 50)


def share(table, what, target, rate, of):
    if of is None:
        table.add(what, f">= {target} of the loop", f"{rate:.0f}/s", None, "the bare loop did not run")
        return
    table.add(what, f">= {target} of the loop", f"{rate / of:.2f} ({rate:.0f}/s)", rate >= target * of)
