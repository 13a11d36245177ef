"""More models for make_models.py, each of a kind of its own: what is statically quantized, sparse or complex within, states of recurrent
layers, classes and functions of a script, tasks, types of eight and sixteen bits, shapes without elements, other kinds of files."""

from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.utils import mkldnn

from networks import Network, batches


class StaticQuantized(Network):
    """A convolution and a layer in eight bits, with weights packed for the engine, and activations between them in eight bits."""

    max_batch_size = 8
    engine = "fbgemm"

    def save(self, path):
        default = torch.backends.quantized.engine
        torch.backends.quantized.engine = self.engine
        module = nn.Sequential(
            torch.ao.quantization.QuantStub(),
            nn.Conv2d(3, 8, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, 6),
            torch.ao.quantization.DeQuantStub(),
        ).eval()
        module.qconfig = torch.ao.quantization.get_default_qconfig(self.engine)
        module = torch.ao.quantization.fuse_modules(module, [["1", "2"]])
        prepared = torch.ao.quantization.prepare(module)
        prepared(torch.randn(4, 3, 20, 20))
        torch.jit.script(torch.ao.quantization.convert(prepared)).save(path)
        torch.backends.quantized.engine = default

    def requests(self):
        return batches((1, 3, 20, 20), (3, 3, 20, 20))


class QuantizedEmbedding(Network):
    """Bags of words of any length, with vectors of eight bits, and a recurrent layer with weights of eight bits."""

    outputs = ["bags", "states"]
    dims = {"words": [-1], "offsets": [-1], "bags": [-1, 16], "states": [-1, -1, 12]}

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.bags = nn.EmbeddingBag(100, 16, mode="sum", include_last_offset=False)
            self.lstm = nn.LSTM(16, 12)

        def forward(self, words: Tensor, offsets: Tensor) -> Tuple[Tensor, Tensor]:
            bags = self.bags(words, offsets)
            return bags, self.lstm(bags.unsqueeze(1))[0]

    def save(self, path):
        quantization = torch.ao.quantization
        module = type(self).module().eval()
        module.bags.qconfig = quantization.float_qparams_weight_only_qconfig
        quantization.quantize_dynamic(
            module, {nn.LSTM: quantization.default_dynamic_qconfig, nn.EmbeddingBag: module.bags.qconfig}, inplace=True
        )
        torch.jit.script(module).save(path)

    def requests(self):
        yield {"words": torch.tensor([1, 5, 99, 5]), "offsets": torch.tensor([0, 3])}
        yield {"words": torch.tensor([7]), "offsets": torch.tensor([0])}


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


class Recurrent(Network):
    """Texts of several lengths, packed; layers of both directions, and a loop over a cell."""

    outputs = ["both", "lengths", "last"]
    dims = {"x": [-1, -1, 5], "sizes": [-1], "both": [-1, -1, 8], "lengths": [-1], "last": [-1, 7]}

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(5, 4, bidirectional=True, batch_first=True)
            self.cell = nn.LSTMCell(8, 7)

        def forward(self, x: Tensor, sizes: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
            packed = nn.utils.rnn.pack_padded_sequence(x, sizes, batch_first=True, enforce_sorted=False)
            both, lengths = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
            state = (torch.zeros(x.size(0), 7), torch.zeros(x.size(0), 7))
            for step in both.unbind(1):
                state = self.cell(step, state)
            return both, lengths, state[0]

    def requests(self):
        yield {"x": torch.randn(3, 6, 5), "sizes": torch.tensor([2, 6, 1])}
        yield {"x": torch.randn(1, 1, 5), "sizes": torch.tensor([1])}


class KindsOfConvolution(Network):
    max_batch_size = 4

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Sequential(nn.Conv2d(6, 12, 3, groups=3, dilation=2), nn.InstanceNorm2d(12, affine=True), nn.PReLU())
            self.up = nn.Sequential(nn.ConvTranspose2d(12, 6, 4, 2, 1, output_padding=1, groups=2), nn.GroupNorm(3, 6), nn.Mish())
            self.line = nn.Conv1d(6, 4, 5, padding_mode="circular", padding=2)
            self.cube = nn.Conv3d(1, 2, (2, 3, 3), stride=(1, 2, 2))

        def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
            up = self.up(self.down(x))
            large = nn.functional.interpolate(up, scale_factor=1.5, mode="bicubic", align_corners=False)
            return nn.functional.pixel_unshuffle(large[..., :18, :18], 2), self.line(x.flatten(2)), self.cube(x.unsqueeze(1))

    def requests(self):
        return batches((1, 6, 12, 14), (2, 6, 12, 14))


class HalfConvolution(Network):
    """Convolutions in sixteen bits of both kinds, and weights that are stored in sixteen bits and used in 32."""

    max_batch_size = 4

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3).half(), nn.Conv2d(4, 4, 3).bfloat16()
            self.stored = nn.Parameter(torch.randn(4, 4).half())

        def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
            half = self.first(x)
            brain = self.second(half.to(torch.bfloat16))
            return half, brain, brain.float().mean([2, 3]) @ self.stored.float()

    def requests(self):
        for rows in (1, 3):
            yield {"INPUT__0": torch.randn(rows, 3, 9, 9).half()}


class SmallIntegers(Network):
    """Types that others leave out: without a sign, of eight bits, and booleans, calculated with."""

    outputs = ["more", "shifted", "chosen", "where"]
    dims = {name: [-1] for name in ("a", "b", "c", "d", "more", "shifted", "chosen", "where")}

    class module(nn.Module):
        def forward(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
            return a + 1, torch.bitwise_left_shift(b, 1), torch.where(d, c, -c), torch.nonzero(d).flatten()

    def requests(self):
        yield {
            "a": torch.tensor([255, 0, 7], dtype=torch.uint8),
            "b": torch.tensor([-128, 64, 3], dtype=torch.int8),
            "c": torch.tensor([-32768, 5, 9], dtype=torch.int16),
            "d": torch.tensor([True, False, True]),
        }


class Empty(Network):
    """Tensors without elements, in and out, and one whose number of elements the values decide."""

    outputs = ["kept", "columns", "joined", "lists"]
    dims = {"x": [-1, 4], "kept": [-1, 4], "columns": [-1, -1], "joined": [-1, 4], "lists": [-1]}

    class module(nn.Module):
        def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
            sizes: List[int] = []
            for row in x.unbind(0):
                sizes.append(int((row > 0).sum()))
            kept = x[(x > 0).any(1)]
            return kept, x[:, 2:2], torch.cat([kept, x]), torch.tensor(sizes, dtype=torch.int32)

    def requests(self):
        yield {"x": torch.randn(0, 4)}
        yield {"x": -torch.ones(3, 4)}
        yield {"x": torch.randn(5, 4)}


class SparseWithin(Network):
    """A matrix that is sparse in the model, made of what a request gives; segments and scattered sums."""

    outputs = ["product", "sums", "unique", "counts"]
    dims = {"places": [2, -1], "values": [-1], "product": [5, 3], "sums": [5], "unique": [-1], "counts": [-1]}

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("right", torch.randn(6, 3))

        def forward(self, places: Tensor, values: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
            matrix = torch.sparse_coo_tensor(places, values, [5, 6]).coalesce()
            sums = torch.zeros(5).index_add(0, places[0], values)
            unique, _, counts = torch._unique2(places[1], sorted=True, return_inverse=False, return_counts=True)
            return torch.sparse.mm(matrix, self.right), sums, unique, counts

    def requests(self):
        yield {"places": torch.tensor([[0, 4, 0, 2], [5, 1, 5, 0]]), "values": torch.randn(4)}


class ComplexWithin(Network):
    """A filter in the frequencies; complex weights; what comes out is real, also a conjugate's part that is only a view."""

    max_batch_size = 4

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.randn(17, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
            spectrum = torch.fft.rfft(x) * self.weights
            return torch.fft.irfft(spectrum, n=32), spectrum.conj().imag, torch.view_as_real(spectrum)

    def requests(self):
        return batches((1, 32), (3, 32))


class Algebra(Network):
    max_batch_size = 4

    class module(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
            symmetric = a @ a.transpose(1, 2) + 4 * torch.eye(4, dtype=a.dtype)
            lower = torch.linalg.cholesky(symmetric)
            return lower, torch.linalg.solve(symmetric, b), torch.linalg.eigvalsh(symmetric), torch.einsum("bij,bjk->bk", a, b)

    def requests(self):
        for rows in (1, 3):
            yield {f"INPUT__{place}": torch.randn(rows, 4, width, dtype=torch.float64) for place, width in enumerate((4, 2))}


class Attention(Network):
    """Attention as one operation, and as a layer with a mask; positions that tracing made constants."""

    traced = True
    max_batch_size = 4
    dims = {"INPUT__0": [6, 16], "OUTPUT__0": [6, 16], "OUTPUT__1": [6, 6]}

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.MultiheadAttention(16, 4, batch_first=True)

        def forward(self, x):
            x = x + torch.arange(x.size(1)).unsqueeze(1) / 10
            mask = torch.triu(torch.ones(x.size(1), x.size(1), dtype=torch.bool), 1)
            mixed, weights = self.layer(x, x, x, attn_mask=mask, need_weights=True)
            query = mixed.unflatten(2, (2, 8)).transpose(1, 2)
            return nn.functional.scaled_dot_product_attention(query, query, query, is_causal=True).transpose(1, 2).flatten(2), weights

    def requests(self):
        return batches((1, 6, 16), (2, 6, 16))


class TracedSizes(Network):
    """Traced with one shape, asked with others: what was calculated from sizes goes on being calculated."""

    traced = True
    dims = {"INPUT__0": [-1, -1, -1], "OUTPUT__0": [-1], "OUTPUT__1": [-1, -1]}

    class module(nn.Module):
        def forward(self, x):
            padded = nn.functional.pad(x, (x.size(2) // 2, 0))
            return padded.reshape(-1), x.mean(0).new_zeros(x.size(1), x.size(0)) + x.size(2)

    def requests(self):
        return batches((2, 3, 4), (1, 5, 7), (3, 1, 1))


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


class Sampled(Network):
    """Pictures: a grid that samples, windows, thresholds by rank, and places of the best."""

    max_batch_size = 4

    class module(nn.Module):
        def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
            turn = torch.tensor([[[0.8, -0.6, 0.1], [0.6, 0.8, 0.0]]]).expand(x.size(0), 2, 3)
            grid = nn.functional.affine_grid(turn, x.shape, align_corners=False)
            sampled = nn.functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
            windows = nn.functional.fold(nn.functional.unfold(x, 3, stride=3), (9, 9), 3, stride=3)
            values, places = x.flatten(1).topk(5)
            return sampled, windows, values, places

    def requests(self):
        return batches((1, 2, 9, 9), (3, 2, 9, 9))


class LightFile(Network):
    """A file for phones, which the whole library reads as well."""

    max_batch_size = 4

    class module(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(7, 5), nn.Softplus(), nn.Linear(5, 3), nn.LogSoftmax(1))

    def save(self, path):
        torch.jit.script(type(self).module().eval())._save_for_lite_interpreter(path)

    def requests(self):
        return batches((1, 7), (4, 7))


class KeptAttributes(Network):
    """Frozen, with a buffer that was to be kept and files beside the code."""

    class module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
            self.register_buffer("scale", torch.tensor(3.0))

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) * self.scale

    def save(self, path):
        module = torch.jit.script(type(self).module().eval())
        frozen = torch.jit.freeze(module, preserved_attrs=["scale"], optimize_numerics=True)
        torch.jit.save(frozen, path, _extra_files={"labels.txt": "cat\ndog"})

    def requests(self):
        return batches((1, 1, 8, 8))


class OneDnn(Network):
    """Weights in the layout of oneDNN, which the file's code makes again when it is loaded."""

    max_batch_size = 4

    class module(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1))

    def save(self, path):
        class Whole(nn.Module):
            def __init__(self, layers):
                super().__init__()
                self.layers = layers

            def forward(self, x: Tensor) -> Tensor:
                return self.layers(x.to_mkldnn()).to_dense()

        layers = mkldnn.to_mkldnn(type(self).module().eval())
        torch.jit.trace(Whole(layers), torch.randn(1, 3, 10, 10)).save(path)

    def requests(self):
        return batches((1, 3, 10, 10), (2, 3, 10, 10))


KINDS = [
    StaticQuantized, QuantizedEmbedding, Counter, Recurrent, KindsOfConvolution, HalfConvolution, SmallIntegers, Empty, SparseWithin,
    ComplexWithin, Algebra, Attention, TracedSizes, Words, DeepResults, Language, Seeded, Sampled, LightFile, KeptAttributes, OneDnn,
]  # fmt: skip
