"""What a script can do: state, words, classes and functions, tasks, nested results, random numbers."""

from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from networks import Network


class Counter(Network):
    """Buffers of a submodule that each request changes, and a running mean of training mode: the order of requests counts."""

    outputs = ["normal", "count", "smooth"]
    dims = {"x": [-1, 6], "normal": [-1, 6], "smooth": [6]}
    config = "instance_group { count: 1 }"

    class module(nn.Module):
        class Smooth(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("mean", torch.zeros(6))
                self.register_buffer("count", torch.zeros(1, dtype=torch.int64), persistent=True)

            def forward(self, x: Tensor) -> Tensor:
                self.mean.mul_(0.75).add_(x.mean(0), alpha=0.25)
                self.count += 1
                return self.mean

        def __init__(self):
            super().__init__()
            self.smooth = self.Smooth()
            self.norm = nn.BatchNorm1d(6)

        def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
            smooth = self.smooth(x)
            return self.norm(x), self.smooth.count.clone(), smooth.clone()

    def save(self, path):
        # Training mode, left on.
        torch.jit.script(type(self).module()).save(path)

    def requests(self):
        for rows in (2, 5, 3):
            yield {"x": torch.randn(rows, 6)}


class Words(Network):
    """A dictionary of words as an attribute, an optional list, a number that may be left out."""

    outputs = ["ids", "shown"]
    dims = {"texts": [-1], "unknown": [1], "ids": [-1], "shown": [-1]}
    optional = ("unknown",)

    class module(nn.Module):
        known: Dict[str, int]

        def __init__(self):
            super().__init__()
            self.known = {"one": 1, "zwei": 2, "trois": 3}

        def forward(self, texts: List[str], unknown: int = -1) -> Tuple[Tensor, List[str]]:
            ids: List[int] = []
            shown: List[str] = []
            for number, text in enumerate(texts):
                ids.append(self.known.get(text, unknown))
                shown.append(f"{number}: {text}")
            return torch.tensor(ids), shown

    def requests(self):
        yield {"texts": ["zwei", "quattro", "one"], "unknown": 99}
        yield {"texts": ["trois", ""]}


class Point(NamedTuple):
    x: Tensor
    y: Tensor


class DeepResults(Network):
    """Tuples in lists in tuples, named ones within, and a dictionary at the end."""

    outputs = ["first", "second", "third", "fourth", "sum", "product"]

    class module(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tuple[List[Tensor], Point, Dict[str, Tensor]]:
            return [a, b + 1], Point(a * 2, b[0]), {"sum": a + b, "product": a * b}

    def requests(self):
        yield {"a": torch.randn(2, 3), "b": torch.randn(2, 3)}


@torch.jit.script
class Tally:
    """A class of the script."""

    def __init__(self, start: float):
        self.total = start

    def add(self, value: float) -> float:
        self.total += value
        return self.total


@torch.jit.script
def halved(x: Tensor, times: int) -> Tensor:
    for _ in range(times):
        x = x / 2
    return x


class Language(Network):
    """Classes, functions, other methods, lists of modules, checks and tasks of a script."""

    outputs = ["tasks", "tallied", "layers"]
    dims = {"x": [-1, 4], "tasks": [-1, 4], "tallied": [-1], "layers": [-1, 4]}

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)])
            self.named = nn.ModuleDict({"relu": nn.ReLU(), "gelu": nn.GELU(approximate="tanh")})

        @torch.jit.export
        def scaled(self, x: Tensor, by: float) -> Tensor:
            return x * by

        def forward(self, x: Tensor, most: Optional[float] = None) -> Tuple[Tensor, Tensor, Tensor]:
            assert x.dim() == 2, "x has to be a matrix"
            waiting = [torch.jit.fork(halved, x, times) for times in range(3)]
            tasks = torch.stack([torch.jit.wait(each) for each in waiting]).sum(0)
            tally = Tally(0.5)
            tallied = [tally.add(float(row.sum())) for row in x.unbind(0)]
            out = self.scaled(x, 2.0)
            for layer in self.layers:
                out = layer(out)
            for name, layer in self.named.items():
                out = layer(out) if name == "gelu" else layer(-out)
            return tasks, torch.tensor(tallied), out if most is None else out.clamp(max=most)

    def requests(self):
        for rows in (1, 4):
            yield {"x": torch.randn(rows, 4)}


class Seeded(Network):
    """Random numbers of the seed that a request gives, and layers that training mode alone would make random."""

    outputs = ["normal", "places", "dropped"]
    dims = {"normal": [3], "places": [4], "dropped": [2]}

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.dropout = nn.Dropout(0.5)

        def forward(self, seed: int) -> Tuple[Tensor, Tensor, Tensor]:
            torch.manual_seed(seed)
            return torch.randn(3), torch.randint(0, 100, [4]), self.dropout(torch.ones(2))

    def requests(self):
        for seed in (7, 8, 7):
            yield {"seed": seed}
