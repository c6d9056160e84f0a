"""The statistics of instance normalisation by themselves: to merge across tiles, or to smooth across frames."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from translate.kernels._activation import Activation, activate_, check_activation
from translate.kernels._dispatch import Backend, choose


class Statistics(NamedTuple):
    """What the pixels of each plane have in common. The tensors are (B, C), float32, or float64 where x is."""

    pixels: int  # of one plane
    mean: Tensor
    m2: Tensor  # the sum of squared deviations from the mean


def instance_statistics(x: Tensor, *, backend: Backend = "auto") -> Statistics:
    """Statistics of each plane of x (B, C, H, W); the Triton path has no gradient.

    Raises:
        ValueError: x has another rank or no pixels, or "triton" where it cannot run.
    """
    if x.dim() != 4 or x.shape[2] * x.shape[3] == 0:
        raise ValueError(f"instance_statistics takes (B, C, H, W) with at least one pixel, got {tuple(x.shape)}")
    count = x.shape[2] * x.shape[3]
    if choose("instance_statistics", backend, (x,), _obstacle(x)):
        from translate.kernels import _instance_norm_triton as triton

        return Statistics(count, *triton.instance_statistics(x))
    wide = x if x.dtype == torch.float64 else x.float()
    mean = wide.mean((2, 3), keepdim=True)  # var_mean takes several times as long on a CPU
    return Statistics(count, mean[..., 0, 0], (wide - mean).square().sum((2, 3)))


def merge_statistics(parts: Sequence[Statistics]) -> Statistics:
    """Statistics of all the pixels together, exact but for rounding (Chan, Golub and LeVeque 1979).

    The parts are merged in their order: the same parts in the same order give the same bits.

    Raises:
        ValueError: there are no parts.
    """
    if not parts:
        raise ValueError("merge_statistics got no parts; give it at least one")
    count, mean, m2 = parts[0]
    for part in parts[1:]:
        total = count + part.pixels
        away = part.mean - mean
        mean = mean + away * (part.pixels / total)
        m2 = m2 + part.m2 + away.square() * (count * part.pixels / total)
        count = total
    return Statistics(count, mean, m2)


def normalise(
    x: Tensor,
    statistics: Statistics,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    activation: Activation = "none",
    slope: float = 0.2,
    eps: float = 1e-5,
    backend: Backend = "auto",
) -> Tensor:
    """`instance_norm` with given statistics in place of x's own; the Triton path has no gradient.

    Args:
        x: (B, C, H, W), for instance one tile.
        statistics: for instance those of the whole image.
        weight: (C,) or None for 1.
        bias: (C,) or None for 0.
        residual: (B, C, H, W), added before the activation.
        activation: "none", "relu" or "leaky_relu".
        slope: of leaky ReLU's negative side.
        eps: added to the variance.
        backend: "auto", "triton" or "reference"; see `translate.kernels.explain`.

    Raises:
        ValueError: a shape that does not fit, an unknown activation, or "triton" where it cannot run.
    """
    count, mean, m2 = statistics
    if x.dim() != 4 or mean.shape != x.shape[:2] or m2.shape != x.shape[:2]:
        raise ValueError(
            f"normalise takes (B, C, H, W) and statistics of (B, C), got {tuple(x.shape)}, {tuple(mean.shape)} and "
            f"{tuple(m2.shape)}"
        )
    for name, affine in (("weight", weight), ("bias", bias)):
        if affine is not None and affine.shape != x.shape[1:2]:
            raise ValueError(f"{name} is {tuple(affine.shape)}, but the input has {x.shape[1]} channels")
    if residual is not None and residual.shape != x.shape:
        raise ValueError(f"residual is {tuple(residual.shape)}, but the input is {tuple(x.shape)}")
    check_activation(activation, slope)
    tensors = (x, mean, m2, weight, bias, residual)
    if choose("normalise", backend, tensors, _obstacle(*tensors)):
        from translate.kernels import _instance_norm_triton as triton

        result: Tensor = triton.normalise(x, mean, m2, count, weight, bias, residual, activation, slope, eps)
        return result
    scale = (m2 / count + eps).rsqrt()
    y = (x.to(mean.dtype) - mean[..., None, None]) * (scale if weight is None else scale * weight)[..., None, None]
    y = y if bias is None else y + bias.view(-1, 1, 1)
    return activate_(y if residual is None else y + residual, activation, slope).to(x.dtype)


def _obstacle(x: Tensor, *others: Tensor | None) -> str | None:
    if not x.numel():
        return f"{tuple(x.shape)} is empty"
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, *others)):
        return "a gradient is wanted"
    return None
