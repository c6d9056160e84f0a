"""SRGAN's residual blocks in whole numbers of 8 bit, for processors that have instructions for them (AVX512-VNNI).

Weights are rounded to 255 steps for each output channel, and what goes into a convolution to 256 steps of a range that
is fixed beforehand (Jacob et al. 2018, arXiv:1712.05877), so that a picture in parts gives what the whole gives. Sums
and what is between the blocks stay in float32. Ranges are those of photographs: in dithered pictures and pixel art
values lie beyond and are cut, and ranges that are wide enough for them cost photographs up to 9 dB against float32.
"""

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.models.srgan import ResidualBlock

N = TypeVar("N", bound=nn.Module)

MARGIN = 1.25  # of the ranges beyond those of the examples
PART = 2**17  # numbers that are rounded at a time
EXAMPLES, SIDE, LEAVES = 6, 96, 150


def possible(network: nn.Module, device: str) -> bool:
    """Whether it has such blocks, and the processor such instructions."""
    blocks = any(isinstance(module, ResidualBlock) for module in network.modules())
    return blocks and device.startswith("cpu") and bool(getattr(torch.cpu, "_is_vnni_supported", bool)())


@torch.inference_mode()
def in_int8(network: N) -> N:
    """Replace the residual blocks of a network in float32 by ones that compute in 8 bit."""
    watched = [Watched(module) for module in network.modules() if isinstance(module, ResidualBlock)]
    _replace(network, watched)
    network(examples())
    _replace(network, [Int8Block(block) for block in watched])
    return network


class Watched(nn.Module):
    """A residual block that notes the ranges of what goes into its convolutions."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.first, self.second = block.first, block.second
        self.low = self.high = self.top = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        between = F.relu(self.first(x))
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        self.top = max(self.top, float(between.max()))
        return x + self.second(between)  # type: ignore[no-any-return]


class Int8Block(nn.Module):
    """conv, ReLU, conv, added to the input, which is written over."""

    shift: Tensor

    def __init__(self, block: Watched) -> None:
        super().__init__()
        low, high, top = (MARGIN * end for end in (block.low, block.high, block.top))
        self.step = max(high - low, 1e-6) / 255
        self.zero = round(-low / self.step)
        self.first = Int8Conv(block.first, self.step, self.zero)
        self.second = Int8Conv(block.second, max(top, 1e-6) / 255, 0)
        self.register_buffer("shift", torch.tensor(self.zero + 0.5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) float32 -> the same."""
        x = x.contiguous(memory_format=torch.channels_last)
        between = self.first(self.rounded(x), self.second.step)
        return self.second.added(between, x)

    def rounded(self, x: Tensor) -> Tensor:
        """float32 (B, C, H, W), channels last -> bytes, in parts that stay in the processor's cache."""
        found = torch.empty_like(x, dtype=torch.uint8)
        given, into = (torch.split(t.permute(0, 2, 3, 1).view(-1), PART) for t in (x, found))
        for part, to in zip(given, into, strict=True):
            to.copy_(torch.add(self.shift, part, alpha=1 / self.step).clamp_(0, 255))
        return found


class Int8Conv(nn.Module):
    """A 3×3 convolution of bytes, of which `zero` stands for 0 and the next one for `step`."""

    def __init__(self, conv: nn.Conv2d, step: float, zero: int) -> None:
        super().__init__()
        self.step, self.zero = step, zero
        weight = conv.weight.float()
        self.steps = weight.abs().amax((1, 2, 3)).clamp_min(1e-12) / 127
        rounded = (weight / self.steps[:, None, None, None]).round().to(torch.int8).contiguous()
        self.zeros = torch.zeros(len(rounded), dtype=torch.int64)
        self.bias = None if conv.bias is None else conv.bias.detach().float()
        self.packed = torch.ops.onednn.qconv_prepack(rounded, self.steps, step, zero, *_SHAPE, None)

    def forward(self, x: Tensor, step: float) -> Tensor:
        """Bytes (B, C, H, W) -> the ReLU of the convolution, as bytes of that step."""
        given = x, self.step, self.zero, self.packed, self.steps, self.zeros, self.bias, *_SHAPE
        return torch.ops.onednn.qconv2d_pointwise(*given, step, 0, torch.uint8, "relu", [], "")  # type: ignore[no-any-return]

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        """Bytes (B, C, H, W) -> the convolution, added to a tensor of float32 in its place."""
        given = x, self.step, self.zero, self.packed, self.steps, self.zeros, to, self.bias, *_SHAPE
        return torch.ops.onednn.qconv2d_pointwise.binary(  # type: ignore[no-any-return]
            *given, 1.0, 0, torch.float32, 1.0, 0, "sum", 1.0, "none", [], ""
        )


_SHAPE = [1, 1], [1, 1], [1, 1], 1  # stride, padding, dilation, groups


def examples() -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1], always the same: dead leaves (Lee et al. 2001) of all sizes, some noisy.

    What networks of photographs give for them has about the range that it has for photographs.
    """
    draw = torch.Generator().manual_seed(0)
    pictures = torch.zeros(EXAMPLES, 3, SIDE, SIDE)
    across, down = torch.arange(SIDE), torch.arange(SIDE)[:, None]
    for number, picture in enumerate(pictures):
        for _ in range(LEAVES):
            size, x, y, shape, width, *colour = torch.rand(8, generator=draw).tolist()
            radius = 1 + SIDE / 2 * size**3
            near_x, near_y = (across - SIDE * x).abs(), (down - SIDE * y).abs()
            disc = near_x**2 + near_y**2 < radius**2
            box = (near_x < 2 * width * radius) & (near_y < radius)
            picture[:, disc if shape < 0.5 else box] = torch.tensor(colour)[:, None]
        picture += 0.05 * (number % 3) * torch.randn(picture.shape, generator=draw)
    return pictures.clamp(0, 1).contiguous(memory_format=torch.channels_last)


def _replace(network: nn.Module, blocks: list[N]) -> None:
    """Put these in the place of the residual blocks, in order."""
    left = iter(blocks)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, ResidualBlock | Watched):
                setattr(module, name, next(left))
