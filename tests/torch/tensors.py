"""Tensors: types of eight and sixteen bits, without elements, sparse or complex within, algebra, sizes that were traced."""

from typing import List, Tuple

import torch
from torch import Tensor, nn

from networks import Network, batches


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
