"""Grain, blur and JPEG's blocks taken off, at half the size of the picture."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.unet import Block


class Denoiser(nn.Module):
    """What a picture lacks to be clean and sharp.

    Four pixels are one with four times the channels, so that convolutions cost a quarter and see twice as far (FFDNet:
    Zhang et al. 2018, arXiv:1710.04026).

    Args:
        width: channels.
        blocks: residual blocks of two convolutions; each sees 8 pixels further.
    """

    def __init__(self, width: int = 48, blocks: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(4 * 4, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.last = nn.Conv2d(width, 4 * 3, 3, padding=1)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        self.last.weight.data.mul_(0.02)  # it starts by changing next to nothing

    def forward(self, x: Tensor, painted: Tensor) -> Tensor:
        """What to add.

        Args:
            x: (B, 3, H, W) in [0, 1], with even H and W.
            painted: how far each pixel has been painted over, (B, 1, H, W) in [0, 1].

        Returns:
            (B, 3, H, W), float32.
        """
        y = F.pixel_unshuffle(torch.cat([2 * x - 1, painted], 1).to(self.last.weight.dtype), 2)
        y = self.blocks(kernels.bias_leaky_relu(self.first(y)))
        return F.pixel_shuffle(self.last(kernels.bias_leaky_relu(y)), 2).float()
