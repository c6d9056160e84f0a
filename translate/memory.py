"""How much of a picture fits into memory at once."""

from math import isqrt

import torch

from translate.device import available_bytes
from translate.errors import ImageError
from translate.models import Model
from translate.models.cyclegan import ResnetGenerator
from translate.models.pretrained_unet import PretrainedUNet

MOST = 2 << 30  # bytes of main memory that one step may take, however much is free, and where nobody knows
SMALLEST = 64  # pixels on the side of a tile
BAND_HALO = 16  # rows that a band has besides its own


def bytes_per_pixel(model: Model, itemsize: int) -> int:
    """Peak memory for one input pixel: activations of full width that live at once, and the result with its copies.

    Measured, at most a third too high: 750 to 880 for a CycleGAN of width 32 in float32, 1230 for a direct SRResNet of
    width 64, 12,300 for a staged one, and half of each activation in bfloat16; 770 for a direct one of width 4, where
    the result is all that counts.
    """
    if own := getattr(model.network, "bytes_per_pixel", None):
        return int(own)
    width = int(getattr(model.network, "config", {}).get("width", 1))
    full_size = int(getattr(model.network, "full_size", width)) if model.scale > 1 else 0
    channels = (7 if model.scale == 1 else 4) * width + 3 * model.scale**2 * full_size
    result = model.scale**2
    return max(channels * itemsize + 24 * result, 48 * result)


def can_tile(model: Model) -> bool:
    """Whether a part of the result can be had from a part of the picture, exactly."""
    return isinstance(model.network, ResnetGenerator | PretrainedUNet) or model.halo is not None


def budget(device: str, model: Model) -> int:
    """Bytes that one step may take."""
    if device.startswith("cuda"):
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, to be used again
        return int((torch.cuda.mem_get_info(device)[0] + kept) * 0.8)
    most = MOST if model.halo is None else MOST // 3  # tiles cost little time, bands of a network with norms much
    free = available_bytes()
    return most if free is None else min(most, free // 3)  # the rest is for results, and for gaps in the heap


def tile_side(model: Model, itemsize: int, shape: tuple[int, int, int], memory: int) -> int | None:
    """The largest tile or band that fits, in pixels, or None if there is no need for one.

    Args:
        model: that is to run.
        itemsize: bytes of a number in its precision.
        shape: batch, height and width of what it is to run on.
        memory: bytes that it may take.
    """
    batch, height, width = shape
    pixels = memory // bytes_per_pixel(model, itemsize)
    if batch * height * width <= pixels:
        return None
    side = pixels // width - BAND_HALO if model.halo is None else isqrt(pixels) - 2 * model.halo
    return max(SMALLEST, side)


def require(model: Model, itemsize: int, shape: tuple[int, int, int]) -> None:
    """Refuse what does not fit into the free main memory.

    Raises:
        ImageError: with the size that would fit.
    """
    batch, height, width = shape
    needed, free = batch * height * width * bytes_per_pixel(model, itemsize), available_bytes()
    if free is not None and needed > free:
        side = max(1, int(min(height, width) * (0.9 * free / needed) ** 0.5))
        raise ImageError(
            f"needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; "
            f"make it smaller, with --size {side} for example"
        )
