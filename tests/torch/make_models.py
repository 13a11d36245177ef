#!/usr/bin/env python3
"""Makes TorchScript models with real PyTorch, and records what its Python gives for inputs to each.

    PYTHONPATH=.cache/python/torch tests/torch/make_models.py FOLDER

FOLDER/models is a repository, FOLDER/cases/MODEL.npz has the inputs (i/NAME) and outputs (o/NAME) of each request to a model, in their
order. FOLDER/classifier.pt is a network of its own, for an archive. Each model runs on one thread, here and in the server, so that the same additions are made in the same order.
"""

import os
import sys
import warnings

# NVIDIA's libraries are empty ones here: what is not called must not be resolved.
sys.setdlopenflags(os.RTLD_LAZY)
warnings.filterwarnings("ignore", category=FutureWarning)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from kinds import KINDS  # noqa: E402
from networks import NETWORKS, Classifier  # noqa: E402

TYPES = {
    torch.float32: "FP32",
    torch.float64: "FP64",
    torch.float16: "FP16",
    torch.bfloat16: "BF16",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.uint8: "UINT8",
    torch.bool: "BOOL",
}
ONE_THREAD = '\nparameters { key: "INTRA_OP_THREAD_COUNT" value { string_value: "1" } }\n'


def config_type(value):
    if isinstance(value, torch.Tensor):
        return TYPES[value.dtype]
    return {list: "STRING", int: "INT64", float: "FP64", bool: "BOOL"}[type(value)]


def as_array(value):
    """What a client sends or gets: a bfloat16 as its upper half of a float32, strings as objects."""
    if isinstance(value, list):
        return np.array([text.encode() for text in value], dtype=object)
    if not isinstance(value, torch.Tensor):
        return np.array([value])
    if value.dtype == torch.bfloat16:
        return value.contiguous().view(torch.int16).numpy().view(np.uint16)
    return value.resolve_conj().contiguous().numpy()


def results_of(value):
    """What the server takes a result apart into, by name where there are names."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (tuple, list)) and not (value and isinstance(value[0], str)):
        return [part for each in value for part in results_of(each)]
    return [(None, value)]


class Repository:
    def __init__(self, folder):
        self.models, self.cases = os.path.join(folder, "models"), os.path.join(folder, "cases")
        os.makedirs(self.models)
        os.makedirs(self.cases)

    def add(self, network):
        folder = os.path.join(self.models, network.name, "1")
        os.makedirs(folder)
        path = os.path.join(folder, "model.pt")
        network.save(path)
        loaded = torch.jit.load(path)
        recorded, described = {}, None
        with torch.inference_mode():
            for index, given in enumerate(network.requests()):
                arrays = {name: as_array(value).copy() for name, value in given.items()}
                values = dict(given) if network.is_dictionary else None
                made = loaded(values) if network.is_dictionary else loaded(*given.values())
                results = results_of(made)
                names = network.outputs or [name or f"OUTPUT__{place}" for place, (name, _) in enumerate(results)]
                outputs = dict(zip(names, [value for _, value in results], strict=True))
                described = described or (given, outputs)
                recorded |= {f"{index}/i/{name}": array for name, array in arrays.items()}
                recorded |= {f"{index}/o/{name}": as_array(value) for name, value in outputs.items()}
        self.config(network, *described)
        np.savez(os.path.join(self.cases, f"{network.name}.npz"), **recorded)

    def config(self, network, given, outputs):
        lists = []
        for kind, tensors in (("input", given), ("output", outputs)):
            parts = [self.tensor(network, kind, name, value) for name, value in tensors.items()]
            lists.append(f"{kind} [ {', '.join(parts)} ]")
        head = f'platform: "pytorch_libtorch"\nmax_batch_size: {network.max_batch_size}\n'
        with open(os.path.join(self.models, network.name, "config.pbtxt"), "w", encoding="utf-8") as f:
            f.write(head + "\n".join(lists) + "\n" + network.config + ONE_THREAD)

    def tensor(self, network, kind, name, value):
        shape = list(value.shape) if isinstance(value, torch.Tensor) else [len(value) if isinstance(value, list) else 1]
        dims = network.dims.get(name)
        reshape = ""
        if dims is None:
            dims = shape[1:] if network.max_batch_size else shape
            if not dims:
                # To clients each row has one element.
                dims, reshape = [1], ", reshape: { shape: [] }" if network.max_batch_size else ""
        optional = ", optional: true" if kind == "input" and name in network.optional else ""
        return f'{{ name: "{name}", data_type: TYPE_{config_type(value)}, dims: {list(dims)}{reshape}{optional} }}'


def main(folder):
    torch.set_num_threads(1)
    torch.manual_seed(15)
    repository = Repository(folder)
    for network in [*NETWORKS, *KINDS]:
        repository.add(network())
    Classifier().save(os.path.join(folder, "classifier.pt"))


if __name__ == "__main__":
    main(sys.argv[1])
