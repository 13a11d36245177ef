"""Checks that are programs of their own, and of machines with more than one GPU."""

import re
import subprocess

from .client import Client
from .machine import gpus


def device(table, run):
    """The device check, a program of this repository (crates/device/examples), if it was built and given."""
    what = "device check"
    if not run.device_check:
        table.skip(what, "exit status 0", "no --device-check was given")
        return
    done = subprocess.run([run.device_check], capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout[-6000:], done.stderr[-2000:])
    table.add(what, "exit status 0", str(done.returncode), done.returncode == 0)


def each_gpu(table, server, model):
    """What a model did on each of its GPUs, by its metrics."""
    _, page = server.get("/metrics", server.metrics_port)
    pattern = r'^nv_inference_count\{gpu_uuid="([^"]+)",model="%s",version="1"\} (\d+)' % model
    counts = dict(re.findall(pattern, page.decode(), re.MULTILINE))
    least, most = (min(map(int, counts.values())), max(map(int, counts.values()))) if counts else (0, 1)
    what = "inferences on each GPU, by the metrics"
    told = ", ".join(counts.values())
    table.add(what, "two series, within a third", told, len(counts) == 2 and least * 1.5 >= most)


def two_gpus(table, run):
    """Throughput of two GPUs against one."""
    from .models import CENTERFACE
    from .speed import served

    what, target = "two GPUs against one", ">= 1.9x"
    if len(gpus()) < 2 or "centerface" not in run.files:
        table.skip(what, target, f"this machine has {len(gpus())} GPUs")
        return
    repository = run.repository("two")
    plans = {"plan_batch_sizes": "1,8,16"}
    repository.add("single", "centerface", CENTERFACE, "KIND_GPU gpus: [ 0 ]", count=4, batch=16, parameters=plans)
    repository.add("double", "centerface", CENTERFACE, "KIND_GPU gpus: [ 0, 1 ]", count=4, batch=16, parameters=plans)
    with run.server(repository, "--model-control-mode=explicit", "--allow-client-shm=true") as server:
        try:
            client, rates = Client(server.http), {}
            for model in ("single", "double"):
                client.load(model)
                found = served(run, server, model, "64,128,256", "system")
                rates[model] = max(result["requests_per_s"] for result in found)
                levels = ", ".join(f"{result['requests_per_s']:.0f}/s at {result['concurrency']}" for result in found)
                table.add(f"served by {model}", "told", levels, "told")
                if model == "double":
                    each_gpu(table, server, model)
                client.unload(model)
            ratio = rates["double"] / rates["single"]
            table.add(what, target, f"{ratio:.2f}x", ratio >= 1.9)
        except Exception as error:
            table.add(what, target, "failed", False, str(error)[:500])
            run.show_log(server)
