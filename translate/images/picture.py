"""A picture in memory, and words for what stands between it and its file."""

import errno
from dataclasses import dataclass

from translate.metadata import Pixels


@dataclass(frozen=True, eq=False)
class Picture:
    """One upright picture.

    Args:
        pixels: RGB (H, W, 3), uint8 in [0, 255] or uint16 in [0, 65535]; not premultiplied.
        alpha: (H, W) of the same dtype, 0 is transparent; or None.
        exif: `Exif\\0\\0` and a TIFF block, its Orientation 1; or None.
        icc: the profile of the pixels, or None for sRGB.
        grey: the source had one channel (and perhaps alpha); its three channels are equal.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    exif: bytes | None = None
    icc: bytes | None = None
    grey: bool = False


def advice(error: OSError, what: str) -> str:
    """What an error of the file system means, after what could not be done."""
    known = {
        errno.ENOENT: "no such file or folder; check the name",
        errno.EISDIR: "this is a folder, not an image; name a file in it",
        errno.EACCES: "no permission; change the mode of the file or of its folder",
        errno.ENOSPC: "the disk is full; make room and run it again",
    }
    return f"{what}: {known.get(error.errno or 0, line(error.strerror or error))}"


def line(error: object) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
