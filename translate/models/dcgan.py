"""DCGAN: transposed convolutions up, strided ones down (Radford et al. 2016, arXiv:1511.06434, section 3)."""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.layers import RunningBatchNorm, init_normal


class DCGenerator(nn.Module):
    """Noise to pictures: a small map of `base(size)` on a side, doubled until it has the size asked for.

    Args:
        latent: length of z.
        width: channels before the last layer; twice as many each layer towards the noise.
        size: side of the pictures, 4 to 7 times a power of two: 28, 32, 48, 64, 128 …
        channels: 1 for grey, 3 for RGB.
        uniform: z was drawn from U(-1, 1) and not N(0, 1) in training.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self, latent: int = 100, width: int = 64, size: int = 64, channels: int = 3, uniform: bool = False
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "latent": latent,
            "width": width,
            "size": size,
            "channels": channels,
            "uniform": uniform,
        }
        self.latent, self.size, self.channels, self.uniform = latent, size, channels, uniform
        widths = doublings(size, width)[::-1]
        self.first = nn.Linear(self.inputs, widths[0] * base(size) ** 2, bias=False)
        self.up = nn.ParameterList(torch.empty(i, o, 4, 4) for i, o in pairwise([*widths, channels]))
        self.norms = nn.ModuleList(RunningBatchNorm(width) for width in widths)
        self.bias = nn.Parameter(torch.zeros(channels))
        for weight in (self.first.weight, *self.up):
            nn.init.normal_(weight, 0.0, 0.02)

    @property
    def inputs(self) -> int:
        """How many numbers the first layer sees."""
        return self.latent

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, latent) -> (B, channels, size, size) in [-1, 1]; there are no labels."""
        side = base(self.size)
        x: Tensor = self.first(z).unflatten(1, (-1, side, side))
        for norm, weight in zip(self.norms, self.up, strict=True):
            x = kernels.conv_transpose2d(F.relu(norm(x)), weight)
        return torch.tanh(x + self.bias.view(-1, 1, 1))


class DCDiscriminator(nn.Module):
    """Pictures to one score each; batch norm but in the first layer.

    Args:
        width: channels of the first layer; twice as many each layer.
        size: as of the generator.
        channels: as of the generator.
    """

    def __init__(self, width: int = 64, size: int = 64, channels: int = 3) -> None:
        super().__init__()
        widths = doublings(size, width)
        self.down = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1, bias=False) for i, o in pairwise([channels, *widths]))
        self.norms = nn.ModuleList(RunningBatchNorm(width) for width in widths[1:])
        self.last = nn.Linear(widths[-1] * base(size) ** 2, 1)
        init_normal(self)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, channels, size, size) in [-1, 1] -> (B, 1), unbounded; larger is more real."""
        y: Tensor = self.last(self.features(x))
        return y

    def features(self, x: Tensor) -> Tensor:
        """(B, channels, size, size) -> (B, F), what the score is made of."""
        x = kernels.bias_leaky_relu(self.down[0](x))
        for conv, norm in zip(self.down[1:], self.norms, strict=True):
            x = kernels.bias_leaky_relu(norm(conv(x)))
        return x.flatten(1)


def base(size: int) -> int:
    """The side of the smallest map: 28 -> 7, 32 and 64 -> 4, 48 -> 6.

    Raises:
        ValueError: the size is no such number times a power of two, or is below 8.
    """
    side = size
    while side > 7 and side % 2 == 0:
        side //= 2
    if not 4 <= side <= 7 or side == size:
        raise ValueError(f"pictures of {size}×{size} cannot be made by doubling; take 28, 32, 48, 64, 128 …")
    return side


def doublings(size: int, width: int) -> list[int]:
    """Channels of each layer, from the pictures to the noise; no more than 512."""
    count = (size // base(size)).bit_length() - 1
    return [min(width << layer, max(width, 512)) for layer in range(count)]
