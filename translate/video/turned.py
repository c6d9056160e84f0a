"""Frames that are stored lying down or on their head, turned upright."""

from typing import TYPE_CHECKING, Any

import numpy as np

from translate.metadata import Pixels

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


def turned(pixels: Pixels, matrix: tuple[int, ...] | None) -> Pixels:
    """(H, W, 3) turned by a display matrix (a, b, c, d): x' = ax + cy, y' = bx + dy, to the nearest quarter."""
    if matrix is None:
        return pixels
    a, b, c, d = matrix
    if abs(a) < abs(b):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def matrix_of(frame: "VideoFrame") -> tuple[int, ...] | None:
    """The display matrix (a, b, c, d) of a frame, in 65536ths, where it has one."""
    from av.sidedata.sidedata import Type

    data: Any = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if data is None:
        return None
    return tuple(int(n) for n in np.frombuffer(bytes(data), np.int32)[[0, 1, 3, 4]])
