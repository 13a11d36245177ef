"""What `scripts/bench engines` runs with PyTorch's own Python: `make FOLDER` writes models, `loop ...` runs one in a bare loop."""

import os
import sys
import warnings

# NVIDIA's libraries are empty ones here: what is not called must not be resolved.
sys.setdlopenflags(os.RTLD_LAZY)
warnings.filterwarnings("ignore", category=FutureWarning)

import torch  # noqa: E402
from torch import nn  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from loop import loop  # noqa: E402


class Residual(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        self.short = nn.Conv2d(channels, out, 1, stride, bias=False) if channels != out or stride > 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.second(self.first(x)) + self.short(x))


def convolutions():
    layers, channels = [], 3
    for out in (16, 32, 32, 32, 16):
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def residual():
    """ResNet-18."""
    layers, channels = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Residual(channels, out, stride), Residual(out, out, 1)]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


MODELS = {"convolutions": convolutions, "residual": residual, "dense": lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))}


def make(folder):
    torch.manual_seed(0)
    for name, model in MODELS.items():
        torch.jit.script(model().eval()).save(os.path.join(folder, f"{name}.pt"))


def main():
    if sys.argv[1] == "make":
        return make(sys.argv[2])
    path, shape, threads, seconds = sys.argv[2:]
    model = torch.jit.load(path)
    data = torch.zeros([int(size) for size in shape.split(",")])

    def run():
        # The mode is of a thread.
        with torch.inference_mode():
            model(data)

    loop(run, int(threads), float(seconds))
    # So is the number of threads.
    return loop(run, int(threads), float(seconds), lambda: torch.set_num_threads(1))


if __name__ == "__main__":
    main()
