"""Bias, leaky ReLU and gain in one call."""

import torch.nn.functional as F
from torch import Tensor


def bias_leaky_relu(x: Tensor, bias: Tensor | None = None, *, slope: float = 0.2, gain: float = 1.0) -> Tensor:
    """Return `leaky_relu(x + bias, slope) * gain` in the dtype of `x`; a slope of 0 is ReLU.

    Args:
        x: (B, C, H, W) or (B, C), any floating dtype.
        bias: (C,) or None.
        slope: of the negative side (Maas et al. 2013).
        gain: multiplied in last, to keep the variance through a deep stack.

    Raises:
        ValueError: the bias has another number of channels than `x`.
    """
    if bias is not None:
        if bias.shape != x.shape[1:2]:
            raise ValueError(f"bias is {tuple(bias.shape)}, but the input is {tuple(x.shape)}")
        x = x + bias.to(x.dtype).view(-1, *[1] * (x.dim() - 2))
    x = F.leaky_relu(x, slope)
    return x * gain if gain != 1.0 else x
