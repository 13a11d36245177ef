"""Files of other kinds: for phones, frozen with attributes, in the layout of oneDNN."""

import torch
from torch import Tensor, nn
from torch.utils import mkldnn

from networks import Network, batches


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
