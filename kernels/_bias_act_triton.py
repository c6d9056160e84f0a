# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""Bias, leaky ReLU and gain in Triton, as a differentiable operator of torch.

The backward reads the sign off the output, and sums the bias's gradient in the same pass: each program its chunk, then
all chunks in a fixed order, so that the same input gives the same bits.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from translate.kernels._activation_triton import activated
from translate.kernels._instance_norm_kernels_triton import affine, inside, start_of, tile
from translate.kernels._instance_norm_launch_triton import TILE, Cut, cut, sizes
from translate.kernels._launch_triton import on_device_of


@triton.jit
def bias_act(
    x, bias, y, pixels, channels, slope, gain, LAST: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr
):
    _, _, channel, wanted, mask, at = tile(pixels, channels, LAST, BLOCK_P, BLOCK_C)
    _, shift = affine(None, bias, channel, wanted)
    result = activated(tl.load(x + at, mask, 0.0).to(tl.float32) + shift, slope, "leaky_relu") * gain
    tl.store(y + at, result.to(y.dtype.element_ty), mask)


@triton.jit
def bias_act_grad(
    grad, y, grad_x, sums, pixels, channels, chunks, chunk, slope, gain,
    LAST: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """The gradient of x, and its sum over each chunk, (samples, chunks, C)."""
    j, program = tl.program_id(0) % chunks, tl.program_id(0) // chunks
    blocks = tl.cdiv(channels, BLOCK_C)
    sample, first = program // blocks, program % blocks * BLOCK_C
    row, column = tl.arange(0, BLOCK_P), tl.arange(0, BLOCK_C)
    wanted = first + column < channels
    size = tl.minimum(chunk, pixels - j * chunk)
    total = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    part = start_of(sample, j * chunk, first, pixels, channels, LAST) + inside(row, column, pixels, channels, LAST)
    for step in range(tl.cdiv(size, BLOCK_P)):
        mask = (step * BLOCK_P + row < size)[:, None] & wanted[None, :]
        g = tl.load(grad + part, mask, 0.0).to(tl.float32) * gain
        g = tl.where(tl.load(y + part, mask, 0.0).to(tl.float32) > 0, g, g * slope)
        tl.store(grad_x + part, g.to(grad_x.dtype.element_ty), mask)
        total += tl.where(mask, g, 0.0)
        part += BLOCK_P * channels if LAST else BLOCK_P
    tl.store(sums + (sample * chunks + j) * channels + first + column, tl.sum(total, 0), wanted)


def _dense(x: Tensor) -> Tensor:
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x if last else x.contiguous()


def _cut(x: Tensor) -> tuple[int, int, Cut]:
    """Samples, pixels and their share-out: where the channels lie side by side, the whole batch is one sample."""
    last = x.dim() == 2 or not x.is_contiguous()
    samples = 1 if last else x.shape[0]
    pixels = x.numel() // (samples * x.shape[1])
    return samples, pixels, cut(x.shape[1], pixels, last, sizes("bias_leaky_relu", x, last, TILE))


@torch.library.custom_op("translate::bias_leaky_relu", mutates_args=())
def bias_leaky_relu(x: Tensor, bias: Tensor | None, slope: float, gain: float) -> Tensor:
    """x is (B, C, H, W) or (B, C)."""
    x = _dense(x)
    y = torch.empty_like(x)
    samples, pixels, parts = _cut(x)
    with on_device_of(x):
        bias_act[(samples * parts.blocks * parts.tiles,)](x, bias, y, pixels, x.shape[1], slope, gain, **parts.options)
    return y


@bias_leaky_relu.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(_dense(x))


@torch.library.custom_op("translate::bias_leaky_relu_grad", mutates_args=())
def bias_leaky_relu_grad(grad: Tensor, y: Tensor, slope: float, gain: float) -> tuple[Tensor, Tensor]:
    """Gradients of x and, in float32, of the bias; y is dense."""
    grad_x = torch.empty_like(y)
    grad = torch.empty_like(y).copy_(grad) if grad.stride() != y.stride() else grad
    samples, pixels, parts = _cut(y)
    sums = y.new_empty((samples, parts.chunks, y.shape[1]), dtype=torch.float32)
    with on_device_of(y):
        bias_act_grad[(samples * parts.blocks * parts.chunks,)](
            grad, y, grad_x, sums, pixels, y.shape[1], parts.chunks, parts.chunk, slope, gain, **parts.options
        )
    return grad_x, sums.sum((0, 1))


@bias_leaky_relu_grad.register_fake
def _(grad: Tensor, y: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(y), y.new_empty(y.shape[1], dtype=torch.float32)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, _, ctx.slope, ctx.gain = inputs
    ctx.save_for_backward(output)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    (y,) = ctx.saved_tensors
    if torch.is_grad_enabled():  # a second derivative is wanted: that of a product with a constant
        grad_x = torch.where(y > 0, grad, grad * ctx.slope) * ctx.gain
        grad_bias = grad_x.float().sum([0, *range(2, y.dim())])
    else:
        grad_x, grad_bias = bias_leaky_relu_grad(grad, y, ctx.slope, ctx.gain)
    return grad_x if ctx.needs_input_grad[0] else None, grad_bias if ctx.needs_input_grad[1] else None, None, None


bias_leaky_relu.register_autograd(_backward, setup_context=_save)
