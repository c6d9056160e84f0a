# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""ESRGAN's dense block in Triton, without concatenation.

One channels_last buffer holds all channels of a pixel side by side. A convolution reads the first of them and writes
bias and leaky ReLU included, the ones behind; the last writes the block's result. Each is a matrix product of
(pixels, 9·I) by (9·I, O) whose left side is read straight from the buffer.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from translate.kernels import _configs
from translate.kernels._activation_triton import activated
from translate.kernels._convolution_triton import input_precision


@triton.jit
def dense_conv_kernel(
    seen,  # (B, H, W, channels), of which the first `inputs` are read
    weight,  # (O, 3, 3, I)
    bias,  # (O,)
    residual,  # (B, H, W, O), for the last convolution, or None
    out,  # (B, H, W, stride): the first `outputs` are written
    height,
    width,
    pixels,  # B·H·W
    inputs,
    outputs,
    channels,
    stride,
    slope,
    scale,
    LAST: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_I: tl.constexpr,
):
    n_blocks = tl.cdiv(outputs, BLOCK_N)
    n = tl.program_id(0) % n_blocks * BLOCK_N + tl.arange(0, BLOCK_N)
    m = tl.program_id(0) // n_blocks * BLOCK_M + tl.arange(0, BLOCK_M)
    column, row = m % width, m // width  # rows of all images in one count
    y = row % height

    i_blocks = tl.cdiv(inputs, BLOCK_I)
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for step in range(9 * i_blocks):
        tap = step // i_blocks
        i = step % i_blocks * BLOCK_I + tl.arange(0, BLOCK_I)
        down, right = tap // 3 - 1, tap % 3 - 1
        inside = (y + down >= 0) & (y + down < height) & (column + right >= 0) & (column + right < width)
        source = (m + down * width + right).to(tl.int64) * channels
        kept = (inside & (m < pixels))[:, None] & (i < inputs)[None, :]
        a = tl.load(seen + source[:, None] + i[None, :], mask=kept, other=0.0)
        tap_weight = weight + (n[None, :] * 9 + tap) * inputs + i[:, None]
        b = tl.load(tap_weight, mask=(i < inputs)[:, None] & (n < outputs)[None, :], other=0.0)
        total = tl.dot(a, b, total, input_precision=PRECISION)

    total += tl.load(bias + n, mask=n < outputs, other=0.0).to(tl.float32)[None, :]
    kept = (m < pixels)[:, None] & (n < outputs)[None, :]
    pixel = m.to(tl.int64)[:, None]
    if LAST:
        total = tl.load(seen + pixel * channels + n[None, :], mask=kept, other=0.0).to(tl.float32) + scale * total
        if residual is not None:
            total = (
                tl.load(residual + pixel * outputs + n[None, :], mask=kept, other=0.0).to(tl.float32) + scale * total
            )
    else:
        total = activated(total, slope, "leaky_relu")
    tl.store(out + pixel * stride + n[None, :], total.to(out.dtype.element_ty), mask=kept)


def tiles(inputs: int, outputs: int, itemsize: int, precision: str) -> dict[str, int]:
    """Block sizes, warps and stages, by what the matrix units like best; not yet tuned on a GPU."""
    block_n = min(64, max(16, triton.next_power_of_2(outputs)))
    block_i = min(128 // itemsize, max(16, inputs & -inputs))  # up to a line of 128 bytes; 96 channels are 3 times 32
    if precision == "ieee" and itemsize == 4:  # no matrix unit has it, and larger blocks would not fit the registers
        return {"BLOCK_M": 64, "BLOCK_N": block_n, "BLOCK_I": 16, "num_warps": 4, "num_stages": 3}
    return {"BLOCK_M": 128, "BLOCK_N": block_n, "BLOCK_I": block_i, "num_warps": 4, "num_stages": 3}


@torch.library.custom_op("translate::dense_block", mutates_args=())
def dense_block(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    residual: Tensor | None,
    slope: float,
    scale: float,
) -> Tensor:
    """As `translate.kernels.dense_block`, of one dtype; quickest where x and the weights are channels_last.

    Returns:
        (B, C, H, W), channels_last.
    """
    (b, c, h, w), channels = x.shape, weights[-1].shape[1]
    seen, out = _empty(x, channels), _empty(x, c)
    seen[:, :c] = x
    if residual is not None:
        residual = residual.contiguous(memory_format=torch.channels_last)
    how = input_precision(x)
    with torch.cuda.device_of(x):  # type: ignore[no-untyped-call]
        for weight, bias in zip(weights, biases, strict=True):
            outputs, inputs = weight.shape[:2]
            last = inputs == channels
            shape = {"inputs": inputs, "outputs": outputs, "pixels": h * w}
            default = tiles(inputs, outputs, x.itemsize, how)
            blocks = _configs.blocks("dense_conv", x, _configs.kind_of(x, how), default, **shape)
            programs = triton.cdiv(b * h * w, blocks["BLOCK_M"]) * triton.cdiv(outputs, blocks["BLOCK_N"])
            dense_conv_kernel[(programs,)](
                seen,
                weight.contiguous(memory_format=torch.channels_last),
                bias.contiguous(),
                residual if last else None,
                out if last else seen[:, inputs:],
                h,
                w,
                b * h * w,
                inputs,
                outputs,
                channels,
                c if last else channels,
                slope,
                scale,
                LAST=last,
                PRECISION=how,
                **blocks,
            )
    return out


@dense_block.register_fake
def _(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    residual: Tensor | None,
    slope: float,
    scale: float,
) -> Tensor:
    return _empty(x, x.shape[1])


def _empty(x: Tensor, channels: int) -> Tensor:
    b, _, h, w = x.shape
    return torch.empty((b, channels, h, w), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
