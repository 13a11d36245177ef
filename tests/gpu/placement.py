"""Where instances are placed, what a config that asks for a GPU that is not there is told, and the metrics of the GPUs."""

import re

from .client import Client, Refused
from .machine import gpus
from .models import MAGIKA


def check(table, run):
    if "magika" not in run.files:
        table.skip("placement", "", "the ONNX file of magika is not there: --models")
        return
    repository = run.repository("placement")
    repository.add("auto", "magika", MAGIKA, "KIND_AUTO")
    repository.add("far", "magika", MAGIKA, "KIND_GPU gpus: [ 77 ]")
    repository.add("every", "magika", MAGIKA, "KIND_GPU")
    count = len(gpus())
    with run.server(repository, "--model-control-mode=explicit") as server:
        client = Client(server.http)
        try:
            client.load("auto")
            groups = client.json("GET", "/v2/models/auto/config")["instance_group"]
            expected = "KIND_GPU" if count else "KIND_CPU"
            kinds = [group.get("kind", "KIND_AUTO") for group in groups]
            table.add("KIND_AUTO on this machine", expected, ", ".join(kinds), kinds == [expected])
        except Exception as error:
            table.add("KIND_AUTO on this machine", "loads", "failed", False, str(error)[:400])
            run.show_log(server)
        refused(table, client, "far", "77" if count else "--cpu-fallback")
        if not count:
            refused(table, client, "every", "--cpu-fallback")
        metrics(table, server, count)


def refused(table, client, model, word):
    what = "a GPU that is not there is refused"
    try:
        client.load(model)
        table.add(what, f"names {word}", "loaded", False)
    except Refused as error:
        table.add(what, f"names {word}", "refused", word in str(error), str(error)[:300])


def metrics(table, server, count):
    _, page = server.get("/metrics", server.metrics_port)
    found = sorted(set(re.findall(rb"^(nv_gpu_\w+)\{gpu_uuid=", page, re.MULTILINE)))
    names = ", ".join(name.decode() for name in found)
    if count:
        table.add("metrics of the GPUs", "Triton's names", f"{len(found)} names", len(found) >= 5, names)
    else:
        table.add("metrics of the GPUs", "none without one", f"{len(found)} names", not found, names)
