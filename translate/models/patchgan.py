"""Discriminators: the 70×70 PatchGAN and a U-Net one for super-resolution."""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from translate import kernels
from translate.models.layers import init_normal, normalise


class PatchDiscriminator(nn.Module):
    """Judges each 70×70 patch of an image (Isola et al. 2017, arXiv:1611.07004, section 6.1.2).

    Args:
        inputs: channels of what it sees: 3, or 6 for a pair of images.
        width: channels of the first layer (64 in the paper).
    """

    def __init__(self, inputs: int = 3, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 4, 2, 1)
        self.middle = nn.ModuleList(
            [
                nn.Conv2d(width, width * 2, 4, 2, 1, bias=False),
                nn.Conv2d(width * 2, width * 4, 4, 2, 1, bias=False),
                nn.Conv2d(width * 4, width * 8, 4, 1, 1, bias=False),
            ]
        )
        self.last = nn.Conv2d(width * 8, 1, 4, 1, 1)
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, 1, H/8 - 2, W/8 - 2), unbounded; larger is more real."""
        x = kernels.bias_leaky_relu(F.conv2d(x, self.first.weight, stride=2, padding=1), self.first.bias)
        for conv in self.middle:
            x = normalise(conv(x), None, "leaky_relu")
        y: Tensor = self.last(x)
        return y


class UNetDiscriminator(nn.Module):
    """Judges every pixel, with spectral norm (Wang et al. 2021, arXiv:2107.10833, section 3.3).

    Args:
        width: channels of the first layer (64 in the paper).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList(_normed(width << i, width << i + 1, 4, 2) for i in range(3))
        self.up = nn.ModuleList(_normed(width << i + 1, width << i, 3, 1) for i in reversed(range(3)))
        self.refine = nn.ModuleList(_normed(width, width, 3, 1) for _ in range(2))
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], H and W multiples of 8 -> (B, 1, H, W), unbounded; larger is more real."""
        x = F.leaky_relu(self.first(x), 0.2)
        skips = []
        for conv in self.down:
            skips.append(x)
            x = F.leaky_relu(conv(x), 0.2)
        for conv in self.up:
            x = F.leaky_relu(kernels.upsample_conv2d(x, cast(Tensor, conv.weight)), 0.2) + skips.pop()
        for conv in self.refine:
            x = F.leaky_relu(conv(x), 0.2)
        y: Tensor = self.last(x)
        return y


def _normed(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False))
