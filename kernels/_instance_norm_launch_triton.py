"""How the planes of instance normalisation are shared out among Triton programs, and what is launched for them.

Where the planes of a few channels fit into the registers of one program, x is read once. Else it is cut into chunks
whose statistics are merged, and read twice. The cut depends on H, W, C, the memory format and the dtype, and on what
was measured for the device (`_configs.py`): the batch that an image comes in does not change its bits.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from translate.kernels import _configs
from translate.kernels import _instance_norm_grad_kernels_triton as backward
from translate.kernels import _instance_norm_kernels_triton as forward

PLANES = 32768  # elements of a plane that the forward can hold in registers; the backward and channels_last: half of it
TILE = 2048  # elements of a tile: 16 for each of 128 threads, two loads of 16 bytes in half precision
PROGRAMS = 512  # for each sample, where there is that much work
COLUMNS = 64  # channels of a tile of channels_last, where there are as many
EACH = 16  # elements of a tile for each thread


class Cut(NamedTuple):
    """How the planes of one sample are shared out."""

    whole: bool  # a tile holds whole planes
    last: bool  # channels_last
    rows: int  # pixels of a tile
    columns: int  # channels of a tile
    blocks: int  # of channels
    tiles: int  # of pixels
    chunk: int  # pixels that one program takes statistics of
    chunks: int
    each: int  # elements of a tile for each thread

    @property
    def options(self) -> dict[str, Any]:
        """The compile-time arguments that all kernels have, but for the merge."""
        warps = min(max(self.rows * self.columns // (32 * self.each), 1), 16)
        return {"LAST": self.last, "BLOCK_P": self.rows, "BLOCK_C": self.columns, "num_warps": warps}


def sizes(kernel: str, x: Tensor, last: bool, planes: int) -> dict[str, int]:
    """What `cut` goes by: elements of the largest tile of whole planes, and the numbers above."""
    default = {"planes": planes, "tile": TILE, "programs": PROGRAMS, "columns": COLUMNS, "each": EACH}
    kind = _configs.kind_of(x, "channels_last" if last else "contiguous")
    return _configs.blocks(kernel, x, kind, default, channels=x.shape[1], pixels=x[0, 0].numel())


def cut(channels: int, pixels: int, last: bool, by: Mapping[str, int]) -> Cut:
    """Share out the planes: whole ones where a tile (of channels_last: half of one) holds them, else chunks of them."""
    every, rows = triton.next_power_of_2(channels), triton.next_power_of_2(pixels)
    columns = min(every, max(16 if last else 1, by["tile"] // rows))
    if rows * columns <= (by["planes"] // 2 if last else by["planes"]):
        return Cut(True, last, rows, columns, triton.cdiv(channels, columns), 1, pixels, 1, by["each"])
    columns = min(every, by["columns"]) if last else 1
    rows, blocks = max(by["tile"] // columns, 1), triton.cdiv(channels, columns)
    tiles = triton.cdiv(pixels, rows)
    chunk = triton.cdiv(tiles, max(by["programs"] // blocks, 1)) * rows
    return Cut(False, last, rows, columns, blocks, tiles, chunk, triton.cdiv(pixels, chunk), by["each"])


def cut_for(kernel: str, x: Tensor, planes: int) -> Cut:
    """How a kernel of instance norm shares out x: `planes` is its default of what a tile of whole planes may hold."""
    last = not x.is_contiguous()
    return cut(x.shape[1], x.shape[2] * x.shape[3], last, sizes(kernel, x, last, planes))


def dense(x: Tensor) -> Tensor:
    """Itself where it is contiguous or channels_last, else a contiguous copy."""
    return x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def like(x: Tensor, other: Tensor | None) -> Tensor | None:
    """`other` with the strides of a dense x."""
    if other is None:
        return None
    return other.contiguous(memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last)


def margin(x: Tensor, other: Tensor | None) -> int:
    """How much larger on each side than a dense x the tensor is that `other`, of its shape, is the inside of.

    0 is said of any other tensor too, which has to be made `like` x then.
    """
    if other is None:
        return 0
    _, channels, height, width = x.shape
    apart = 1 if x.is_contiguous() else channels  # of two pixels of a row
    wider, odd = divmod(other.stride(2) // apart - width, 2)
    high, wide = height + 2 * wider, width + 2 * wider
    planes = (channels * high * wide, high * wide) if x.is_contiguous() else (high * wide * channels, 1)
    return wider if not odd and wider > 0 and other.stride() == (*planes, wide * apart, apart) else 0


def padded(x: Tensor, pad: int) -> Tensor:
    """Room for a dense x with `pad` more pixels on each side, in the same memory format."""
    b, c, h, w = x.shape
    memory_format = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    shape = b, c, h + 2 * pad, w + 2 * pad
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format)


def new_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Room for mean and sum of squared deviations of each plane, float32 (B, C)."""
    return x.new_empty(x.shape[:2], dtype=torch.float32), x.new_empty(x.shape[:2], dtype=torch.float32)


def run_statistics(x: Tensor, mean: Tensor, m2: Tensor) -> None:
    """Fill in mean and m2 of a dense x, chunk by chunk."""
    (samples, channels), pixels, parts = x.shape[:2], x.shape[2] * x.shape[3], cut_for("instance_statistics", x, 0)
    chunks = parts.chunks
    means, m2s = x.new_empty((2, samples, chunks, channels), dtype=torch.float32)
    forward.chunk_statistics[(samples * parts.blocks * chunks,)](
        x, means, m2s, pixels, channels, chunks, parts.chunk, **parts.options
    )
    rows = triton.next_power_of_2(chunks)
    columns = min(triton.next_power_of_2(channels), max(TILE // rows, 1))
    forward.merge_chunks[(samples * triton.cdiv(channels, columns),)](
        x, means, m2s, mean, m2, pixels, channels, chunks, parts.chunk, parts.last, rows, columns
    )


def run_normalise(
    x: Tensor,
    mean: Tensor,
    m2: Tensor,
    count: int,
    rest: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor],
    activation: str,
    slope: float,
    eps: float,
    pad: int = 0,
) -> None:
    """Normalise a dense x with statistics of `count` pixels; `rest` are weight, bias, residual and padded result."""
    channels, height, width = x.shape[1:]
    pixels, last = (height + 2 * pad) * (width + 2 * pad), not x.is_contiguous()
    parts = cut(channels, pixels, last, sizes("normalise", x, last, 0))
    weight, bias, residual, y = rest
    if not (outside := margin(x, residual)):
        residual = like(x, residual)
    options = {"ACTIVATION": activation, "PAD": pad, "MARGIN": outside, **parts.options}
    forward.normalise_tiles[(x.shape[0] * parts.blocks * parts.tiles,)](
        x, mean, m2, weight, bias, residual, y, pixels, channels, height, width, float(count), slope, eps, **options
    )


def run_forward(
    x: Tensor,
    mean: Tensor,
    m2: Tensor,
    rest: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor],
    activation: str,
    slope: float,
    eps: float,
    pad: int,
) -> None:
    """Fill in the statistics and the result."""
    channels, pixels, parts = x.shape[1], x.shape[2] * x.shape[3], cut_for("instance_norm", x, PLANES)
    if parts.whole and not pad:
        weight, bias, residual, y = rest
        rest = weight, bias, like(x, residual), y
        forward.normalise_planes[(x.shape[0] * parts.blocks,)](
            x, *rest, mean, m2, pixels, channels, slope, eps, ACTIVATION=activation, **parts.options
        )
    else:
        run_statistics(x, mean, m2)
        run_normalise(x, mean, m2, pixels, rest, activation, slope, eps, pad)


def run_backward(
    known: tuple[Tensor | None, ...],
    weight: Tensor | None,
    grad_x: Tensor,
    masked: Tensor | None,
    sums: Tensor,
    activation: str,
    slope: float,
    eps: float,
) -> None:
    """Fill in grad_x, masked and sums (2, B, C); `known` are grad, x, y, mean and m2."""
    (samples, channels, height, width), parts = grad_x.shape, cut_for("instance_norm_grad", grad_x, PLANES // 2)
    pixels, chunks = height * width, parts.chunks
    options = {"slope": slope, "eps": eps, "ACTIVATION": activation, **parts.options}
    kernel = backward.grad_planes if parts.whole else backward.grad_tiles
    if not parts.whole:
        partial = sums.new_empty((2, samples, chunks, channels))
        backward.grad_chunk_sums[(samples * parts.blocks * chunks,)](
            *known, partial, samples, pixels, channels, chunks, parts.chunk, **options
        )
        torch.sum(partial, 2, out=sums)
    kernel[(samples * parts.blocks * parts.tiles,)](
        *known, weight, grad_x, masked, sums, samples, pixels, channels, **options
    )
