"""PNG and TIFF written in strips of rows, so that a large picture need never be in memory at once."""

import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from translate.metadata import MARK, Pixels, descriptive

_BYTES = 1 << 20  # of rows that are packed at once
_IN_MEMORY = 64 << 20  # of what waits
_LEVEL = 1  # more takes several times as long and hardly saves a byte on photographs


def png(strips: Iterable[Pixels], size: tuple[int, int], exif: bytes | None, icc: bytes | None) -> Iterator[bytes]:
    """A PNG piece by piece.

    Args:
        strips: samples (h, W, C), uint8 or uint16, C of 1 to 4 with the alpha last, from top to bottom.
        size: H and W of the picture.
        exif: as in `Picture`.
        icc: as in `Picture`.
    """
    packer, above = zlib.compressobj(_LEVEL, strategy=zlib.Z_RLE), None
    for samples in _even(strips):
        if above is None:
            kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]]
            yield b"\x89PNG\r\n\x1a\n"
            yield _chunk(b"IHDR", struct.pack(">IIBBBBB", size[1], size[0], samples.itemsize * 8, kind, 0, 0, 0))
            if icc:
                yield _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc))
            if exif:
                yield _chunk(b"eXIf", exif.removeprefix(MARK))
        rows = samples.astype(samples.dtype.newbyteorder(">"), copy=False).reshape(len(samples), -1).view(np.uint8)
        before = np.concatenate([np.zeros_like(rows[:1]) if above is None else above, rows[:-1]])
        filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
        filtered[:, 0] = 2  # "up": the difference to the row above, wrapped round
        np.subtract(rows, before, out=filtered[:, 1:])
        above = rows[-1:].copy()
        if data := packer.compress(filtered.data):
            yield _chunk(b"IDAT", data)
    yield _chunk(b"IDAT", packer.flush())
    yield _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def tiff(strips: Iterable[Pixels], size: tuple[int, int], exif: bytes | None, icc: bytes | None) -> Iterator[bytes]:
    """A deflated TIFF piece by piece; the arguments are those of `png`.

    Pillow cannot hold 16-bit RGB and OpenCV writes no metadata. But an EXIF block is a TIFF without pixels: this lets
    Pillow write one, with the tags for the pixels added, and appends the pixels. As it says how long each strip is and
    comes first, the strips wait in a temporary file. Maker notes may not survive the move.
    """
    sizes: list[int] = []
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as waiting:
        for samples in _even(strips):
            if not sizes:
                head = _head(samples, size, exif, icc)
            delta = samples.copy()
            delta[:, 1:] -= samples[:, :-1]  # predictor 2: wraps round, as it should
            little = delta.astype(delta.dtype.newbyteorder("<"), copy=False)
            sizes.append(waiting.write(zlib.compress(little.tobytes(), _LEVEL)))
        starts = [0, *np.cumsum(sizes[:-1]).tolist()]
        head.update({Base.StripOffsets: tuple(starts), Base.StripByteCounts: tuple(sizes)})  # Pillow adds its length
        yield head.tobytes().removeprefix(MARK)
        waiting.seek(0)
        while data := waiting.read(_BYTES):
            yield data


def _head(samples: Pixels, size: tuple[int, int], exif: bytes | None, icc: bytes | None) -> Image.Exif:
    """All tags but those that say where the strips are; `samples` is the first of them."""
    rows, _, channels = samples.shape
    tags = Image.Exif()
    try:
        if exif:
            tags.load(exif)
        head = descriptive(tags)
        head.tobytes()
    except Exception:  # EXIF that cannot be taken apart cannot be moved into a TIFF
        head = descriptive(Image.Exif())
    head.update(
        {
            Base.ImageWidth: size[1],
            Base.ImageLength: size[0],
            Base.BitsPerSample: (samples.itemsize * 8,) * channels,
            Base.Compression: 8,  # Adobe deflate
            Base.PhotometricInterpretation: 2 if channels > 2 else 1,
            Base.SamplesPerPixel: channels,
            Base.RowsPerStrip: rows,
            Base.PlanarConfiguration: 1,
            Base.Predictor: 2,
        }
    )
    if channels in (2, 4):
        head[Base.ExtraSamples] = 2  # unassociated alpha
    if icc:
        head[Base.InterColorProfile] = icc
    return head


def _even(strips: Iterable[Pixels]) -> Iterator[Pixels]:
    """The same rows in strips of one height, about `_BYTES` each; the last may be lower."""
    left = None
    for strip in strips:
        height = max(1, _BYTES // strip[0].nbytes)
        if left is not None:
            missing = height - len(left)
            left, strip = np.concatenate([left, strip[:missing]]), strip[missing:]
            if len(left) < height:
                continue
            yield left
        whole = len(strip) // height * height
        yield from (strip[top : top + height] for top in range(0, whole, height))
        left = strip[whole:].copy() if whole < len(strip) else None  # a copy lets the strip go
    if left is not None:
        yield left
