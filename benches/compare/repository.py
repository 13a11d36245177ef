"""The models, in one repository that both servers take as it is."""

import os
import shutil
import sys

from .. import ROOT

PACKAGES = os.path.join(ROOT, ".cache", "python", "tests")
CENTERFACE = os.path.join(ROOT, "model_repository", "centerface", "1", "model.onnx")

INSTANCES = "instance_group {{ count: {} kind: KIND_CPU }}\n"
ONE_THREAD = 'parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n'

# What stands for the identity backend where Triton has only its Python backend.
PYTHON_IDENTITY = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            tensor = pb_utils.get_input_tensor_by_name(request, "INPUT0")
            tensor = pb_utils.Tensor("OUTPUT0", tensor.as_numpy())
            responses.append(pb_utils.InferenceResponse([tensor]))
        return responses
"""


def tensors(kind, data_type, *named):
    """The inputs or the outputs of a config."""
    return "".join(
        f'{kind} {{ name: "{name}" data_type: TYPE_{data_type} dims: {dims} }}\n'
        for name, dims in named
    )


def config(backend, max_batch_size, *parts, instances=1):
    head = f'backend: "{backend}"\nmax_batch_size: {max_batch_size}\n'
    return head + "".join(parts) + INSTANCES.format(instances)


def identity(backend):
    ends = tensors("input", "FP32", ("INPUT0", [-1])), tensors("output", "FP32", ("OUTPUT0", [-1]))
    return config(backend, 0, *ends)


def add_sub():
    return config(
        "onnxruntime",
        8,
        tensors("input", "INT32", ("INPUT0", [16]), ("INPUT1", [16])),
        tensors("output", "INT32", ("OUTPUT0", [16]), ("OUTPUT1", [16])),
    )


def mlp():
    return config(
        "onnxruntime",
        64,
        tensors("input", "FP32", ("x", [256])),
        tensors("output", "FP32", ("y", [256])),
        "dynamic_batching {}\n",
    )


def centerface():
    maps = [("537", [1, -1, -1]), ("538", [2, -1, -1]), ("539", [2, -1, -1]), ("540", [10, -1, -1])]
    return config(
        "onnxruntime",
        4,
        tensors("input", "FP32", ("input.1", [3, -1, -1])),
        tensors("output", "FP32", *maps),
        ONE_THREAD,
        instances=2,
    )


def onnx_file(name):
    """The bytes of a model's ONNX file."""
    if name == "centerface":
        if not os.path.isfile(CENTERFACE):
            sys.exit(f"bench: {CENTERFACE} is missing: scripts/fetch and scripts/prepare")
        with open(CENTERFACE, "rb") as f:
            return f.read()
    sys.path[:0] = [os.path.join(ROOT, "tests", "golden"), PACKAGES]
    import make_models

    return make_models.add_sub() if name == "simple" else make_models.mlp(width=256, layers=3)


CONFIGS = {"simple": add_sub, "mlp": mlp, "centerface": centerface}


def write(folder, model, identity_backend, extra_models=0):
    """A repository with one model, and further copies of it if they are asked for. Returns the folder
    of the model's version.
    """
    home = os.path.join(folder, model)
    version = os.path.join(home, "1")
    os.makedirs(version)
    text = identity(identity_backend) if model == "identity" else CONFIGS[model]()
    with open(os.path.join(home, "config.pbtxt"), "w", encoding="utf-8") as f:
        f.write(text)
    if model != "identity":
        with open(os.path.join(version, "model.onnx"), "wb") as f:
            f.write(onnx_file(model))
    elif identity_backend == "python":
        with open(os.path.join(version, "model.py"), "w", encoding="utf-8") as f:
            f.write(PYTHON_IDENTITY)
    for n in range(extra_models):
        shutil.copytree(home, os.path.join(folder, f"{model}_{n}"))
    return version
