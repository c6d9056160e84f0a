"""SRVGGNetCompact, the small network of Real-ESRGAN for anime videos and general photographs (Wang et al. 2021).

arXiv:2107.10833 and its project's release 0.2.5: a plain stack of convolutions at low resolution.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.models.keys import count, length
from translate.models.srgan import ConvShuffle


class SRVGGNetCompact(nn.Module):
    """3×3 convolutions with PReLU and one sub-pixel convolution, added to the nearest-neighbour enlargement.

    Images are (B, 3, H, W) in [0, 1].

    Args:
        width: channels (64 in the public files).
        layers: convolutions with PReLU (17 or 33 in the public files, which count one less).
        scale: enlargement.
    """

    full_size = 0  # channels that it computes at the size of the result

    def __init__(self, width: int = 64, layers: int = 17, scale: int = 4) -> None:
        super().__init__()
        self.config = {"width": width, "layers": layers, "scale": scale}
        self.scale = scale
        sizes = [3, *[width] * layers]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(sizes))
        self.activations = nn.ModuleList(nn.PReLU(width) for _ in range(layers))
        self.up = ConvShuffle(width, 3, scale, "none")

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 3, scale·H, scale·W), near [0, 1], always float32."""
        y = x.to(self.up.weight.dtype)
        for conv, activation in zip(self.convs, self.activations, strict=True):
            y = activation(conv(y))
        base = F.interpolate(x.float(), scale_factor=self.scale, mode="nearest")
        enlarged: Tensor = base + self.up(y).float()
        return enlarged


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Layer names of BasicSR's SRVGGNetCompact -> ours: `body.0`, `body.1` … are a convolution and a PReLU in turn."""
    last = count(keys, "body.") - 1
    names = {f"body.{n}": f"{'activations' if n % 2 else 'convs'}.{n // 2}" for n in range(last)}
    return names | {f"body.{last}": "up"}


def build(shapes: Mapping[str, torch.Size]) -> SRVGGNetCompact:
    """The network whose tensors have these shapes, as far as there is one."""
    scale = isqrt(length(shapes, "up.weight") // 3)
    return SRVGGNetCompact(length(shapes, "convs.0.weight"), count(shapes, "convs."), max(1, scale))


def halo(network: SRVGGNetCompact) -> int:
    """How far, in input pixels, an output pixel sees in each direction."""
    return len(network.convs) + 1
