"""Instance normalisation in Triton, as operators of torch: `instance_norm`, which is differentiable, and its parts."""

from typing import Any

import torch
from torch import Tensor

from translate.kernels._instance_norm import gradients
from translate.kernels._instance_norm_launch_triton import (
    dense,
    like,
    new_statistics,
    padded,
    run_backward,
    run_forward,
    run_normalise,
    run_statistics,
)
from translate.kernels._launch_triton import on_device_of


@torch.library.custom_op("translate::instance_statistics", mutates_args=())
def instance_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sum of squared deviations of each plane, float32 (B, C)."""
    x, (mean, m2) = dense(x), new_statistics(x)
    with on_device_of(x):
        run_statistics(x, mean, m2)
    return mean, m2


@instance_statistics.register_fake
def _(x: Tensor) -> tuple[Tensor, Tensor]:
    return new_statistics(x)


@torch.library.custom_op("translate::normalise", mutates_args=())
def normalise(
    x: Tensor,
    mean: Tensor,
    m2: Tensor,
    count: int,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    activation: str,
    slope: float,
    eps: float,
) -> Tensor:
    """`instance_norm` with statistics of `count` pixels from elsewhere, float32 (B, C)."""
    x = dense(x)
    y = torch.empty_like(x)
    with on_device_of(x):
        rest = (weight, bias, residual, y)
        run_normalise(x, mean.contiguous(), m2.contiguous(), count, rest, activation, slope, eps)
    return y


@normalise.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(dense(x))


@torch.library.custom_op("translate::instance_norm", mutates_args=())
def instance_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    activation: str,
    slope: float,
    eps: float,
    pad: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The padded result, and the mean and sum of squared deviations of each plane, float32 (B, C)."""
    x, (mean, m2) = dense(x), new_statistics(x)
    y = padded(x, pad)
    with on_device_of(x):
        run_forward(x, mean, m2, (weight, bias, residual, y), activation, slope, eps, pad)
    return y, mean, m2


@instance_norm.register_fake
def _(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return padded(dense(x), rest[-1]), *new_statistics(x)


@torch.library.custom_op("translate::instance_norm_grad", mutates_args=())
def instance_norm_grad(
    grad: Tensor,
    x: Tensor,
    y: Tensor | None,
    mean: Tensor,
    m2: Tensor,
    weight: Tensor | None,
    activation: str,
    slope: float,
    eps: float,
    masked: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of x; Σ(g·n) and Σg of each plane, float32 (2, B, C); g before the activation, or nothing."""
    x = dense(x)
    grad_x, g = torch.empty_like(x), torch.empty_like(x) if masked else None
    sums = x.new_empty((2, *x.shape[:2]), dtype=torch.float32)
    with on_device_of(x):
        known = (like(x, grad), x, like(x, y), mean, m2)
        run_backward(known, weight, grad_x, g, sums, activation, slope, eps)
    return grad_x, sums, x.new_empty(0) if g is None else g


@instance_norm_grad.register_fake
def _(grad: Tensor, x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    sums = x.new_empty((2, *x.shape[:2]), dtype=torch.float32)
    return torch.empty_like(dense(x)), sums, torch.empty_like(dense(x)) if rest[-1] else x.new_empty(0)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, weight, _, _, *ctx.options, ctx.pad = inputs
    y, mean, m2 = output
    ctx.mark_non_differentiable(mean, m2)
    ctx.save_for_backward(x, weight, mean, m2, y if ctx.options[0] != "none" else None)


def _backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    x, weight, mean, m2, y = ctx.saved_tensors
    activation, slope, eps = ctx.options
    wanted = ctx.needs_input_grad
    if pad := ctx.pad:
        grad = _folded(grad, pad)
        y = None if y is None else y[:, :, pad:-pad, pad:-pad]
    if torch.is_grad_enabled():  # a second derivative is wanted
        return *gradients(x, weight, mean, m2, y, grad, activation, slope, eps, wanted), None, None, None, None
    masked = wanted[3] and activation != "none"
    grad_x, (dot, total), g = instance_norm_grad(grad, x, y, mean, m2, weight, activation, slope, eps, masked)
    return (
        grad_x if wanted[0] else None,
        dot.sum(0) if wanted[1] else None,
        total.sum(0) if wanted[2] else None,
        (g if masked else grad) if wanted[3] else None,
        None,
        None,
        None,
        None,
    )


def _folded(grad: Tensor, pad: int) -> Tensor:
    """The gradient before reflection, by plain sums: torch's own adds in any order on a GPU."""
    size = grad.shape[2] - 2 * pad
    first, middle, last = torch.split(grad, [pad, size, pad], 2)
    folded = _folded_across(middle, pad)
    folded[:, :, 1 : 1 + pad].add_(_folded_across(first, pad).flip(2))
    folded[:, :, size - 1 - pad : size - 1].add_(_folded_across(last, pad).flip(2))
    return folded


def _folded_across(grad: Tensor, pad: int) -> Tensor:
    size = grad.shape[3] - 2 * pad
    first, middle, last = torch.split(grad, [pad, size, pad], 3)
    folded = middle.clone()
    folded[..., 1 : 1 + pad].add_(first.flip(3))
    folded[..., size - 1 - pad : size - 1].add_(last.flip(3))
    return folded


instance_norm.register_autograd(_backward, setup_context=_save)
