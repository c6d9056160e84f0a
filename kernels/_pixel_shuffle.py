"""Sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158) with its activation."""

import torch.nn.functional as F
from torch import Tensor

from translate.kernels._activation import Activation, activate_


def conv_pixel_shuffle(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    factor: int = 2,
    activation: Activation = "none",
    slope: float | Tensor = 0.2,
) -> Tensor:
    """Return `activation(pixel_shuffle(conv(x), factor))`, with "same" zero padding.

    Args:
        x: (B, I, H, W).
        weight: (O·factor², I, k, k), k odd.
        bias: (O·factor²,) or None.
        factor: of the enlargement.
        activation: "none", "relu" or "leaky_relu".
        slope: of leaky ReLU's negative side: a number, or (1,) or (O,) learned slopes (PReLU).

    Returns:
        (B, O, factor·H, factor·W).

    Raises:
        ValueError: the weight has another shape.
    """
    square_odd = weight.dim() == 4 and weight.shape[2] == weight.shape[3] and weight.shape[3] % 2 == 1
    if not square_odd or weight.shape[0] % factor**2 or weight.shape[1] != x.shape[1]:
        raise ValueError(
            f"conv_pixel_shuffle by {factor} takes a weight of (n·{factor**2}, {x.shape[1]}, k, k), k odd, "
            f"got {tuple(weight.shape)}"
        )
    y = F.pixel_shuffle(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2), factor)
    if isinstance(slope, Tensor):
        return F.prelu(y, slope) if activation == "leaky_relu" else activate_(y, activation, 0.0)
    return activate_(y, activation, slope)
