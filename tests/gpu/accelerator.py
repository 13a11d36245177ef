"""TensorRT as an accelerator of ONNX Runtime: served where its libraries are, and refused by their names where they are not."""

import numpy as np

from .client import Client, Refused
from .models import MAGIKA
from .results import TOLERANCES, requests

TENSORRT = 'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }'


def check(table, run):
    what, target = "ONNX Runtime's TensorRT provider", "answers, or names the library that it lacks"
    if "magika" not in run.files or not run.on_gpu:
        table.skip(what, target, "the ONNX file of magika is not there, or no GPU was asked for")
        return
    repository = run.repository("accelerator")
    plans = {"plan_batch_sizes": "1"}
    repository.add("accelerated", "magika", MAGIKA, run.kind, batch=1, parameters=plans, more=TENSORRT)
    repository.add("plain", "magika", MAGIKA, "KIND_CPU", batch=1)
    with run.server(repository, "--model-control-mode=explicit") as server:
        client = Client(server.http)
        client.load("plain")
        inputs = requests("magika", np.random.default_rng(4), 1)
        expected = client.infer("plain", inputs)
        try:
            client.load("accelerated")
            got = client.infer("accelerated", inputs)
            worst = max(float(np.abs(got[name] - expected[name]).max()) for name in expected)
            table.add(what, target, f"differs by {worst:.2g}", worst <= TOLERANCES["magika"][1])
        except Refused as error:
            text = str(error)
            table.add(what, target, "refused", "libnvinfer" in text and "accelerated" in text, text[:400])
        except Exception as error:
            table.add(what, target, "failed", False, f"{type(error).__name__}: {error}"[:400])
            run.show_log(server)
        got = client.infer("plain", inputs)
        same = all(np.array_equal(got[name], expected[name]) for name in expected)
        table.add("other models after that", "answer as before", "the same" if same else "differ", same)
