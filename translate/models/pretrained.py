"""A generator that knows photographs before it is trained: a U-Net (arXiv:1505.04597) on ImageNet features."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from translate import kernels
from translate.models.efficientnet import STAGES, TAPS, EfficientNetLite0
from translate.models.keys import length
from translate.models.unet import Block, Up

DEEPEST = 3  # the tap of the encoder that the decoder starts from: stride 16
SIZES = (1, 2, 3, 4, 4)  # channels of the decoder at strides 1 to 16, in units of the width
BLOCKS = 3  # residual blocks, at the smallest sizes


class PretrainedGenerator(nn.Module):
    """Changes each pixel's brightness and colour by what EfficientNet-lite0 sees around it.

    The encoder can tell a horse from its meadow from the start and stays as it is; only the decoder learns. It gives
    a shift s and a gain g in (0, 2) for each pixel, and the result is tanh(s + g · artanh(x)): training starts at s = 0
    and g = 1, which is the picture itself, so a background need not be learnt. A gain near 0 forgets what was there.
    There are no norms, so a part of the result depends on a part of the picture only.

    Images are (B, 3, H, W) in [-1, 1]; H and W multiples of 16.

    Args:
        width: channels of the decoder at full size.
    """

    multiple_of = 2 ** (DEEPEST + 1)

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
        """(B, 3, H, W) in [-1, 1] -> the same, float32 whatever the dtype of the weights."""
        seen = x.to(self.head.weight.dtype)
        skips = [seen, *self.encoder((seen + 1) / 2, range(DEEPEST + 1))]
        y = self.blocks[0](kernels.bias_leaky_relu(self.deepest(skips.pop())))
        for number, up in enumerate(self.up, 1):
            y = up(y, skips.pop())
            if number < BLOCKS:
                y = self.blocks[number](y)
        shift, gain = self.head(y).float().split([3, 1], 1)
        return torch.tanh(shift + 2 * torch.sigmoid(gain) * torch.atanh(x.float().clamp(-0.99, 0.99)))


def halo(network: PretrainedGenerator) -> int:
    """How far, in pixels, an output pixel sees in each direction, at most."""
    reach, stride = 2, 2  # of the stem, and at its output
    for blocks, kernel, step, _, _ in STAGES[: TAPS[DEEPEST] + 1]:
        reach += (kernel - 1) * stride if step > 1 else kernel // 2 * stride  # "same" padding is not symmetric
        stride *= step
        reach += (blocks - 1) * (kernel // 2) * stride
    reach += 1  # the head
    for level in range(len(SIZES)):
        reach += 2 * 2**level * (level > len(SIZES) - 1 - BLOCKS)  # a block: two convolutions
        reach += 2 * 2**level * (level < len(SIZES) - 1)  # nearest ×2 and a 3×3 convolution
    return reach


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Nobody else has this network."""
    return {}


def build(shapes: Mapping[str, torch.Size]) -> PretrainedGenerator:
    """The network whose tensors have these shapes, as far as there is one."""
    return PretrainedGenerator(length(shapes, "head.weight", 1))
