#!/usr/bin/env python3
"""Makes TorchScript models with real PyTorch that keep something from one run to the next, each in its own way, and some that only look so.

    PYTHONPATH=.cache/python/torch tests/torch/make_keepers.py FOLDER

FOLDER/keeps and FOLDER/free are repositories. Each model takes a tensor of two numbers and returns one.
"""

import os
import sys
import warnings
from typing import Dict, List

# NVIDIA's libraries are empty ones here: what is not called must not be resolved.
sys.setdlopenflags(os.RTLD_LAZY)
warnings.filterwarnings("ignore", category=FutureWarning)

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402


class Fork(nn.Module):
    """Counts in a method that runs beside the others."""

    n: int

    def __init__(self):
        super().__init__()
        self.n = 0

    @torch.jit.export
    def bump(self, x: Tensor) -> Tensor:
        self.n = self.n + 1
        return x + self.n

    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(self.bump, x))


class ForkWrites(nn.Module):
    """Adds to a buffer there, in a fork of a fork."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(2))

    @torch.jit.export
    def inner(self, x: Tensor) -> Tensor:
        return x + self.total.add_(1)

    @torch.jit.export
    def outer(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(self.inner, x))

    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(self.outer, x))


class ForkReads(nn.Module):
    """Forks, and keeps nothing."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    @torch.jit.export
    def part(self, x: Tensor) -> Tensor:
        return torch.relu_(self.layer(x))

    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(self.part, x)) + x


class ListElement(nn.Module):
    """Writes to a tensor in a list."""

    def __init__(self):
        super().__init__()
        self.cache = [torch.zeros(2)]

    def forward(self, x: Tensor) -> Tensor:
        self.cache[0].add_(1)
        return x + self.cache[0]


class ListGrows(nn.Module):
    cache: List[Tensor]

    def __init__(self):
        super().__init__()
        self.cache = [torch.zeros(2)]

    def forward(self, x: Tensor) -> Tensor:
        self.cache.append(torch.ones(2))
        return x + len(self.cache) - 1


class DictElement(nn.Module):
    cache: Dict[str, Tensor]

    def __init__(self):
        super().__init__()
        self.cache = {"a": torch.zeros(2)}

    def forward(self, x: Tensor) -> Tensor:
        self.cache["a"].add_(1)
        return x + self.cache["a"]


class DictEntry(DictElement):
    def forward(self, x: Tensor) -> Tensor:
        self.cache["a"] = self.cache["a"] + 1
        return x + self.cache["a"]


class NestedList(nn.Module):
    """Takes a view of a tensor that lies two lists deep, by way of a list of its own."""

    def __init__(self):
        super().__init__()
        self.cache = [[torch.zeros(2)]]

    def forward(self, x: Tensor) -> Tensor:
        mine = [self.cache[0][0]]
        mine[0][:].add_(1)
        return x + self.cache[0][0]


class Constant(nn.Module):
    """Writes to a tensor that is no buffer: tracing makes a constant of it, and so does freezing."""

    def __init__(self):
        super().__init__()
        self.cache = [torch.zeros(2)]
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.cache[0].add_(1)
        return x + self.cache[0] + 0 * self.layer(x)


class Normalized(nn.Module):
    """Layers that have something to keep in training mode."""

    def __init__(self, **settings):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(0, (1, 1, 2, 1)),
            nn.Conv2d(1, 4, 1),
            nn.BatchNorm2d(4, **settings),
            nn.ReLU(inplace=True),
            nn.InstanceNorm2d(4),
            nn.Dropout(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + 0 * self.layers(x).sum()


class AlwaysUpdates(nn.Module):
    """Updates its statistics, whatever its mode is."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("deviation", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.batch_norm(x.view(2, 1), self.mean, self.deviation, training=True)
        return x + 0 * y.view(2) + self.mean


class SetsMode(Normalized):
    """Enters training mode by itself."""

    def forward(self, x: Tensor) -> Tensor:
        y = x + 0 * self.layers(x).sum()
        self.layers[2].training = True
        return y


class InputInPlace(nn.Module):
    """Writes to its input, which is copied for that, and to what it made itself."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        y = self.layer(x)
        y[0] = 1
        return x + y.zero_()


def frozen(module):
    return torch.jit.freeze(torch.jit.script(module.eval()))


def scripted(module):
    return torch.jit.script(module.eval())


def traced(module):
    return torch.jit.trace(module.eval(), torch.ones(2), check_trace=False)


KEEPS = {
    "always_updates": lambda: scripted(AlwaysUpdates()),
    "constant_frozen": lambda: frozen(Constant()),
    "constant_scripted": lambda: scripted(Constant()),
    "constant_traced": lambda: traced(Constant()),
    "dict_element": lambda: scripted(DictElement()),
    "dict_element_frozen": lambda: frozen(DictElement()),
    "dict_entry": lambda: scripted(DictEntry()),
    "fork": lambda: scripted(Fork()),
    "fork_writes": lambda: scripted(ForkWrites()),
    "list_element": lambda: scripted(ListElement()),
    "list_grows": lambda: scripted(ListGrows()),
    "nested_list": lambda: scripted(NestedList()),
    "nested_list_frozen": lambda: frozen(NestedList()),
    "sets_mode": lambda: scripted(SetsMode()),
    "training": lambda: torch.jit.script(Normalized()),
}
FREE = {
    "fork_reads": lambda: scripted(ForkReads()),
    "input_in_place": lambda: scripted(InputInPlace()),
    "input_in_place_frozen": lambda: frozen(InputInPlace()),
    "normalized": lambda: scripted(Normalized()),
    "normalized_by_the_batch": lambda: scripted(Normalized(track_running_stats=False)),
    "normalized_frozen": lambda: frozen(Normalized()),
    "normalized_traced": lambda: traced(Normalized()),
}
CONFIG = """platform: "pytorch_libtorch"
input { name: "x" data_type: TYPE_FP32 dims: 2 }
output { name: "y" data_type: TYPE_FP32 dims: 2 }
instance_group { count: 2 }
"""


def main(folder):
    for kind, models in (("keeps", KEEPS), ("free", FREE)):
        for name, make in models.items():
            version = os.path.join(folder, kind, name, "1")
            os.makedirs(version)
            make().save(os.path.join(version, "model.pt"))
            with open(os.path.join(folder, kind, name, "config.pbtxt"), "w", encoding="utf-8") as f:
                f.write(CONFIG)


if __name__ == "__main__":
    main(sys.argv[1])
