"""Grain, blur and JPEG's blocks taken off, at half the size of the picture."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.unet import Block


class Denoiser(nn.Module):
    """What a picture lacks to be clean and sharp.

    Four pixels are one with four times the channels, so that convolutions cost a quarter and see twice as far (FFDNet:
    Zhang et al. 2018, arXiv:1710.04026). Half-way a few look at a quarter of the size, where coarse grain and wide blur
    are small too.

    Args:
        width: channels at half the size; at a quarter there are twice as many.
        blocks: residual blocks at half the size, an even number.
        far: residual blocks at a quarter of it.
    """

    def __init__(self, width: int = 48, blocks: int = 4, far: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(4 * 4, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.far = nn.Sequential(*(Block(2 * width) for _ in range(far)))
        self.up = nn.Conv2d(2 * width, 4 * width, 1)
        self.last = nn.Conv2d(width, 4 * 3, 3, padding=1)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        for layer in (self.up, self.last):  # it starts by changing next to nothing
            layer.weight.data.mul_(0.02)

    def forward(self, x: Tensor, painted: Tensor) -> Tensor:
        """What to add.

        Args:
            x: (B, 3, H, W) in [0, 1], with H and W multiples of 4.
            painted: how far each pixel has been painted over, (B, 1, H, W) in [0, 1].

        Returns:
            (B, 3, H, W), float32.
        """
        y = F.pixel_unshuffle(torch.cat([2 * x - 1, painted], 1).to(self.last.weight.dtype), 2)
        y = kernels.bias_leaky_relu(self.first(y))
        half = len(self.blocks) // 2
        y = self.blocks[:half](y)
        y = y + F.pixel_shuffle(self.up(self.far(kernels.bias_leaky_relu(self.down(y)))), 2)
        y = self.blocks[half:](y)
        return F.pixel_shuffle(self.last(kernels.bias_leaky_relu(y)), 2).float()
