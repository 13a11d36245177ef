"""Checks that are programs of their own: of the devices, and of TensorRT."""

import os
import shutil
import subprocess
import tempfile

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


def tensorrt(table, run):
    """A plan that is built and served, where full TensorRT is; what is there of it, otherwise."""
    what = "a TensorRT plan, built and served"
    if not run.on_gpu or "centerface" not in run.files:
        table.skip(what, "runs", "no GPU was asked for, or the ONNX file is not there")
        return
    folder = tempfile.mkdtemp(prefix="plan-")
    version = os.path.join(folder, "planned", "1")
    os.makedirs(version)
    plan = os.path.join(version, "model.plan")
    command = [run.binary, "plan", run.files["centerface"], "--output", plan, *run.plan_flags]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            table.skip(what, "runs", f"hippocamp plan: {(done.stderr or done.stdout)[-400:]}")
            return
        with open(os.path.join(folder, "planned", "config.pbtxt"), "w", encoding="utf-8") as file:
            file.write('name: "planned"\nplatform: "tensorrt_plan"\n')
        with run.server(folder, "--model-control-mode=explicit") as server:
            try:
                Client(server.http).load("planned")
                table.add(what, "loads", "loaded", True)
            except Exception as error:
                table.add(what, "loads", "failed", False, str(error)[:500])
                run.show_log(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def two_gpus(table, run):
    """Throughput of two GPUs against one."""
    from .models import CENTERFACE
    from .speed import served

    what, target = "two GPUs against one", ">= 1.9x"
    if len(gpus()) < 2 or "centerface" not in run.files:
        table.skip(what, target, f"this machine has {len(gpus())} GPUs")
        return
    repository = run.repository("two")
    repository.add("single", "centerface", CENTERFACE, "KIND_GPU gpus: [ 0 ]", count=4, batch=16)
    repository.add("double", "centerface", CENTERFACE, "KIND_GPU gpus: [ 0, 1 ]", count=4, batch=16)
    with run.server(repository, "--model-control-mode=explicit", "--allow-client-shm=true") as server:
        try:
            client, rates = Client(server.http), {}
            for model in ("single", "double"):
                client.load(model)
                rates[model] = max(r["requests_per_s"] for r in served(run, server, model, "64,128", "system"))
                client.unload(model)
            ratio = rates["double"] / rates["single"]
            table.add(what, target, f"{ratio:.2f}x", ratio >= 1.9)
        except Exception as error:
            table.add(what, target, "failed", False, str(error)[:500])
            run.show_log(server)
