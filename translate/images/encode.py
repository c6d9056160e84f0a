"""Writing image files: whole or not at all, at once or row by row, with what the format can hold."""

import itertools
import os
import secrets
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from translate.errors import ImageError
from translate.formats import BY_SUFFIX, Format
from translate.images.picture import Picture, advice, line
from translate.metadata import Pixels
from translate.strips import png, tiff


def write(path: str | Path, picture: Picture, *, quality: int | None = None) -> None:
    """Write a picture in the format of the suffix, at once or not at all; what the format cannot hold is converted.

    16 bit is rounded to 8, alpha laid over white, a grey picture stored with one channel. `quality` (1 to 100) is for
    JPEG and WebP, where 100 means lossless. Raises `ImageError` in one line without the path.
    """
    path, pixels = Path(path), picture.pixels
    grey = picture.grey and bool((pixels[..., 1:] == pixels[..., :1]).all())
    picture = replace(picture, grey=grey)
    kind = _kind(path, pixels.shape[:2])
    if kind.rows:
        return write_strips(path, [picture], pixels.shape[:2])
    try:
        data = _encode(_fitted(picture, kind), kind, kind.quality if quality is None else quality)
    except Exception as error:
        raise _not_encoded(kind, error) from error
    _put(path, [data])


def by_rows(path: str | Path) -> bool:
    """Whether `write_strips` takes the suffix."""
    kind = BY_SUFFIX.get(Path(path).suffix.lower())
    return kind is not None and kind.rows


def write_strips(path: str | Path, strips: Iterable[Picture], size: tuple[int, int]) -> None:
    """Write a picture while it is made, whole or not at all; the format has to be one that is written by rows.

    Args:
        path: of a PNG or TIFF.
        strips: from top to bottom, each with the metadata of the whole; the three channels of a grey one are equal.
        size: height and width of the whole.

    Raises:
        ImageError: it cannot be written. What making a strip raises is raised on.
    """
    path, kind = Path(path), _kind(Path(path), size)
    fitted = (_fitted(strip, kind) for strip in strips)
    try:
        first = next(fitted)
        samples = (_samples(strip) for strip in itertools.chain([first], fitted))
        encode = {"PNG": png, "TIFF": tiff}[kind.name]
        _put(path, encode(samples, size, first.exif, _profile(first, _samples(first).shape[2] < 3)))
    except (struct.error, zlib.error, OverflowError) as error:
        raise _not_encoded(kind, error) from error


def lost(path: str | Path, picture: Picture) -> str | None:
    """In words, what of a picture the format of the suffix cannot hold; None where nothing is lost."""
    if (kind := BY_SUFFIX.get(Path(path).suffix.lower())) is None:
        return None
    words = []
    if picture.alpha is not None and not kind.alpha and (picture.alpha < np.iinfo(picture.alpha.dtype).max).any():
        words.append(f"alpha is lost: {kind.name} has none")
    if picture.pixels.dtype != np.uint8 and not kind.deep:
        words.append(f"16 bit became 8: {kind.name} has no more")
    for name, data in (("colour profile", picture.icc), ("EXIF", picture.exif)):
        if data and not kind.tags:
            words.append(f"the {name} is lost: {kind.name} has none")
    if kind.name == "JPEG" and _too_long(picture.exif):
        words.append("the EXIF is lost: a JPEG's ends at 64 KB")
    return "; ".join([*words, "--format png keeps it"]) if words else None


def _kind(path: Path, size: tuple[int, int]) -> Format:
    kind = BY_SUFFIX.get(path.suffix.lower())
    if kind is None or not kind.writable:
        raise ImageError(f"cannot write {path.suffix or 'a file without a suffix'}; name it .png")
    if kind.longest and max(size) > kind.longest:
        name = kind.suffixes[0].removeprefix(".")
        raise ImageError(f"{size[1]} × {size[0]} pixels: {name} ends at {kind.longest:,} on a side; write png instead")
    return kind


def _not_encoded(kind: Format, error: Exception) -> ImageError:
    return ImageError(f"cannot be encoded as {kind.name} ({line(error)}); try another format")


def _fitted(picture: Picture, kind: Format) -> Picture:
    """The picture with only what the format can hold."""
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and not kind.alpha:
        white = np.uint32(np.iinfo(alpha.dtype).max)
        cover = alpha[..., None].astype(np.uint32)  # the largest sum is 65535² + 32767, just below 2³²
        pixels = ((pixels * cover + white * (white - cover) + white // 2) // white).astype(alpha.dtype)
        alpha = None
    if not kind.deep:
        pixels, alpha = _shallow(pixels), None if alpha is None else _shallow(alpha)
    return replace(picture, pixels=pixels, alpha=alpha)


def _shallow(array: Pixels) -> Pixels:
    return array if array.dtype == np.uint8 else ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _samples(picture: Picture) -> Pixels:
    """(H, W, C) as they are stored, the alpha last."""
    pixels, alpha = picture.pixels, picture.alpha
    # Neither library reads two channels of 16 bit in a TIFF.
    thin = picture.grey and (alpha is None or alpha.dtype == np.uint8)
    samples = pixels[..., :1] if thin else pixels
    return samples if alpha is None else np.dstack([samples, alpha])


def _profile(picture: Picture, thin: bool) -> bytes | None:
    """The ICC profile, but not one for another number of channels, which makes viewers reject the file."""
    icc = picture.icc
    return None if icc and icc[16:20] in ((b"CMYK",) if thin else (b"CMYK", b"GRAY")) else icc


def _too_long(exif: bytes | None) -> bool:
    return exif is not None and len(exif) > 65_533  # the length of a JPEG's marker is two bytes


def _encode(picture: Picture, kind: Format, quality: int | None) -> bytes:
    samples, exif = _samples(picture), picture.exif
    icc = _profile(picture, samples.shape[2] < 3 and kind.name != "WEBP")  # which has no grey
    options: dict[str, Any] = {"exif": exif or b"", "icc_profile": icc} if kind.tags else {}
    if kind.name == "JPEG":
        options |= {"quality": quality, "subsampling": "4:4:4"}
        if _too_long(exif):
            del options["exif"]
    elif kind.name == "WEBP":  # for lossless, quality is effort: more hardly saves a byte on photographs
        options |= {"lossless": True, "exact": True, "quality": 20} if quality == 100 else {"quality": quality}
    out = BytesIO()
    Image.fromarray(samples.squeeze(2) if samples.shape[2] == 1 else samples).save(out, kind.name, **options)
    return out.getvalue()


def _put(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file under another name and rename it when it is safe on disk, so that a kill leaves no half file."""
    part = path.with_name(f".{secrets.token_hex(8)}.part")  # short: the name may be as long as names can get
    try:
        pieces = iter(pieces)
        first = next(pieces, b"")  # a TIFF's comes when all of it is made; another run tidies old files away
        with part.open("xb") as file:
            file.write(first)
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ImageError(advice(error, "cannot be written")) from error
        raise
