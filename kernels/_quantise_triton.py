# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""`quantise` in Triton: every value is read once, and one or two bytes of it are written."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from translate.kernels import _configs
from translate.kernels._launch_triton import on_device_of

DEFAULT = {"tile": 1024, "num_warps": 4}


@triton.jit
def quantise_kernel(
    x,  # (B, C, H, W), any strides
    out,  # (B, H, W, C)
    pixels,  # B·H·W
    channels,
    height,
    width,
    stride_b,
    stride_c,
    stride_y,
    stride_x,
    low,
    scale,
    TOP: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
):
    pixel = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    c = tl.arange(0, BLOCK_C)
    row, column = pixel // width, (pixel % width).to(tl.int64)
    sample, y = (row // height).to(tl.int64), (row % height).to(tl.int64)
    source = sample * stride_b + y * stride_y + column * stride_x
    kept = (pixel < pixels)[:, None] & (c < channels)[None, :]
    value = tl.load(x + source[:, None] + (c.to(tl.int64) * stride_c)[None, :], mask=kept, other=0.0).to(tl.float32)
    value = (value - low) * scale
    value = tl.where(value > 0, value, 0.0)  # of NaN, too
    value = tl.where(value < TOP, value, 1.0 * TOP)
    value = (value + 8388608.0) - 8388608.0  # from 2²³ on there are no fractions: rounds half to even
    target = pixel.to(tl.int64)[:, None] * channels + c[None, :]
    tl.store(out + target, value.to(tl.int32).to(out.dtype.element_ty), mask=kept)


@torch.library.custom_op("translate::quantise", mutates_args=())
def quantised(x: Tensor, low: float, scale: float, bits: int) -> Tensor:
    """`(x - low) * scale` clamped and rounded to (B, H, W, C), uint8 or uint16 by `bits`."""
    b, c, h, w = x.shape
    out = _empty(x, bits)
    block_c = triton.next_power_of_2(c)
    last = x.stride(1) == 1 and c > 1
    kind = _configs.kind_of(x, "channels_last" if last else "contiguous")
    by = _configs.blocks("quantise", x, kind, DEFAULT, channels=c, pixels=h * w)
    block_p = max(1, by["tile"] // block_c)
    with on_device_of(x):
        quantise_kernel[(triton.cdiv(b * h * w, block_p),)](
            x, out, b * h * w, c, h, w, *x.stride(), low, scale,
            TOP=2**bits - 1, BLOCK_P=block_p, BLOCK_C=block_c, num_warps=by["num_warps"],
        )  # fmt: skip
    return out


@quantised.register_fake
def _(x: Tensor, low: float, scale: float, bits: int) -> Tensor:
    return _empty(x, bits)


def _empty(x: Tensor, bits: int) -> Tensor:
    b, c, h, w = x.shape
    return torch.empty((b, h, w, c), dtype=torch.uint8 if bits == 8 else torch.uint16, device=x.device)
