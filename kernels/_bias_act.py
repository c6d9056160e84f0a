"""Bias, leaky ReLU and gain in one call."""

import torch.nn.functional as F
from torch import Tensor

from translate.kernels._dispatch import Backend, choose


def bias_leaky_relu(
    x: Tensor, bias: Tensor | None = None, *, slope: float = 0.2, gain: float = 1.0, backend: Backend = "auto"
) -> Tensor:
    """Return `leaky_relu(x + bias, slope) * gain` in the dtype of `x`; a slope of 0 is ReLU.

    Args:
        x: (B, C, H, W) or (B, C), any floating dtype.
        bias: (C,) or None.
        slope: of the negative side (Maas et al. 2013).
        gain: multiplied in last, to keep the variance through a deep stack.
        backend: "auto", "triton" or "reference"; see `translate.kernels.explain`.

    Raises:
        ValueError: a wrong rank, the bias has another number of channels than `x`, the slope is NaN, or "triton" where
            it cannot run.
    """
    if x.dim() not in (2, 4):
        raise ValueError(f"bias_leaky_relu takes (B, C, H, W) or (B, C), got {tuple(x.shape)}")
    if bias is not None and bias.shape != x.shape[1:2]:
        raise ValueError(f"bias is {tuple(bias.shape)}, but the input is {tuple(x.shape)}")
    if slope != slope:
        raise ValueError("slope is nan; it must be a number")
    if choose("bias_leaky_relu", backend, (x, bias), _obstacle(x, slope, gain)):
        from translate.kernels import _bias_act_triton as triton

        result: Tensor = triton.bias_leaky_relu(x, bias, slope, gain)
        return result
    if bias is not None:
        x = x + bias.to(x.dtype).view(-1, *[1] * (x.dim() - 2))
    x = F.leaky_relu(x, slope)
    return x * gain if gain != 1.0 else x


def _obstacle(x: Tensor, slope: float, gain: float) -> str | None:
    if not x.numel():
        return f"{tuple(x.shape)} is empty"
    if slope < 0 or not gain > 0:  # the backward reads the sign of the input off the output
        return f"slope {slope} and gain {gain} change the sign"
    return None
