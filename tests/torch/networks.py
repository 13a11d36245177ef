"""The models of make_models.py: each with what it takes, and how its tensors are named in the config."""

import os
import shutil
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Network:
    """A model, its requests, and what its config says."""

    module = None
    traced = False
    max_batch_size = 0
    # Names of the outputs in their order; left out, those of a dictionary or OUTPUT__N.
    outputs = None
    # Shapes in the config where they are not those of the first request.
    dims = {}
    optional = ()
    config = ""
    is_dictionary = False

    @property
    def name(self):
        return type(self).__name__.lower()

    def save(self, path):
        module = type(self).module().eval()
        with torch.no_grad():
            if self.traced:
                example = tuple(next(iter(self.requests())).values())
                saved = torch.jit.trace(module, example)
            else:
                saved = torch.jit.script(module)
        saved.save(path)

    def requests(self):
        """Dictionaries of what a request gives, in the order of the model's arguments."""
        raise NotImplementedError


def batches(*sizes):
    """Requests with one input of these shapes."""
    return [{"INPUT__0": torch.randn(size)} for size in sizes]


class AddSub(Network):
    max_batch_size = 8

    class module(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tuple[Tensor, Tensor]:
            return a + b, a - b

    def requests(self):
        for rows in (1, 4, 8):
            yield {name: torch.randint(-1000, 1000, (rows, 16), dtype=torch.int32) for name in ("INPUT__0", "INPUT__1")}


class Arguments(Network):
    """Inputs by the names of arguments, in another order than the model's; outputs by their order."""

    outputs = ["product", "first"]

    class module(nn.Module):
        def forward(self, left: Tensor, right: Tensor):
            return left @ right, left[0]

    def requests(self):
        for size in (3, 70):
            yield {"left": torch.randn(size, 5), "right": torch.randn(5, size)}

    dims = {"left": [-1, 5], "right": [5, -1], "product": [-1, -1], "first": [5]}


class DictIn(Network):
    is_dictionary = True
    outputs = ["OUTPUT__0"]
    max_batch_size = 4

    class module(nn.Module):
        def forward(self, features: Dict[str, Tensor]) -> Tensor:
            return features["height"] * 2 + features["weight"]

    def requests(self):
        for rows in (1, 3):
            yield {"weight": torch.randn(rows, 6), "height": torch.randn(rows, 6)}


class DictOut(Network):
    max_batch_size = 4

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(10, 4)

        def forward(self, x: Tensor) -> Dict[str, Tensor]:
            logits = self.layer(x)
            return {"logits": logits, "best": logits.argmax(1, keepdim=True), "probabilities": logits.softmax(1)}

    def requests(self):
        return batches((1, 10), (4, 10))


class ListOut(Network):
    traced = True
    dims = {"INPUT__0": [-1, 12], "OUTPUT__0": [-1, 3], "OUTPUT__1": [-1, 3], "OUTPUT__2": [-1, 6]}

    class module(nn.Module):
        def forward(self, x):
            return list(torch.split(x, [3, 3, 6], dim=1))

    def requests(self):
        return batches((2, 12), (9, 12))


class Strings(Network):
    outputs = ["OUTPUT__0", "OUTPUT__1"]
    dims = {"INPUT__0": [-1], "OUTPUT__0": [-1], "OUTPUT__1": [-1]}

    class module(nn.Module):
        def forward(self, texts: List[str]) -> Tuple[List[str], Tensor]:
            return [text.upper() + "!" for text in texts], torch.tensor([len(text) for text in texts])

    def requests(self):
        yield {"INPUT__0": ["one", "", "drei und vier", "x" * 5000]}
        yield {"INPUT__0": ["alone"]}


class StringRows(Network):
    """Strings in batches: a row is one string."""

    max_batch_size = 4
    outputs = ["OUTPUT__0"]

    class module(nn.Module):
        def forward(self, texts: List[str]) -> List[str]:
            return [text.strip() for text in texts]

    def requests(self):
        yield {"INPUT__0": [" a "]}
        yield {"INPUT__0": ["b ", " c", "d"]}

    dims = {}


class Encoder(Network):
    """Token numbers and a mask to a sentence's embedding; texts of any length."""

    dims = {"tokens": [-1, -1], "mask": [-1, -1], "OUTPUT__0": [-1, 32]}
    outputs = ["OUTPUT__0"]

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(500, 32)
            layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

        def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
            hidden = self.encoder(self.embedding(tokens), src_key_padding_mask=mask)
            kept = (~mask).unsqueeze(2).to(hidden.dtype)
            return nn.functional.normalize((hidden * kept).sum(1) / kept.sum(1))

    def requests(self):
        for rows, length in ((1, 7), (3, 20), (2, 1)):
            mask = torch.zeros(rows, length, dtype=torch.bool)
            mask[-1, 5:] = True
            yield {"tokens": torch.randint(0, 500, (rows, length)), "mask": mask}


class ConvNet(Network):
    traced = True
    max_batch_size = 8

    class module(nn.Sequential):
        def __init__(self):
            super().__init__(
                nn.Conv2d(3, 16, 3, stride=2, padding=1),
                nn.BatchNorm2d(16),
                nn.ReLU(inplace=True),
                nn.Conv2d(16, 32, 3, padding=1, groups=16),
                nn.Hardswish(),
                nn.MaxPool2d(2),
                nn.Conv2d(32, 64, 1),
                nn.SiLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(64, 10),
            )

    def requests(self):
        return batches((1, 3, 64, 64), (5, 3, 64, 64))


class Frozen(ConvNet):
    """The same, folded when it was saved: it has no attributes left, and its weights are constants."""

    def save(self, path):
        module = torch.jit.script(ConvNet.module().eval())
        torch.jit.freeze(module).save(path)

    max_batch_size = 0
    dims = {"INPUT__0": [-1, 3, 64, 64], "OUTPUT__0": [-1, 10]}


class Quantized(Network):
    """Layers with weights of eight bits."""

    max_batch_size = 8

    def save(self, path):
        module = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 5)).eval()
        torch.backends.quantized.engine = "fbgemm"
        quantized = torch.ao.quantization.quantize_dynamic(module, {nn.Linear}, dtype=torch.qint8)
        torch.jit.script(quantized).save(path)

    def requests(self):
        return batches((1, 64), (3, 64))


class Lstm(Network):
    """A nested tuple: the output, and the state that the next request gives back."""

    outputs = ["OUTPUT__0", "OUTPUT__1", "OUTPUT__2"]
    dims = {"INPUT__0": [-1, 1, 8], "OUTPUT__0": [-1, 1, 16]}

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(8, 16, num_layers=2)

        def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> Tuple[Tensor, Tuple[Tensor, Tensor]]:
            return self.lstm(x, (hidden, cell))

    def requests(self):
        for length in (1, 9):
            yield {
                "INPUT__0": torch.randn(length, 1, 8),
                "INPUT__1": torch.randn(2, 1, 16),
                "INPUT__2": torch.randn(2, 1, 16),
            }


class Collatz(Network):
    """Loops and branches that depend on the values."""

    dims = {"INPUT__0": [1], "OUTPUT__0": [-1]}
    outputs = ["OUTPUT__0"]

    class module(nn.Module):
        def forward(self, start: Tensor) -> Tensor:
            number = int(start.item())
            seen: List[int] = [number]
            while number != 1:
                if number % 2 == 0:
                    number = number // 2
                else:
                    number = 3 * number + 1
                seen.append(number)
            return torch.tensor(seen)

    def requests(self):
        for start in (1, 6, 27):
            yield {"INPUT__0": torch.tensor([start])}


class SameInput(Network):
    """The input itself, twice, and beside what was made of it."""

    max_batch_size = 4

    class module(nn.Module):
        def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
            return x, x + 1, x

    def requests(self):
        return batches((1, 20000), (3, 20000))


class Views(Network):
    """Parts of the input, in the order of its memory and in another."""

    class module(nn.Module):
        def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
            return x[1:], x.transpose(0, 1), x.view(-1)

    def requests(self):
        return batches((3, 30000))


class InPlace(Network):
    """Writes to its input, and returns it."""

    max_batch_size = 4

    class module(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x.mul_(2)
            return x.add_(1)

    def requests(self):
        return batches((1, 20000), (2, 20000))


class Keeps(Network):
    """Gives the last request's input, and keeps this one: the order of requests counts."""

    config = "instance_group { count: 1 }"

    class module(nn.Module):
        last: Tensor

        def __init__(self):
            super().__init__()
            self.last = torch.zeros(20000)

        def forward(self, x: Tensor) -> Tensor:
            last = self.last
            self.last = x
            return last

    def requests(self):
        return batches((20000,), (20000,), (20000,))


class Types(Network):
    class module(nn.Module):
        def forward(
            self, a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor, f: Tensor, g: Tensor, h: Tensor, i: Tensor, j: Tensor
        ):
            return a * 2, b / 3, c + 1, d + 1, e + 1, f + 1, g + 1, h + 1, ~i, j * 2

    def requests(self):
        floats = [torch.float32, torch.float64, torch.float16]
        integers = [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8]
        values = [torch.randn(3, 5).to(each) for each in floats]
        values += [torch.randint(0, 100, (3, 5)).to(each) for each in integers]
        values += [torch.tensor([[True, False]]), torch.randn(3, 5).to(torch.bfloat16)]
        yield {f"INPUT__{place}": value for place, value in enumerate(values)}


class Halves(Network):
    """A network in bfloat16."""

    max_batch_size = 8

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 8)).to(torch.bfloat16)

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x)

    def requests(self):
        for rows in (1, 6):
            yield {"INPUT__0": torch.randn(rows, 32).to(torch.bfloat16)}


class Numbers(Network):
    """Arguments that are no tensors."""

    outputs = ["scaled"]
    dims = {"x": [-1], "scaled": [-1]}

    class module(nn.Module):
        def forward(self, x: Tensor, times: int, factor: float, negative: bool, offset: int = 7) -> Tensor:
            for _ in range(times):
                x = x * factor
            return (-x if negative else x) + offset

    def requests(self):
        yield {"x": torch.randn(5), "times": 3, "factor": 1.5, "negative": True}
        yield {"x": torch.randn(2), "times": 0, "factor": 1.5, "negative": False}


class Maybe(Network):
    """An argument that a request may leave out."""

    outputs = ["sum"]
    optional = ("bias",)

    class module(nn.Module):
        def forward(self, x: Tensor, bias: Optional[Tensor] = None) -> Tensor:
            return x if bias is None else x + bias

    def requests(self):
        yield {"x": torch.randn(4), "bias": torch.randn(4)}
        yield {"x": torch.randn(4)}


class Boxes(NamedTuple):
    boxes: Tensor
    scores: Tensor
    count: Tensor


class Named(Network):
    """A named tuple, whose fields are outputs; a count without dimensions; as many boxes as are good enough."""

    outputs = ["boxes", "scores", "count"]
    dims = {"candidates": [-1, 5], "boxes": [-1, 4], "scores": [-1], "count": [1]}

    class module(nn.Module):
        def forward(self, candidates: Tensor) -> Boxes:
            kept = candidates[candidates[:, 4] > 0]
            order = kept[:, 4].argsort(descending=True)
            return Boxes(kept[order, :4], kept[order, 4], torch.tensor(kept.size(0)))

    def requests(self):
        yield {"candidates": torch.randn(50, 5)}
        yield {"candidates": -torch.ones(3, 5)}


class Spectrum(Network):
    """Complex numbers within."""

    traced = True
    max_batch_size = 4

    class module(nn.Module):
        def forward(self, x):
            window = torch.hann_window(128)
            return torch.log1p(torch.stft(x, 128, 64, window=window, return_complex=True).abs())

    def requests(self):
        return batches((1, 1024), (2, 1024))


class Silero_VAD(Network):
    """A model of others, whose state goes on from request to request."""

    outputs = ["probability"]
    config = "instance_group { count: 1 }"

    def save(self, path):
        shutil.copyfile(os.path.join(ROOT, ".cache", "models", "silero_vad.jit"), path)

    def requests(self):
        time = torch.arange(512 * 6) / 16000
        sound = torch.sin(2 * torch.pi * 220 * time) * torch.sin(2 * torch.pi * 3 * time)
        for piece in sound.reshape(6, 1, 512):
            yield {"x": piece.contiguous(), "sr": 16000}


class Classifier(Network):
    """For an archive: a picture of 224x224 to ten classes."""

    traced = True

    class module(nn.Sequential):
        def __init__(self):
            super().__init__(
                nn.Conv2d(3, 16, 7, stride=4), nn.ReLU(), nn.Conv2d(16, 16, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(2704, 10)
            )

    def requests(self):
        return batches((1, 3, 224, 224))


NETWORKS = [
    AddSub, Arguments, DictIn, DictOut, ListOut, Strings, StringRows, Encoder, ConvNet, Frozen, Quantized, Lstm, Collatz,
    SameInput, Views, InPlace, Keeps, Types, Halves, Numbers, Maybe, Named, Spectrum, Silero_VAD,
]  # fmt: skip
