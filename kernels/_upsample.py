"""Convolutions that double the resolution."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.kernels._activation import Activation, activate_

Padding = Literal["zeros", "replicate"]

# Nearest ×2 followed by a 3-tap kernel is a transposed convolution of stride 2 with these sums of the three taps.
_FOLD = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])


def upsample_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    padding: Padding = "zeros",
    activation: Activation = "none",
    slope: float = 0.2,
) -> Tensor:
    """Return `activation(conv3x3(nearest_x2(x)) + bias)`, computed on the low-resolution tensor.

    An output pixel lies in one of four phases (even or odd row and column), and in each of them the upsampling and the
    convolution together are a 2×2 convolution of the input with summed weights. The four are one transposed 4×4
    convolution: 16 multiply-adds an input pixel and channel pair in place of 36, and the four times larger tensor is
    never written. As every output pixel gets the same number of taps there is no checkerboard (Odena et al. 2016,
    "Deconvolution and Checkerboard Artifacts").

    Args:
        x: (B, I, H, W).
        weight: (O, I, 3, 3), that of the 3×3 convolution after the upsampling.
        bias: (O,) or None.
        padding: "zeros", or "replicate", which equals reflection by one pixel after the upsampling.
        activation: "none", "relu" or "leaky_relu".
        slope: of leaky ReLU's negative side.

    Returns:
        (B, O, 2H, 2W).

    Raises:
        ValueError: the weight is not (O, I, 3, 3), or the padding is unknown.
    """
    if weight.dim() != 4 or weight.shape[1:] != (x.shape[1], 3, 3):
        raise ValueError(f"upsample_conv2d takes a weight of (O, {x.shape[1]}, 3, 3), got {tuple(weight.shape)}")
    if padding not in ("zeros", "replicate"):
        raise ValueError(f"padding is {padding!r}; known are 'zeros' and 'replicate'")
    fold = _FOLD.to(weight)
    folded = torch.einsum("oiyx,ay,bx->ioab", weight, fold, fold)
    if padding == "replicate":
        y = F.conv_transpose2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), folded, bias, stride=2, padding=1)
        y = y[:, :, 2:-2, 2:-2]
    else:
        y = F.conv_transpose2d(x, folded, bias, stride=2, padding=1)
    return activate_(y, activation, slope)


def conv_transpose2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Transposed convolution that exactly doubles the resolution: stride 2, padding 1, and output_padding 1 for 3×3.

    Args:
        x: (B, I, H, W).
        weight: (I, O, k, k) with k 3 or 4.
        bias: (O,) or None.

    Returns:
        (B, O, 2H, 2W).

    Raises:
        ValueError: the weight has another shape.
    """
    if weight.dim() != 4 or weight.shape[0] != x.shape[1] or weight.shape[2:] not in ((3, 3), (4, 4)):
        raise ValueError(f"conv_transpose2d takes ({x.shape[1]}, O, 3, 3) or (…, 4, 4), got {tuple(weight.shape)}")
    return F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=4 - weight.shape[-1])
