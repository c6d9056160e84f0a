"""The last step of every network: floats to the whole numbers of a picture."""

from typing import Literal

import torch
from torch import Tensor

from translate.kernels._dispatch import Backend, choose


def quantise(
    x: Tensor, low: float = 0.0, high: float = 1.0, *, bits: Literal[8, 16] = 8, backend: Backend = "auto"
) -> Tensor:
    """Return `round((x - low) / (high - low) * (2**bits - 1))` as a picture, in one pass where Triton runs.

    Computed in float32 and rounded half to even; what lies outside [low, high] gets the nearest end, and so do the
    infinities. NaN gives 0. No gradient passes through it.

    Args:
        x: (B, C, H, W), any floating dtype, any strides.
        low: the value that becomes 0.
        high: the value that becomes 255, or 65535.
        bits: 8 or 16.
        backend: "auto", "triton" or "reference".

    Returns:
        (B, H, W, C), uint8 or uint16, contiguous.

    Raises:
        ValueError: a wrong rank, `low` not below `high`, other bits, or "triton" where it cannot run.
        TypeError: `x` is not of a floating dtype.
    """
    if x.dim() != 4:
        raise ValueError(f"quantise takes (B, C, H, W), got {tuple(x.shape)}")
    if not low < high:
        raise ValueError(f"low is {low} and high is {high}; low must be below high")
    if bits not in (8, 16):
        raise ValueError(f"bits is {bits}; it must be 8 or 16")
    top = 2**bits - 1
    scale = top / (high - low)
    if choose("quantise", backend, (x,), _obstacle(x)):
        from translate.kernels._quantise_triton import quantised

        whole: Tensor = quantised(x, low, scale, bits)
        return whole
    y = x.detach().float().sub(low).mul_(scale).round_().clamp_(0, top)
    return y.to(torch.uint8 if bits == 8 else torch.uint16).permute(0, 2, 3, 1).contiguous()


def _obstacle(x: Tensor) -> str | None:
    if x.numel() == 0:
        return "the input is empty"
    return f"{tuple(x.shape)} is too large" if x.numel() // x.shape[1] >= 2**30 else None  # it counts pixels in 32 bits
