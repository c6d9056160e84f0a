"""EfficientNet-lite, without its classifier: features of photographs, and the encoder of U-Nets.

Tan & Le, *EfficientNet*, ICML 2019; "lite" leaves squeeze-and-excitation out and replaces swish by ReLU6.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Version = Literal["lite0", "lite2"]

# One row a stage: blocks, kernel, stride of the first block, expansion, output channels (table 1 of the paper; lite2 is
# 1.2 times as deep and 1.1 times as wide).
STAGES: dict[Version, tuple[tuple[int, int, int, int, int], ...]] = {
    "lite0": (
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    ),
    "lite2": (
        (1, 3, 1, 1, 16),
        (3, 3, 2, 6, 24),
        (3, 5, 2, 6, 48),
        (4, 3, 2, 6, 88),
        (4, 5, 1, 6, 120),
        (5, 5, 2, 6, 208),
        (1, 3, 1, 6, 352),
    ),
}
TAPS = (0, 1, 2, 4, 6)  # the stages whose output is the last at its resolution: strides 2, 4, 8, 16 and 32
MEAN, STD = 127, 128  # of all channels in [0, 255]; the lite networks were not trained with ImageNet's statistics


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's "same", where the odd row and column of zeros are at the end.

    The weights were trained so: half a pixel of shift at each of five strides would cost accuracy.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, out, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride > 1:
            missing = [max((size - 1) // stride * stride + kernel - size, 0) for size in (x.shape[3], x.shape[2])]
            x = functional.pad(x, [side for both in missing for side in (both // 2, both - both // 2)])
        return super().forward(x)


class Block(nn.Module):
    """An inverted residual block (Sandler et al., *MobileNetV2*, section 3.3)."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = SameConv(channels, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = SameConv(wide, out, 1)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) to (B, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        wide = x if self.expand is None else functional.relu6(self.expand(x))
        change: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return x + change if self.residual else change


class EfficientNetLite(nn.Module):
    """The convolutions of an EfficientNet-lite, without norms: each is folded into the convolution before it.

    Args:
        version: lite2 has 1.3 times the weights and 1.6 times the arithmetic.
        stages: how many of the seven there are; the deepest hold most of the weights.
    """

    def __init__(self, version: Version = "lite0", stages: int = 7) -> None:
        super().__init__()
        self.version = version
        channels = 32
        self.stem = SameConv(3, channels, 3, stride=2)
        self.stages = nn.ModuleList()
        for blocks, kernel, stride, expansion, out in STAGES[version][:stages]:
            others = (Block(out, out, kernel, 1, expansion) for _ in range(blocks - 1))
            self.stages.append(nn.Sequential(Block(channels, out, kernel, stride, expansion), *others))
            channels = out

    def forward(self, x: Tensor, taps: Sequence[int] = (0, 1, 2, 3, 4)) -> list[Tensor]:
        """Activations before the non-linearity, one (B, C, ⌈H/s⌉, ⌈W/s⌉) a tap, in the order asked for.

        Taps 0 to 4 have s = 2, 4, 8, 16, 32, and the C of `tap_channels`. What lies deeper is not computed.
        """
        x = functional.relu6(self.stem((255 * x - MEAN) / STD))
        wanted = [TAPS[tap] for tap in taps]
        activations = {}
        for index, stage in enumerate(self.stages[: max(wanted) + 1]):
            activations[index] = x = stage(x)
        return [activations[index] for index in wanted]


def tap_channels(version: Version) -> list[int]:
    """The channels of its taps: 16, 24, 40, 112 and 320 of lite0."""
    return [STAGES[version][stage][-1] for stage in TAPS]
