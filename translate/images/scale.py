"""Pictures made larger or smaller, without a network."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np

from translate.errors import ImageError
from translate.images.picture import Picture
from translate.metadata import Pixels


def resized(picture: Picture, short_side: int, max_pixels: int) -> Picture:
    """A picture scaled to a short side, if it has no more pixels then than are allowed."""
    height, width = picture.pixels.shape[:2]
    scale = short_side / min(height, width)
    size = max(short_side, round(width * scale)), max(short_side, round(height * scale))
    if size[0] * size[1] > max_pixels:
        raise ImageError(f"--size makes it {size[0]} × {size[1]}, more than --max-pixels {max_pixels:,}; lower --size")
    alpha = None if picture.alpha is None else scaled(picture.alpha, size)
    return replace(picture, pixels=scaled(picture.pixels, size), alpha=alpha)


def scaled(array: Pixels, size: tuple[int, int]) -> Pixels:
    """(H, W) or (H, W, C) scaled to (width, height): areas averaged when it gets smaller, else bicubic."""
    method = cv2.INTER_AREA if size[0] < array.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(array, size, interpolation=method).astype(array.dtype, copy=False)


def shrunk(picture: Picture, ratio: Fraction) -> Picture:
    """A picture of ⌊H·ratio⌋ × ⌊W·ratio⌋ pixels, each the mean of an area.

    All of these are of one size, 1/ratio, and what is left over on the right and below is cut off: so rows of a picture
    become rows of its result.
    """
    alpha = None if picture.alpha is None else _averaged(picture.alpha, ratio)
    return replace(picture, pixels=_averaged(picture.pixels, ratio), alpha=alpha)


def shrunk_strips(strips: Iterable[Picture], ratio: Fraction) -> Iterator[Picture]:
    """Strips of a picture -> strips of what `shrunk` makes of it, up to rounding."""
    waiting: Picture | None = None
    for strip in strips:
        rows = strip if waiting is None else _below(waiting, strip)
        whole = len(rows.pixels) // ratio.denominator * ratio.denominator
        waiting = _rows(rows, slice(whole, None))
        if whole:
            yield shrunk(_rows(rows, slice(whole)), ratio)
    if waiting is not None and int(len(waiting.pixels) * ratio):
        yield shrunk(waiting, ratio)


def _averaged(array: Pixels, ratio: Fraction) -> Pixels:
    height, width = array.shape[:2]
    below, right = -height % ratio.denominator, -width % ratio.denominator
    padded = cv2.copyMakeBorder(array, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = int((width + right) * ratio), int((height + below) * ratio)
    small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA).astype(array.dtype, copy=False)
    return small[: int(height * ratio), : int(width * ratio)]


def _below(upper: Picture, lower: Picture) -> Picture:
    alpha = None if upper.alpha is None or lower.alpha is None else np.concatenate([upper.alpha, lower.alpha])
    return replace(lower, pixels=np.concatenate([upper.pixels, lower.pixels]), alpha=alpha)


def _rows(picture: Picture, rows: slice) -> Picture:
    alpha = None if picture.alpha is None else picture.alpha[rows]
    return replace(picture, pixels=picture.pixels[rows], alpha=alpha)
