# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""The Triton kernels of the backward of instance normalisation.

With g the gradient before the activation, n = (x - mean)·rstd and P pixels, the gradient of x is
(g - Σg / P - n·Σ(g·n) / P)·rstd·weight; Σ(g·n) and Σg, summed over the samples, are those of the weight and the bias.
The tiles are those of the forward.
"""

import triton
import triton.language as tl

from translate.kernels._instance_norm_kernels_triton import inside, start_of, tile


@triton.jit
def load_pair(x, grad, y, at, mask, mean, rstd, slope, ACTIVATION: tl.constexpr):
    """Normalised x, and the gradient before the activation: the sign of y is that of what the activation was given."""
    normal = tl.where(mask, (tl.load(x + at, mask, 0.0).to(tl.float32) - mean[None, :]) * rstd[None, :], 0.0)
    g = tl.load(grad + at, mask, 0.0).to(tl.float32)
    if ACTIVATION != "none":
        low = g * slope if ACTIVATION == "leaky_relu" else 0.0
        g = tl.where(tl.load(y + at, mask, 0.0).to(tl.float32) > 0, g, low)
    return normal, g


@triton.jit
def load_statistics(mean, m2, weight, at, channel, mask, pixels, eps):
    rstd = tl.rsqrt(tl.load(m2 + at, mask, 0.0) / pixels + eps)
    scale = rstd if weight is None else rstd * tl.load(weight + channel, mask, 0.0).to(tl.float32)
    return tl.load(mean + at, mask, 0.0), rstd, scale


@triton.jit
def grad_planes(
    grad, x, y, mean, m2, weight, grad_x, masked, sums, samples, pixels, channels, slope, eps,
    LAST: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """All of it in one pass. Sums are (2, B, C): Σ(g·n), then Σg. `masked` takes g, where the residual needs it."""
    sample, _, channel, wanted, mask, at = tile(pixels, channels, LAST, BLOCK_P, BLOCK_C)
    out = sample * channels + channel
    middle, rstd, scale = load_statistics(mean, m2, weight, out, channel, wanted, pixels, eps)
    normal, g = load_pair(x, grad, y, at, mask, middle, rstd, slope, ACTIVATION)
    dot, total = tl.sum(g * normal, 0), tl.sum(g, 0)
    tl.store(sums + out, dot, wanted)
    tl.store(sums + samples * channels + out, total, wanted)
    result = (g - (total[None, :] + normal * dot[None, :]) / pixels) * scale[None, :]
    tl.store(grad_x + at, result.to(grad_x.dtype.element_ty), mask)
    if masked is not None:
        tl.store(masked + at, g.to(masked.dtype.element_ty), mask)


@triton.jit
def grad_chunk_sums(
    grad, x, y, mean, m2, sums, samples, pixels, channels, chunks, chunk, slope, eps,
    LAST: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Both sums of each chunk: (2, B, chunks, C)."""
    j, program = tl.program_id(0) % chunks, tl.program_id(0) // chunks
    blocks = tl.cdiv(channels, BLOCK_C)
    sample, first = program // blocks, program % blocks * BLOCK_C
    row, column = tl.arange(0, BLOCK_P), tl.arange(0, BLOCK_C)
    wanted = first + column < channels
    size = tl.minimum(chunk, pixels - j * chunk)
    at = sample * channels + first + column
    middle, rstd, _ = load_statistics(mean, m2, None, at, first + column, wanted, pixels, eps)
    dot = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    total = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    part = start_of(sample, j * chunk, first, pixels, channels, LAST) + inside(row, column, pixels, channels, LAST)
    for step in range(tl.cdiv(size, BLOCK_P)):
        mask = (step * BLOCK_P + row < size)[:, None] & wanted[None, :]
        normal, g = load_pair(x, grad, y, part, mask, middle, rstd, slope, ACTIVATION)
        dot += g * normal
        total += g
        part += BLOCK_P * channels if LAST else BLOCK_P
    out = (sample * chunks + j) * channels + first + column
    tl.store(sums + out, tl.sum(dot, 0), wanted)
    tl.store(sums + samples * chunks * channels + out, tl.sum(total, 0), wanted)


@triton.jit
def grad_tiles(
    grad, x, y, mean, m2, weight, grad_x, masked, sums, samples, pixels, channels, slope, eps,
    LAST: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """The gradient of x from the finished sums, (2, B, C)."""
    sample, _, channel, wanted, mask, at = tile(pixels, channels, LAST, BLOCK_P, BLOCK_C)
    out = sample * channels + channel
    middle, rstd, scale = load_statistics(mean, m2, weight, out, channel, wanted, pixels, eps)
    normal, g = load_pair(x, grad, y, at, mask, middle, rstd, slope, ACTIVATION)
    dot = tl.load(sums + out, wanted, 0.0)
    total = tl.load(sums + samples * channels + out, wanted, 0.0)
    result = (g - (total[None, :] + normal * dot[None, :]) / pixels) * scale[None, :]
    tl.store(grad_x + at, result.to(grad_x.dtype.element_ty), mask)
    if masked is not None:
        tl.store(masked + at, g.to(masked.dtype.element_ty), mask)
