"""Pictures made larger or smaller, without a network."""

from dataclasses import replace

import cv2

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
