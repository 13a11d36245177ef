"""Models as people have them: recurrent networks with states and lengths, transformers, frozen ones, odd layouts, results of any size."""

from typing import Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks import Network, batches


class GruStates(Network):
    """Its input is turned, so that a product's order depends on what kind of tensors the weights are."""

    traced = True

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.GRU(6, 5, 2, batch_first=True, bidirectional=True)

        def forward(self, x, h):
            return self.layers(x, h)

    def requests(self):
        for steps in (3, 9):
            yield {"INPUT__0": torch.randn(2, steps, 6), "INPUT__1": torch.randn(4, 2, 5)}

    dims = {"INPUT__0": [2, -1, 6], "OUTPUT__0": [2, -1, 10]}


class Packed(Network):
    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.LSTM(4, 3)

        def forward(self, x: Tensor, lengths: Tensor) -> Tuple[Tensor, Tuple[Tensor, Tensor], Tensor]:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            made, states = self.layer(packed)
            rows, counts = nn.utils.rnn.pad_packed_sequence(made)
            return rows, states, counts

    def requests(self):
        yield {"x": torch.randn(5, 3, 4), "lengths": torch.tensor([2, 5, 1])}
        yield {"x": torch.randn(5, 3, 4), "lengths": torch.tensor([5, 5, 3])}


class DynamicLstm(Network):
    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = nn.LSTM(8, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            made, _ = self.layer(x)
            return self.last(made)

    def save(self, path):
        quantized = torch.ao.quantization.quantize_dynamic(self.module().eval(), {nn.LSTM, nn.Linear}, torch.qint8)
        torch.jit.script(quantized).save(path)

    def requests(self):
        return batches((4, 1, 8), (4, 1, 8))


class FrozenExport(Network):
    """Frozen, with another method beside forward, and with files of its own in the archive."""

    max_batch_size = 4

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.norm, self.factor = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Parameter(torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.layer(x)) * self.factor

        @torch.jit.export
        def version(self) -> int:
            return 3

    def save(self, path):
        frozen = torch.jit.freeze(torch.jit.script(self.module().eval()), preserved_attrs=["version"])
        torch.jit.save(frozen, path, _extra_files={"labels.json": "{}", "notes/of.txt": "x"})

    def requests(self):
        return batches((1, 3, 7, 9), (2, 3, 7, 9))


class Bits(Network):
    class module(nn.Module):
        def forward(self, a: Tensor, chosen: Tensor):
            return (a << 1) ^ a, a[chosen], chosen.logical_not(), (a > 100).all(), torch.bitwise_and(a, 15), chosen.sum()

    def requests(self):
        yield {"INPUT__0": torch.randint(0, 255, (9,), dtype=torch.uint8), "INPUT__1": torch.rand(9) > 0.5}

    dims = {"OUTPUT__1": [-1]}


class TracedDict(Network):
    outputs = ["boxes", "scores"]

    class module(nn.Module):
        def forward(self, x):
            return {"boxes": x * 2, "scores": x.sum(1)}

    def save(self, path):
        torch.jit.trace(self.module(), torch.randn(2, 4), strict=False).save(path)

    def requests(self):
        return batches((2, 4), (6, 4))

    dims = {"INPUT__0": [-1, 4], "boxes": [-1, 4], "scores": [-1]}


class Transformer(Network):
    max_batch_size = 4

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, activation="gelu")
            self.words, self.head = nn.Embedding(50, 16), nn.Linear(16, 50)
            self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

        def forward(self, ids: Tensor, mask: Tensor) -> Dict[str, Tensor]:
            scores = self.head(self.layers(self.words(ids), src_key_padding_mask=mask))
            return {"scores": scores, "best": scores.argmax(-1)}

    def requests(self):
        for rows in (1, 3):
            yield {"ids": torch.randint(0, 50, (rows, 5)), "mask": torch.zeros(rows, 5, dtype=torch.bool)}


class DynamicShapes(Network):
    class module(nn.Module):
        def forward(self, x: Tensor):
            counts = torch.unique(x, return_counts=True)[1]
            return x.nonzero(), counts, x[x > 0], torch.topk(x, int(x.numel() // 2)).values

    def requests(self):
        for count in (8, 20):
            yield {"INPUT__0": torch.randint(-2, 3, (count,)).float()}

    dims = {"INPUT__0": [-1], "OUTPUT__0": [-1, 1], "OUTPUT__1": [-1], "OUTPUT__2": [-1], "OUTPUT__3": [-1]}


class Layouts(Network):
    """Results that lie in memory in another order, or again and again in the same place."""

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)

        def forward(self, x: Tensor):
            y = self.layer(x.contiguous(memory_format=torch.channels_last))
            return y, y[:1, :1, 0, 0].expand(2, 3), y.permute(0, 2, 3, 1), y.flatten()[::7]

    def requests(self):
        return batches((2, 3, 6, 6))


class Samplers(Network):
    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(10, 4, mode="mean")

        def forward(self, x: Tensor, grid: Tensor, ids: Tensor, begins: Tensor):
            sampled = F.grid_sample(x, grid, align_corners=False, padding_mode="reflection")
            resized = F.interpolate(x, size=[5, 9], mode="bicubic", antialias=True, align_corners=False)
            pooled = F.adaptive_avg_pool2d(x, 3)
            return sampled, resized, self.bag(ids, begins), F.pixel_shuffle(x, 2), torch.fft.rfft2(x).abs(), F.unfold(x, 2), pooled

    def requests(self):
        grid = torch.rand(1, 5, 5, 2) * 2 - 1
        yield {"INPUT__0": torch.randn(1, 4, 8, 8), "INPUT__1": grid, "INPUT__2": torch.randint(0, 10, (6,)), "INPUT__3": torch.tensor([0, 4])}


class TextOut(Network):
    class module(nn.Module):
        names: List[str]

        def __init__(self):
            super().__init__()
            self.names = ["cat", "dog", "bird"]

        def forward(self, x: Tensor) -> Tuple[List[str], Tensor]:
            found: List[str] = []
            for best in x.argmax(1):
                found.append(self.names[int(best)])
            return found, x.softmax(1)

    def requests(self):
        return batches((2, 3), (2, 3))


class Cells(Network):
    """A loop of as many steps as the request says; what is left out has the model's own value."""

    outputs = ["OUTPUT__0"]

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.last = nn.LSTMCell(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor, steps: int, mask: Optional[Tensor] = None) -> Tensor:
            h, c = torch.zeros(x.size(1), 4), torch.zeros(x.size(1), 4)
            for step in range(steps):
                h, c = self.cell(x[step % x.size(0)], (h, c))
            return self.last(h if mask is None else h * mask)

    def requests(self):
        for steps in (1, 7):
            yield {"x": torch.randn(3, 2, 3), "steps": steps}


USUAL = [
    GruStates, Packed, DynamicLstm, FrozenExport, Bits, TracedDict, Transformer, DynamicShapes, Layouts, Samplers, TextOut, Cells,
]  # fmt: skip
