"""What a network gives for a picture, as a picture: with what the source has besides, in strips or in one."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from translate.images import Picture
from translate.images.scale import scaled
from translate.metadata import Pixels


def finished(picture: Picture, strips: Iterator[Pixels], scale: int) -> Iterator[Picture]:
    """Strips of the result of a picture, from top to bottom, with its alpha and what else it has.

    Args:
        picture: the source.
        strips: of the result, RGB.
        scale: side of the result / side of the source.
    """
    top = 0
    alpha = picture.alpha
    if alpha is not None and scale > 1:
        height, width = (n * scale for n in alpha.shape)
        alpha = scaled(alpha, (width, height))
    for pixels in strips:
        rows = None if alpha is None else alpha[top : top + len(pixels)]
        yield _finish(replace(picture, alpha=rows), pixels, enlarged=scale > 1)
        top += len(pixels)


def _finish(picture: Picture, pixels: Pixels, *, enlarged: bool) -> Picture:
    if picture.grey and enlarged:  # sharper, but no more colourful than it was
        mean = (pixels.sum(axis=2, keepdims=True, dtype=np.uint32) + 1) // 3
        pixels = np.repeat(mean.astype(pixels.dtype), 3, axis=2)
    return replace(picture, pixels=pixels, grey=picture.grey and enlarged)


def put_together(strips: Iterator[Picture], height: int, width: int) -> Picture:
    """The picture of that size that the strips are of."""
    first = next(strips)
    if len(first.pixels) == height:
        return first
    pixels = np.empty((height, width, 3), first.pixels.dtype)
    alpha = None if first.alpha is None else np.empty((height, width), first.alpha.dtype)
    top = 0
    for strip in itertools.chain([first], strips):
        rows = slice(top, top + len(strip.pixels))
        pixels[rows] = strip.pixels
        if alpha is not None and strip.alpha is not None:
            alpha[rows] = strip.alpha
        top = rows.stop
    return replace(first, pixels=pixels, alpha=alpha)
