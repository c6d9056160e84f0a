"""Matlab's bicubic `imresize`, to the bit: what the published super-resolution figures start from and compare with.

Keys' kernel with a = -1/2, widened when a picture gets smaller; rows first, then columns; pixels beyond the edge are
those of the edge; whole numbers are rounded and cut to their range after each of the two passes. The `LRx4` files that
come with Set5 and Set14 are reproduced exactly.
"""

import numpy as np
import torch
from torch.nn import functional

from translate.evaluate.fidelity import Pixels

_MARGIN = 4  # pixels of the smaller picture; the kernel reaches over two


def enlarge(x: Pixels, scale: int) -> Pixels:
    """(H, W) or (H, W, C) to (H·scale, W·scale[, C]); integers keep their type, floats become float64."""
    return _along(_along(x, 0, scale, 1), 1, scale, 1)


def reduce(x: Pixels, scale: int) -> Pixels:
    """(H, W) or (H, W, C), both multiples of `scale`, to (H/scale, W/scale[, C]); types as in `enlarge`."""
    if x.shape[0] % scale or x.shape[1] % scale:
        raise ValueError(f"{x.shape[:2]} are no multiples of {scale}")
    return _along(_along(x, 0, 1, scale), 1, 1, scale)


def _along(x: Pixels, axis: int, up: int, down: int) -> Pixels:
    length = x.shape[axis] * up // down
    columns = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    padded = np.pad(columns.astype(np.float64), [(_MARGIN * down,) * 2, (0, 0)], mode="edge")
    size = length + 2 * _MARGIN * up, padded.shape[1]
    # Without `antialias`, torch would take a = -3/4.
    resized = functional.interpolate(torch.from_numpy(padded)[None, None], size, mode="bicubic", antialias=True)
    values = resized[0, 0, _MARGIN * up : _MARGIN * up + length].numpy()
    if np.issubdtype(x.dtype, np.integer):
        values = np.clip(np.floor(values + 0.5), 0, np.iinfo(x.dtype).max).astype(x.dtype)
    others = np.moveaxis(x, axis, 0).shape[1:]
    return np.moveaxis(values.reshape(length, *others), 0, axis)
