# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""Bias, activation and pixel shuffle in one Triton kernel, after the library's convolution.

The three together read every value once and write it once. Each load is in the order of the convolution's channels and
each store in that of the result's; Triton exchanges the tile between threads in shared memory.
"""

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from translate.kernels import _configs
from translate.kernels._activation import activation_grad
from translate.kernels._activation_triton import activated
from translate.kernels._launch_triton import on_device_of, room

DEFAULT = {"outputs": 64, "tile": 4096, "num_warps": 4}  # channels of the result and elements of a tile


@triton.jit
def bias_shuffle_kernel(
    x,  # (B, H, W, O·f²)
    bias,  # (O·f²,), or None
    slopes,  # (O,) or (1,), or None for `slope`
    out,  # (B, f·H, f·W, O)
    pixels,  # B·H·W
    width,
    outputs,
    slope,
    slopes_stride,  # 0 where one slope serves all channels
    FACTOR: tl.constexpr,
    ACTIVATION: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_O: tl.constexpr,
    BLOCK_F: tl.constexpr,  # the power of two from f² on
):
    blocks = tl.cdiv(outputs, BLOCK_O)
    pixel = (tl.program_id(0) // blocks * BLOCK_P + tl.arange(0, BLOCK_P))[:, None, None]
    o = (tl.program_id(0) % blocks * BLOCK_O + tl.arange(0, BLOCK_O))[None, :, None]
    phase = tl.arange(0, BLOCK_F)[None, None, :]
    channel = o * (FACTOR * FACTOR) + phase
    known = (o < outputs) & (phase < FACTOR * FACTOR)
    kept = (pixel < pixels) & known
    y = tl.load(x + pixel.to(tl.int64) * (outputs * FACTOR * FACTOR) + channel, mask=kept, other=0.0).to(tl.float32)
    if bias is not None:
        y += tl.load(bias + channel, mask=known, other=0.0).to(tl.float32)
    if slopes is not None:
        slope = tl.load(slopes + o * slopes_stride, mask=o < outputs, other=0.0).to(tl.float32)
    y = activated(y, slope, ACTIVATION)
    row, column = pixel // width, pixel % width
    target = (row * FACTOR + phase // FACTOR).to(tl.int64) * (width * FACTOR) + column * FACTOR + phase % FACTOR
    tl.store(out + target * outputs + o, y.to(out.dtype.element_ty), mask=kept)


@torch.library.custom_op("translate::bias_shuffle", mutates_args=())
def bias_shuffle(
    x: Tensor, bias: Tensor | None, slopes: Tensor | None, factor: int, activation: str, slope: float
) -> Tensor:
    """`activation(pixel_shuffle(x + bias, factor))`.

    Args:
        x: (B, O·factor², H, W), read as channels_last.
        bias: (O·factor²,) or None.
        slopes: (O,) or (1,), for "leaky_relu" alone, or None for `slope`.
        factor: of the enlargement.
        activation: "none", "relu" or "leaky_relu".
        slope: of leaky ReLU's negative side where there are no slopes.

    Returns:
        (B, O, factor·H, factor·W), channels_last.
    """
    b, c, h, w = x.shape
    outputs = c // factor**2
    x, out = x.contiguous(memory_format=torch.channels_last), room(x, outputs, factor)
    block_f = triton.next_power_of_2(factor**2)
    shape = {"outputs": outputs, "factor": factor, "pixels": h * w}
    by = _configs.blocks("bias_shuffle", x, _configs.kind_of(x), DEFAULT, **shape)
    block_o = min(by["outputs"], triton.next_power_of_2(outputs))
    block_p = max(1, by["tile"] // (block_o * block_f))
    with on_device_of(x):
        bias_shuffle_kernel[(triton.cdiv(b * h * w, block_p) * triton.cdiv(outputs, block_o),)](
            x,
            None if bias is None else bias.contiguous(),
            slopes,
            out,
            b * h * w,
            w,
            outputs,
            slope,
            0 if slopes is None or len(slopes) == 1 else slopes.stride(0),
            FACTOR=factor,
            ACTIVATION=activation,
            BLOCK_P=block_p,
            BLOCK_O=block_o,
            BLOCK_F=block_f,
            num_warps=by["num_warps"],
        )
    return out


@bias_shuffle.register_fake
def _(x: Tensor, bias: Tensor | None, slopes: Tensor | None, factor: int, *_: Any) -> Tensor:
    return room(x, x.shape[1] // factor**2, factor)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, bias, slopes, ctx.factor, ctx.activation, ctx.slope = inputs
    # Learned slopes may have any sign, so the sign before them is not to be had from the output.
    ctx.save_for_backward(output if slopes is None else x, bias, slopes)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """In plain torch, and so differentiable again."""
    y, bias, slopes = ctx.saved_tensors
    grad_slopes = None
    if slopes is None:
        grad = activation_grad(grad, y, ctx.activation, ctx.slope)
    else:
        y = F.pixel_shuffle(y if bias is None else y + bias.to(y.dtype).view(-1, 1, 1), ctx.factor)
        if ctx.needs_input_grad[2]:
            each = torch.where(y > 0, 0, grad * y).sum((0, 2, 3), dtype=torch.float32)
            grad_slopes = (each if len(slopes) == len(each) else each.sum(0, keepdim=True)).to(slopes.dtype)
        grad = torch.where(y > 0, grad, grad * slopes.to(grad.dtype).view(-1, 1, 1))
    grad = F.pixel_unshuffle(grad, ctx.factor)
    grad_bias = grad.sum((0, 2, 3), dtype=torch.float32).to(bias.dtype) if ctx.needs_input_grad[1] else None
    return grad, grad_bias, grad_slopes, None, None, None


bias_shuffle.register_autograd(_backward, setup_context=_save)
