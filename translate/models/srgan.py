"""SRGAN's generator (Ledig et al. 2017, arXiv:1609.04802), without batch norm, as in EDSR (arXiv:1707.02921)."""

from collections.abc import Iterable, Mapping
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.keys import count, length

TAILS = ("direct", "staged")


class SRResNet(nn.Module):
    """Residual blocks at low resolution, then sub-pixel convolutions, added to the bilinear enlargement.

    Images are (B, 3, H, W) in [0, 1].

    Args:
        width: channels (64 in the paper).
        blocks: residual blocks (16 in the paper).
        scale: enlargement, a power of two.
        tail: "staged" doubles the size step by step, as the paper does; "direct" shuffles once, straight to the
            image, which is several times quicker on a CPU because nothing is computed at full size.
    """

    def __init__(self, width: int = 64, blocks: int = 16, scale: int = 4, tail: str = "staged") -> None:
        super().__init__()
        if tail not in TAILS:
            raise ValueError(f"tail is {tail!r}; known are direct and staged")
        self.config = {"width": width, "blocks": blocks, "scale": scale, "tail": tail}
        self.scale = scale
        self.full_size = 0 if tail == "direct" else width  # channels at the size of the result
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.tail = None
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        if tail == "direct":
            self.up = nn.Sequential(ConvShuffle(width, 3, scale, "none"))
        else:
            self.up = nn.Sequential(
                *(ConvShuffle(width, width, 2, "leaky_relu") for _ in range(scale.bit_length() - 1))
            )
            self.tail = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)])

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 3, scale·H, scale·W), near [0, 1], always float32."""
        base = F.interpolate(x.float(), scale_factor=self.scale, mode="bilinear", align_corners=False)
        y = self.blocks(F.leaky_relu(self.head(x.to(self.head.weight.dtype)), 0.1))
        y = self.up(y)
        if self.tail is not None:
            refine, last = self.tail
            y = last(F.leaky_relu(refine(y), 0.1))
        enlarged: Tensor = base + y.float()
        return enlarged


class ConvShuffle(nn.Conv2d):
    """A 3×3 sub-pixel convolution with its activation."""

    def __init__(self, inputs: int, outputs: int, factor: int, activation: kernels.Activation) -> None:
        super().__init__(inputs, outputs * factor**2, 3, padding=1)
        self.factor, self.activation = factor, activation

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, factor·H, factor·W)."""
        return kernels.conv_pixel_shuffle(
            x, self.weight, self.bias, factor=self.factor, activation=self.activation, slope=0.1
        )


class ResidualBlock(nn.Module):
    """conv, ReLU, conv, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        for conv in (self.first, self.second):  # small at first, so that a deep stack starts near the identity
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data.mul_(0.1)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        y: Tensor = x + self.second(F.relu_(self.first(x)))
        return y


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Layer names of BasicSR's MSRResNet -> ours, for as many blocks as the keys have."""
    blocks = count(keys, "body.")
    names = {"conv_first": "head", "upconv1": "up.0", "upconv2": "up.1", "conv_hr": "tail.0", "conv_last": "tail.1"}
    for block in range(blocks):
        names |= {f"body.{block}.conv1": f"blocks.{block}.first", f"body.{block}.conv2": f"blocks.{block}.second"}
    return names


def build(shapes: Mapping[str, torch.Size]) -> SRResNet:
    """The generator whose tensors have these shapes, as far as there is one."""
    if any(key.startswith("tail.") for key in shapes):
        tail, scale = "staged", 2 ** count(shapes, "up.")
    else:
        tail, scale = "direct", isqrt(length(shapes, "up.0.weight") // 3)
    return SRResNet(
        length(shapes, "head.weight"),
        count(shapes, "blocks."),
        max(1, scale),
        tail,
    )


def halo(network: SRResNet) -> int:
    """How far, in input pixels, an output pixel sees in each direction."""
    # The staged tail reaches 2 pixels at full size; each doubling before it halves that, and its convolution adds 1.
    tail = 1 if network.tail is None else 2
    return 1 + 2 * len(network.blocks) + tail
