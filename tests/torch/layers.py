"""Layers: what is statically quantized, of sixteen bits, recurrent, convolutions of all kinds, attention, samples of pictures."""

from typing import Tuple

import torch
from torch import Tensor, nn

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
