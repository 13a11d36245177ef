"""The models of the soak: those of `scripts/bench scale`, a sequence, and one that keeps the order of requests."""

import os
import shutil

from ..compare.repository import config, tensors

CONTROLS = "".join(
    f'control_input {{ name: "{name}" control {{ kind: CONTROL_SEQUENCE_{name} int32_false_true: [ 0, 1 ] }} }}\n'
    for name in ("START", "READY")
)


def sums():
    """Sums up what a sequence sends, on two instances."""
    return config(
        "sequence",
        4,
        tensors("input", "INT32", ("INPUT", [1])),
        tensors("output", "INT32", ("OUTPUT", [1])),
        f"sequence_batching {{ direct {{ }}\n{CONTROLS} }}\n",
        instances=2,
    )


def ordered():
    """Add/sub on two instances, whose answers come in the order of the requests."""
    return config(
        "onnxruntime",
        8,
        tensors("input", "INT32", ("INPUT0", [16]), ("INPUT1", [16])),
        tensors("output", "INT32", ("OUTPUT0", [16]), ("OUTPUT1", [16])),
        "dynamic_batching { preserve_ordering: true }\n",
        instances=2,
    )


def write(folder, built):
    for model in ("identity", "simple", "mlp"):
        built.repository(folder, model)
    for name, text in (("sums", sums()), ("ordered", ordered())):
        home = os.path.join(folder, name)
        os.makedirs(os.path.join(home, "1"))
        with open(os.path.join(home, "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(text)
    shutil.copy(os.path.join(folder, "simple", "1", "model.onnx"), os.path.join(folder, "ordered", "1"))
