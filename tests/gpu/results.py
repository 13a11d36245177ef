"""Results of the GPU against those of the CPU, from one server, with batches of sizes that have no plan."""

import numpy as np

from .client import Client
from .models import CENTERFACE, MAGIKA, SIDE, WITHOUT_TF32

SIZES = (1, 3, 8, 5, 1, 32, 17, 2)


def requests(name, random, size):
    """The inputs of a request of so many rows."""
    if name == "centerface":
        return {"input.1": (random.random((size, 3, SIDE, SIDE)) * 255).astype(np.float32)}
    if name == "magika":
        return {"bytes": random.integers(0, 257, (size, 2048)).astype(np.int32)}
    return {"input_ids": random.integers(0, 30000, (size, 128)).astype(np.int64)}


# Largest difference that is taken, without TF32 and with it. Of CenterFace, a box's logarithm of a size is up to 6.
TOLERANCES = {"centerface": (5e-4, 0.08), "magika": (1e-4, 2e-2), "minilm": (1e-3, 5e-2)}
BODIES = {"centerface": CENTERFACE, "magika": MAGIKA, "minilm": MAGIKA}


def check(table, run):
    names = [name for name in BODIES if name in run.files]
    for name in BODIES:
        if name not in names:
            table.skip(f"results of {name}", "as on the CPU", "its ONNX file is not there: --models")
    repository = run.repository("results")
    for name in names:
        repository.add(f"{name}_cpu", name, BODIES[name], "KIND_CPU")
        # Few plans, so that most of the sizes are padded.
        plans = {"plan_batch_sizes": "1,8,32"}
        repository.add(f"{name}_gpu", name, BODIES[name], run.kind, parameters=plans, more=WITHOUT_TF32 if run.on_gpu else "")
        repository.add(f"{name}_tf32", name, BODIES[name], run.kind, parameters=plans)
    with run.server(repository, "--model-control-mode=explicit") as server:
        for name in names:
            for model, (kind, tolerance) in zip(
                ("gpu", "tf32"), (("TF32 off", TOLERANCES[name][0]), ("TF32 on", TOLERANCES[name][1]))
            ):
                compare(table, run, server, name, model, kind, tolerance)
    return server


def compare(table, run, server, name, model, kind, tolerance):
    what = f"results of {name}, {kind}"
    client = Client(server.http)
    try:
        client.load(f"{name}_cpu")
        client.load(f"{name}_{model}")
        random, worst, where = np.random.default_rng(7), 0.0, ""
        for size in SIZES:
            inputs = requests(name, random, size)
            expected = client.infer(f"{name}_cpu", inputs)
            got = client.infer(f"{name}_{model}", inputs)
            for output, array in expected.items():
                if got[output].shape != array.shape or not np.isfinite(got[output]).all():
                    shape = got[output].shape
                    table.add(what, f"<= {tolerance:g}", f"{output}: {shape}", False, f"batch {size}")
                    return
                difference = float(np.abs(got[output] - array).max())
                if difference > worst:
                    worst, where = difference, f"output {output}, batch {size}"
        table.add(what, f"<= {tolerance:g}", f"{worst:.2g}", worst <= tolerance, where)
        client.unload(f"{name}_{model}")
        client.unload(f"{name}_cpu")
    except Exception as error:
        table.add(what, f"<= {tolerance:g}", "failed", False, str(error)[:400])
        run.show_log(server)
