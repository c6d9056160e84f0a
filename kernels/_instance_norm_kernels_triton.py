# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""The Triton kernels of instance normalisation; `_instance_norm_triton.py` says which of them runs where.

All of them read x (B, C, H, W), with P = H·W pixels, as tiles of BLOCK_P pixels by BLOCK_C channels. LAST says whether
the channels lie side by side in memory (channels_last) or the pixels of a plane do. The arithmetic is float32. There
are no atomics, and the order of every sum is fixed, so that the same input gives the same bits.
"""

import triton
import triton.language as tl

from translate.kernels._activation_triton import activated


@triton.jit
def start_of(sample, pixel, channel, pixels, channels, LAST: tl.constexpr):
    """Where a tile begins, in 64 bits, since x may have more than 2³¹ elements; inside a tile 32 are enough."""
    sample = sample.to(tl.int64)
    if LAST:
        return (sample * pixels + pixel) * channels + channel
    return (sample * channels + channel) * pixels + pixel


@triton.jit
def inside(row, column, pixels, channels, LAST: tl.constexpr):
    if LAST:
        return row[:, None] * channels + column[None, :]
    return row[:, None] + column[None, :] * pixels


@triton.jit
def tile(pixels, channels, LAST: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr):
    """A program's share of a tensor: its sample, pixels and channels, which of these there are, and where they lie.

    That is (sample, pixel, channel, wanted, mask, at), where `wanted` is of the channels alone.
    """
    blocks, tiles = tl.cdiv(channels, BLOCK_C), tl.cdiv(pixels, BLOCK_P)
    first, program = tl.program_id(0) % blocks * BLOCK_C, tl.program_id(0) // blocks
    sample, begin = program // tiles, program % tiles * BLOCK_P
    row, column = tl.arange(0, BLOCK_P), tl.arange(0, BLOCK_C)
    wanted = first + column < channels
    mask = (begin + row < pixels)[:, None] & wanted[None, :]
    at = start_of(sample, begin, first, pixels, channels, LAST) + inside(row, column, pixels, channels, LAST)
    return sample, begin + row, first + column, wanted, mask, at


@triton.jit
def reflected(place, size):
    """Where the pixel at `place` comes from, which may lie outside of [0, size) by less than size."""
    place = tl.abs(place)
    return tl.where(place < size, place, 2 * (size - 1) - place)


@triton.jit
def affine(weight, bias, channel, mask):
    scale = 1.0 if weight is None else tl.load(weight + channel, mask, 0.0).to(tl.float32)[None, :]
    shift = 0.0 if bias is None else tl.load(bias + channel, mask, 0.0).to(tl.float32)[None, :]
    return scale, shift


@triton.jit
def normalise_planes(
    x, weight, bias, residual, y, mean, m2, pixels, channels, slope, eps,
    LAST: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """All of it in one pass, where the planes of BLOCK_C channels fit into the registers of a program."""
    sample, _, channel, wanted, mask, at = tile(pixels, channels, LAST, BLOCK_P, BLOCK_C)

    value = tl.load(x + at, mask, 0.0).to(tl.float32)
    middle = tl.sum(value, 0) / pixels
    value = tl.where(mask, value - middle[None, :], 0.0)
    # Of a mean that is large beside the deviation the sum has lost some digits; what is left of it brings them back.
    rest = tl.sum(value, 0) / pixels
    value = tl.where(mask, value - rest[None, :], 0.0)
    square = tl.sum(value * value, 0)
    out = sample * channels + channel
    tl.store(mean + out, middle + rest, wanted)
    tl.store(m2 + out, square, wanted)

    scale, shift = affine(weight, bias, channel, wanted)
    result = value * (tl.rsqrt(square / pixels + eps)[None, :] * scale) + shift
    if residual is not None:
        result += tl.load(residual + at, mask, 0.0).to(tl.float32)
    tl.store(y + at, activated(result, slope, ACTIVATION).to(y.dtype.element_ty), mask)


@triton.jit
def chunk_statistics(
    x, means, m2s, pixels, channels, chunks, chunk,
    LAST: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Mean, less the plane's first pixel, and sum of squared deviations of each chunk: (B, chunks, C) each."""
    j, program = tl.program_id(0) % chunks, tl.program_id(0) // chunks
    blocks = tl.cdiv(channels, BLOCK_C)
    sample, first = program // blocks, program % blocks * BLOCK_C
    row, column = tl.arange(0, BLOCK_P), tl.arange(0, BLOCK_C)
    wanted = first + column < channels
    plane = x + start_of(sample, 0, first, pixels, channels, LAST)
    origin = tl.load(plane + inside(row * 0, column, pixels, channels, LAST), wanted[None, :], 0.0).to(tl.float32)
    part = x + start_of(sample, j * chunk, first, pixels, channels, LAST)
    size = tl.minimum(chunk, pixels - j * chunk)

    # Every place of the tile keeps its own statistics (Welford 1962); they meet at the end (Chan et al. 1979).
    mean = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    square = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    at = inside(row, column, pixels, channels, LAST)
    for step in range(tl.cdiv(size, BLOCK_P)):
        mask = (step * BLOCK_P + row < size)[:, None] & wanted[None, :]
        value = tl.load(part + at, mask, 0.0).to(tl.float32) - origin
        delta = tl.where(mask, value - mean, 0.0)
        mean += delta * (1.0 / (step + 1))
        square += delta * (value - mean)
        part += BLOCK_P * channels if LAST else BLOCK_P
    count = tl.maximum(tl.cdiv(size - row, BLOCK_P), 0).to(tl.float32)[:, None]
    middle = tl.sum(mean * count, 0) / size
    away = mean - middle[None, :]
    out = (sample * chunks + j) * channels + first + column
    tl.store(means + out, middle, wanted)
    tl.store(m2s + out, tl.sum(square + count * away * away, 0), wanted)


@triton.jit
def merge_chunks(
    x, means, m2s, mean, m2, pixels, channels, chunks, chunk,
    LAST: tl.constexpr, BLOCK_J: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """What `chunk_statistics` has found, merged: (B, C) each."""
    blocks = tl.cdiv(channels, BLOCK_C)
    sample, first = tl.program_id(0) // blocks, tl.program_id(0) % blocks * BLOCK_C
    j, column = tl.arange(0, BLOCK_J), tl.arange(0, BLOCK_C)
    wanted = first + column < channels
    mask = (j < chunks)[:, None] & wanted[None, :]
    at = (sample * chunks + j)[:, None] * channels + (first + column)[None, :]
    count = tl.maximum(tl.minimum(chunk, pixels - j * chunk), 0).to(tl.float32)[:, None]
    part = tl.load(means + at, mask, 0.0)
    middle = tl.sum(part * count, 0) / pixels
    away = tl.where(mask, part - middle[None, :], 0.0)
    square = tl.sum(tl.load(m2s + at, mask, 0.0) + count * away * away, 0)

    plane = start_of(sample, 0, first, pixels, channels, LAST)
    origin = tl.load(x + plane + column.to(tl.int64) * (1 if LAST else pixels), wanted, 0.0).to(tl.float32)
    out = sample * channels + first + column
    tl.store(mean + out, origin + middle, wanted)
    tl.store(m2 + out, square, wanted)


@triton.jit
def lying(sample, down, across, channel, height, width, channels, LAST: tl.constexpr):
    """Where the pixels at `down` and `across` of a sample are, in a tensor (B, C, height, width)."""
    place = (down * width + across).to(tl.int64)
    start = start_of(sample, 0, 0, height * width, channels, LAST)
    return start + inside(place, channel.to(tl.int64), height * width, channels, LAST)


@triton.jit
def normalise_tiles(
    x, mean, m2, weight, bias, residual, y, pixels, channels, height, width, count, slope, eps,
    LAST: tl.constexpr, ACTIVATION: tl.constexpr, PAD: tl.constexpr, MARGIN: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Normalise with the mean and the sum of squared deviations of `count` pixels, (B, C) each.

    The `pixels` are those of y, which is larger than x, (height, width), by PAD reflected ones on each side. The
    residual lies in a tensor that is larger by MARGIN.
    """
    sample, pixel, channel, wanted, mask, at = tile(pixels, channels, LAST, BLOCK_P, BLOCK_C)
    out = sample * channels + channel
    rstd = tl.rsqrt(tl.load(m2 + out, wanted, 0.0) / count + eps)
    middle = tl.load(mean + out, wanted, 0.0)
    scale, shift = affine(weight, bias, channel, wanted)
    source, beside = at, at
    if PAD + MARGIN > 0:
        across = reflected(pixel % (width + 2 * PAD) - PAD, width)
        down = reflected(pixel // (width + 2 * PAD) - PAD, height)
        if PAD > 0:
            source = lying(sample, down, across, channel, height, width, channels, LAST)
        beside = lying(sample, down, across, channel, height + 2 * MARGIN, width + 2 * MARGIN, channels, LAST)
    result = (tl.load(x + source, mask, 0.0).to(tl.float32) - middle[None, :]) * (rstd[None, :] * scale) + shift
    if residual is not None:
        result += tl.load(residual + beside, mask, 0.0).to(tl.float32)
    tl.store(y + at, activated(result, slope, ACTIVATION).to(y.dtype.element_ty), mask)
