"""The anti-aliased resampling of CUT's generators (Park et al. 2020, arXiv:2007.15651; Zhang 2019, arXiv:1904.11486).

Otherwise they are CycleGAN's. The filters lie in the checkpoint as `filt` and are taken from there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.layers import Affine, ConvNorm, normalise


class BlurDown(ConvNorm):
    """3×3 convolution, instance norm and ReLU at full size, then a blur that keeps every second pixel."""

    def __init__(self, inputs: int, outputs: int, *, affine: bool = False) -> None:
        super().__init__(inputs, outputs, 3, affine=affine)
        self.blur = Blur(outputs, (1, 2, 1))

    def forward(self, x: Tensor, *, pad: int = 0) -> Tensor:
        """(B, I, H, W), H and W even -> (B, O, H/2 + 2·pad, W/2 + 2·pad), reflected for what follows."""
        y = self.shrink(super().forward(x))
        return F.pad(y, [pad] * 4, mode="reflect") if pad else y

    def shrink(self, x: Tensor) -> Tensor:
        """What comes after the activation: (B, O, H, W) -> (B, O, H/2, W/2)."""
        x = F.pad(x, [1] * 4, mode="reflect")
        return F.conv2d(x, self.blur.filt, stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """Interpolation to the double size, 3×3 convolution, instance norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, *, affine: bool = False) -> None:
        super().__init__()
        self.blur = Blur(inputs, (1, 3, 3, 1), gain=4)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        nn.init.normal_(self.weight, 0.0, 0.02)
        self.norm = Affine(outputs) if affine else None
        self.activation: kernels.Activation = "relu"

    def forward(self, x: Tensor, *, pad: int = 0) -> Tensor:
        """(B, I, H, W) -> (B, O, 2H + 2·pad, 2W + 2·pad), reflected for the convolution that follows."""
        return normalise(self.convolve(x), self.norm, self.activation, pad=pad)

    def convolve(self, x: Tensor) -> Tensor:
        """The layer up to its norm."""
        x = F.pad(x, [1] * 4, mode="replicate")
        x = F.conv_transpose2d(x, self.blur.filt, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]
        return F.conv2d(x, self.weight, padding=1)


class Blur(nn.Module):
    """Holds one separable filter for each channel, (C, 1, k, k), that sums to `gain`."""

    filt: Tensor

    def __init__(self, channels: int, taps: tuple[int, ...], gain: float = 1.0) -> None:
        super().__init__()
        line = torch.tensor(taps, dtype=torch.float32)
        self.register_buffer("filt", (torch.outer(line, line) * (gain / sum(taps) ** 2)).repeat(channels, 1, 1, 1))
