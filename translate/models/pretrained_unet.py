"""A U-Net (arXiv:1505.04597) that knows photographs before it is trained: its encoder is EfficientNet-lite0's."""

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.efficientnet import TAPS, EfficientNetLite, tap_channels
from translate.models.unet import Block, Up

DEEPEST = 3  # the tap of the encoder that the decoder starts from: stride 16
SIZES = (1, 2, 3, 4, 4)  # channels of the decoder at strides 1 to 16, in units of the width
BLOCKS = 3  # residual blocks, at the smallest sizes
STRIDE = 2 ** (DEEPEST + 1)
AREA = 1 << 20  # pixels of what is looked at, at most


class PretrainedUNet(nn.Module):
    """Looks at a small copy of a picture, and applies what it found to the picture at its full size.

    The encoder stays as it is; only the decoder learns. What is larger than the network has ever seen is looked at a
    whole number of times smaller: a horse of 2,000 pixels is still one, the picture keeps its detail, and only the
    last step takes longer. Its kinds say what to look for and what to do about it, in `look` and `applied`.

    Args:
        width: channels of the decoder at full size.
        outputs: channels of what it finds.
        finest: kernel size of the convolution that shows the pixels themselves to the decoder's last step.
    """

    side = 384  # of what is looked at, the shorter one, at most

    def __init__(self, width: int, outputs: int, finest: int = 1) -> None:
        super().__init__()
        self.config = {"width": width}
        self.encoder = EfficientNetLite(stages=TAPS[DEEPEST] + 1).requires_grad_(False)
        skips = [3, *tap_channels(self.encoder.version)[: DEEPEST + 1]]
        sizes = [n * width for n in SIZES]
        self.deepest = nn.Conv2d(skips[-1], sizes[-1], 1)
        self.blocks = nn.ModuleList(Block(n) for n in reversed(sizes[-BLOCKS:]))
        self.up = nn.ModuleList(
            Up(sizes[level + 1], skips[level], sizes[level], 1 if level else finest)
            for level in reversed(range(len(sizes) - 1))
        )
        self.head = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.normal_(self.head.weight, 0, 0.02)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W), any size -> the same, float32 whatever the dtype of the weights."""
        height, width = x.shape[2:]
        times = smaller(height, width, self.side)
        return self.applied(self.look(seen(x, times)), x, times)

    def look(self, x: Tensor) -> Any:
        """At a small copy, whose sides are multiples of 16 -> what to do."""
        raise NotImplementedError

    def applied(self, found: Any, x: Tensor, times: int, top: int = 0) -> Tensor:
        """Do what was `found` to the rows x (B, 3, n, W) of the picture that begin at `top`, a multiple of `times`.

        Args:
            found: from `look`, at the whole of the picture.
            x: some rows of it.
            times: how many pixels of x, in each direction, there are to one of what was looked at.
            top: the first of the rows.
        """
        raise NotImplementedError

    def decoded(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) in [-1, 1], h and w multiples of 16 -> (B, outputs, h, w) float32."""
        x = x.to(self.head.weight.dtype)
        skips = [x, *self.encoder((x + 1) / 2, range(DEEPEST + 1))]
        y = self.blocks[0](kernels.bias_leaky_relu(self.deepest(skips.pop())))
        for number, up in enumerate(self.up, 1):
            y = up(y, skips.pop())
            if number < BLOCKS:
                y = self.blocks[number](y)
        found: Tensor = self.head(y).float()
        return found


def smaller(height: int, width: int, side: int) -> int:
    """How many times smaller a picture is made, in each direction, before a network of that `side` looks at it."""
    return max(math.ceil(min(height, width) / side), math.ceil(math.sqrt(height * width / AREA)))


def seen(x: Tensor, times: int) -> Tensor:
    """(B, 3, H, W) -> the means of `times` × `times` pixels, with sides that are multiples of 16."""
    multiple = STRIDE * times
    x = F.pad(x, [0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple], mode="replicate")
    return F.avg_pool2d(x, times) if times > 1 else x


def rows_of(found: Tensor, times: int, top: int, rows: int, width: int) -> Tensor:
    """(B, C, h, w) of the whole small copy -> (B, C, rows, width) at full size, beginning at row `top`."""
    first, last = top // times, -(-(top + rows) // times)
    before = first > 0
    near = found[:, :, first - before : last + 1]
    if times > 1:
        near = F.interpolate(near, scale_factor=times, mode="bilinear", align_corners=False)
    return near[:, :, before * times :][:, :, :rows, :width]
