"""A generator that knows photographs before it is trained: a U-Net (arXiv:1505.04597) on ImageNet features."""

import math
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.efficientnet import STAGES, TAPS, EfficientNetLite0
from translate.models.keys import length
from translate.models.unet import Block, Up

DEEPEST = 3  # the tap of the encoder that the decoder starts from: stride 16
SIZES = (1, 2, 3, 4, 4)  # channels of the decoder at strides 1 to 16, in units of the width
BLOCKS = 3  # residual blocks, at the smallest sizes
STRIDE = 2 ** (DEEPEST + 1)
SIDE, AREA = 384, 1 << 20  # what is looked at has a shorter side and a number of pixels of at most so many


class PretrainedGenerator(nn.Module):
    """Changes each pixel's brightness and colour by what EfficientNet-lite0 sees around it.

    The encoder can tell a horse from its meadow from the start and stays as it is; only the decoder learns. It gives
    a shift s and a gain g in (0, 2) for each pixel, and the result is tanh(s + g · artanh(x)): training starts at s = 0
    and g = 1, which is the picture itself, so a background need not be learnt. A gain near 0 forgets what was there.

    What is larger than the network has ever seen is looked at a whole number of times smaller, and the changes are
    brought to full size: a horse of 2,000 pixels is still one, the picture keeps its detail, and only the last step
    takes longer.

    Images are (B, 3, H, W) in [-1, 1], of any size.

    Args:
        width: channels of the decoder at full size.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.config = {"width": width}
        self.encoder = EfficientNetLite0(stages=TAPS[DEEPEST] + 1).requires_grad_(False)
        skips = [3, *(STAGES[tap][-1] for tap in TAPS[: DEEPEST + 1])]
        sizes = [n * width for n in SIZES]
        self.deepest = nn.Conv2d(skips[-1], sizes[-1], 1)
        self.blocks = nn.ModuleList(Block(n) for n in reversed(sizes[-BLOCKS:]))
        levels = reversed(range(len(sizes) - 1))
        self.up = nn.ModuleList(Up(sizes[level + 1], skips[level], sizes[level]) for level in levels)
        self.head = nn.Conv2d(width, 4, 3, padding=1)
        nn.init.normal_(self.head.weight, 0, 0.02)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], any size -> the same, float32 whatever the dtype of the weights."""
        times = smaller(*x.shape[2:])
        return self.applied(self.look(seen(x, times)), x, times)

    def look(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) in [-1, 1], h and w multiples of 16 -> shift and raw gain, (B, 4, h, w) float32."""
        x = x.to(self.head.weight.dtype)
        skips = [x, *self.encoder((x + 1) / 2, range(DEEPEST + 1))]
        y = self.blocks[0](kernels.bias_leaky_relu(self.deepest(skips.pop())))
        for number, up in enumerate(self.up, 1):
            y = up(y, skips.pop())
            if number < BLOCKS:
                y = self.blocks[number](y)
        changes: Tensor = self.head(y).float()
        return changes

    def applied(self, changes: Tensor, x: Tensor, times: int, top: int = 0) -> Tensor:
        """Carry out the `changes` of a picture `times` as large on the rows of it that begin at `top`.

        Args:
            changes: (B, 4, h, w) of the whole, from `look`.
            x: (B, 3, n, W) in [-1, 1].
            times: how many pixels of x, in each direction, there are to one of the changes.
            top: a multiple of `times`.
        """
        rows, width = x.shape[2:]
        first, last = top // times, -(-(top + rows) // times)
        before = first > 0
        near = changes[:, :, first - before : last + 1]
        if times > 1:
            near = F.interpolate(near, scale_factor=times, mode="bilinear", align_corners=False)
        near = near[:, :, before * times :][:, :, :rows, :width]
        return torch.tanh(near[:, :3] + 2 * torch.sigmoid(near[:, 3:]) * torch.atanh(x.float().clamp(-0.99, 0.99)))


def smaller(height: int, width: int) -> int:
    """How many times smaller a picture is made, in each direction, before the network looks at it: 1, 2, 3 …"""
    return max(math.ceil(min(height, width) / SIDE), math.ceil(math.sqrt(height * width / AREA)))


def seen(x: Tensor, times: int) -> Tensor:
    """(B, 3, H, W) -> the means of `times` × `times` pixels, with sides that are multiples of 16."""
    multiple = STRIDE * times
    x = F.pad(x, [0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple], mode="replicate")
    return F.avg_pool2d(x, times) if times > 1 else x


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Nobody else has this network."""
    return {}


def build(shapes: Mapping[str, torch.Size]) -> PretrainedGenerator:
    """The network whose tensors have these shapes, as far as there is one."""
    return PretrainedGenerator(length(shapes, "head.weight", 1))
