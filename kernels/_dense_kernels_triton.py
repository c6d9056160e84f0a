# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""The kernels of the dense block: one convolution of its forward, and the same of its backward.

Each is a matrix product of (pixels, 9·I) by (9·I, O) whose left side is read straight from some of the channels of a
channels_last buffer. A program writes its tile once, with all that follows the convolution.
"""

import triton
import triton.language as tl

from translate.kernels._activation_triton import activated


@triton.jit
def conv3x3(
    source, weight, height, width, pixels, inputs, outputs, channels,
    MIRRORED: tl.constexpr, PRECISION: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK_I: tl.constexpr,
):  # fmt: skip
    """This program's pixels and outputs, and the convolution there in float32; the taps may be in opposite order."""
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
        if MIRRORED:
            down, right = -down, -right
        inside = (y + down >= 0) & (y + down < height) & (column + right >= 0) & (column + right < width)
        pixel = (m + down * width + right).to(tl.int64)
        kept = (inside & (m < pixels))[:, None] & (i < inputs)[None, :]
        a = tl.load(source + pixel[:, None] * channels + i[None, :], mask=kept, other=0.0)
        tap_weight = weight + (n[None, :] * 9 + tap) * inputs + i[:, None]
        b = tl.load(tap_weight, mask=(i < inputs)[:, None] & (n < outputs)[None, :], other=0.0)
        total = tl.dot(a, b, total, input_precision=PRECISION)
    return m, n, total


@triton.jit
def dense_conv_kernel(
    seen,  # (B, H, W, channels), of which the first `inputs` are read
    weight,  # (O, 3, 3, I)
    bias,  # (O,)
    x,  # (B, H, W, O), to which the last convolution is added, or None
    residual,  # (B, H, W, O), to which that is added, or None
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
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_I: tl.constexpr,
):
    m, n, total = conv3x3(
        seen, weight, height, width, pixels, inputs, outputs, channels, False, PRECISION, BLOCK_M, BLOCK_N, BLOCK_I
    )
    total += tl.load(bias + n, mask=n < outputs, other=0.0).to(tl.float32)[None, :]
    kept = (m < pixels)[:, None] & (n < outputs)[None, :]
    place = m.to(tl.int64)[:, None] * stride + n[None, :]
    if x is None:
        total = activated(total, slope, "leaky_relu")
    else:
        total = tl.load(x + place, mask=kept, other=0.0).to(tl.float32) + scale * total
        if residual is not None:
            total = tl.load(residual + place, mask=kept, other=0.0).to(tl.float32) + scale * total
    tl.store(out + place, total.to(out.dtype.element_ty), mask=kept)


@triton.jit
def dense_grad_kernel(
    grads,  # (B, H, W, channels), of which the first `inputs` are read: gradients of the outputs of all that read `out`
    weight,  # (O, 3, 3, I), of these convolutions, side by side
    known,  # (B, H, W, stride): the results whose gradient is written; or the block's gradient, where that of x is
    out,  # (B, H, W, stride): the first `outputs` are written
    height,
    width,
    pixels,  # B·H·W
    inputs,
    outputs,
    channels,
    stride,
    factor,  # of leaky ReLU's negative side; or of the block's gradient
    FIRST: tl.constexpr,  # it is the gradient of x
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_I: tl.constexpr,
):
    m, n, total = conv3x3(
        grads, weight, height, width, pixels, inputs, outputs, channels, True, PRECISION, BLOCK_M, BLOCK_N, BLOCK_I
    )
    kept = (m < pixels)[:, None] & (n < outputs)[None, :]
    place = m.to(tl.int64)[:, None] * stride + n[None, :]
    value = tl.load(known + place, mask=kept, other=0.0).to(tl.float32)
    if FIRST:
        total += factor * value
    else:
        total = tl.where(value > 0, total, total * factor)
    tl.store(out + place, total.to(out.dtype.element_ty), mask=kept)
