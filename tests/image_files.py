"""Image files by hand, and what is in them, for the tests of reading and writing."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import putchunk
from PIL.TiffImagePlugin import IFDRational

from translate.errors import ImageError
from translate.images import read

RNG = np.random.default_rng(7)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
T = Image.Transpose
# What has to be done to an upright image so that the tag turns it back.
STORED = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90, 7: T.TRANSVERSE}
STORED[8] = T.ROTATE_270


def noise(*shape: int, dtype: Any = np.uint8) -> Any:
    return RNG.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def png(samples: Any, *chunks: tuple[bytes, bytes], size: tuple[int, int] | None = None) -> bytes:
    """A PNG by hand: (H, W, C) of 8 or 16 bit, with further chunks before the pixels."""
    height, width = size or samples.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]]
    out = BytesIO()
    out.write(b"\x89PNG\r\n\x1a\n")
    putchunk(out, b"IHDR", struct.pack(">IIBBBBB", width, height, samples.itemsize * 8, kind, 0, 0, 0))
    for name, data in chunks:
        putchunk(out, name, data)
    big = samples.astype(samples.dtype.newbyteorder(">"))
    putchunk(out, b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in big)))
    putchunk(out, b"IEND")
    return out.getvalue()


def tiff(samples: Any, order: str = ">", **tags: int) -> bytes:
    """An uncompressed TIFF by hand, big-endian or little-endian ("<"); further tags by number, as t274=6."""
    height, width, channels = samples.shape
    values = {256: width, 257: height, 259: 1, 262: 2 if channels > 2 else 1, 277: channels, 278: height, 284: 1}
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    values |= {258: samples.itemsize * 8, 273: 0, 279: len(data)} | {int(tag[1:]): value for tag, value in tags.items()}
    body = 8 + 2 + 12 * len(values) + 4
    values[273] = body + 2 * channels
    out = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "IH", 8, len(values))
    for tag, value in sorted(values.items()):
        if tag == 258 and channels > 2:  # does not fit into the entry
            out += struct.pack(order + "HHII", tag, 3, channels, body)
        elif tag == 258:
            out += struct.pack(order + "HHIHH", tag, 3, channels, value, value)
        else:
            out += struct.pack(order + "HHII", tag, 4, 1, value)
    return out + bytes(4) + struct.pack(f"{order}{channels}H", *[values[258]] * channels) + data


def save(path: Path, image: Any, **options: Any) -> Path:
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def exif(orientation: int = 6) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0132], tags[0x0112] = "Maker", "Model X", "2024:05:06 07:08:09", orientation
    tags[0x8769] = {
        0x829A: IFDRational(1, 250),
        0xA434: "50 mm",
        0x927C: b"maker's note",
        0x9003: "2024:05:06 07:08:09",
    }
    tags[0x8825] = {1: "N", 2: (IFDRational(48), IFDRational(51), IFDRational(30))}
    return tags


def check_tags(path: Path) -> None:
    with Image.open(path) as image:
        image.load()
        tags = image.getexif()
        assert (tags[0x010F], tags[0x0110], tags[0x0132]) == ("Maker", "Model X", "2024:05:06 07:08:09")
        assert tags.get(0x0112, 1) == 1
        inner, place = tags.get_ifd(0x8769), tags.get_ifd(0x8825)
    assert (inner[0x829A], inner[0xA434], inner[0x927C]) == (1 / 250, "50 mm", b"maker's note")
    assert (place[1], place[2]) == ("N", (48, 51, 30))


def complaint(path: Path, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not message.startswith(str(path))
    return message
