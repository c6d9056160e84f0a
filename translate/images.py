"""Image files to arrays and back: orientation, EXIF, ICC, alpha and 16 bit survive, and no half file is ever left.

Pillow reads 8 bit, as it notices when a file is cut short; OpenCV reads 16 bit, which Pillow cannot hold. Pillow writes
all but PNG and TIFF: `strips` does these, as fast, and row by row. Not kept: XMP, text, resolution outside EXIF,
embedded thumbnails, EXIF of more than 64 KB in a JPEG. 16-bit RGB of a PPM is read as 8 bit; 16-bit grey with alpha is
written as RGBA.
"""

import errno
import itertools
import os
import secrets
import struct
import threading
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageSequence, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from translate.errors import ImageError
from translate.formats import (
    BY_SUFFIX,
    DEFAULT_MAX_PIXELS,
    FORMATS,
    JPEG_QUALITY,
    WEBP_QUALITY,
    Format,
    is_image,
    suffix_for,
)
from translate.metadata import Pixels, png_without, read_exif
from translate.strips import png, tiff

__all__ = [  # the table's names among them
    "DEFAULT_MAX_PIXELS",
    "JPEG_QUALITY",
    "WEBP_QUALITY",
    "Picture",
    "by_rows",
    "is_image",
    "read",
    "suffix_for",
    "write",
    "write_strips",
]

_PLAIN = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "CMYK"}  # Pillow modes of 8 bit
_GREY = ("1", "L", "I")  # how the modes of grey begin: LA, La and I;16 among them

# OpenCV prints what it finds odd about a TIFF, even if it reads it; what matters comes back as an exception or None.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


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


def read(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read one still image, turned upright; `ImageError` says in one line why not, without the path."""
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; only the opening belongs into this try
    except OSError as error:
        raise ImageError(_advice(error, "cannot be opened")) from error
    with file, _pillow_unbounded():
        try:
            return _decode(file, max_pixels)
        except ImageError:
            raise
        except UnidentifiedImageError as error:
            if os.fstat(file.fileno()).st_size == 0:
                raise ImageError("the file is empty (0 bytes); copy or download it again") from error
            message = "holds no image of a known format, or its header is damaged; leave it out or save it anew as PNG"
            raise ImageError(message) from error
        except MemoryError as error:
            raise ImageError("does not fit into memory; make it smaller or free some memory") from error
        except Exception as error:  # Pillow and OpenCV raise whatever the damage leads to
            raise ImageError(f"is damaged or cut short ({_line(error)}); copy or download it again") from error


def _decode(file: BinaryIO, max_pixels: int) -> Picture:
    image: Image.Image = Image.open(file, formats=[kind.name for kind in FORMATS])
    width, height = image.size
    if width * height > max_pixels:
        message = f"{width} × {height} pixels are more than the {max_pixels:,} that are allowed; "
        raise ImageError(message + f"if the file can be trusted, raise it with --max-pixels {width * height}")
    if (frames := _frames(image)) > 1:
        raise ImageError(f"holds {frames} frames or pages; give them as separate images, or as a video")
    deep = _is_deep(image)
    if not deep and image.mode not in _PLAIN and not (image.format == "PPM" and image.mode == "I"):
        raise ImageError(f"its pixels ({image.mode}) are of a kind that is not read; save it as RGB of 8 or 16 bit")
    grey = image.mode.startswith(_GREY) or (deep and _rawmode(image).startswith("LA"))
    premultiplied = deep and _rawmode(image).startswith("RGBa")

    if not isinstance(image, TiffImageFile):
        image.load()  # before EXIF, which a PNG may have at its end; 16 bit, too, as libpng prints what damage it finds
    orientation, exif = read_exif(image)
    icc = image.info.get("icc_profile") or None
    if isinstance(image, TiffImageFile):
        orientation = 1  # Pillow and OpenCV both turn a TIFF themselves

    if deep:
        pixels, alpha = _decode_deep(image, file, premultiplied)
    elif image.mode == "I":  # PPM of 16-bit grey
        pixels, alpha = np.stack([np.asarray(image).astype(np.uint16)] * 3, axis=-1), None
    else:
        if image.mode == "CMYK":
            image, icc = _from_cmyk(image, icc), None
        mode = "RGBA" if image.has_transparency_data else "RGB"
        samples = np.array(image if image.mode == mode else image.convert(mode))
        pixels, alpha = samples[..., :3], samples[..., 3] if samples.shape[2] == 4 else None
    pixels = _turn(pixels, orientation)
    return Picture(pixels, None if alpha is None else _turn(alpha, orientation), exif, icc, grey)


def _frames(image: Image.Image) -> int:
    if isinstance(image, TiffImageFile):
        if image.n_frames == 1:
            return 1
        # The small copies in a pyramid and previews are marked, and are no pages.
        pages = sum(not image.tag_v2.get(254, 0) & 1 for _ in ImageSequence.Iterator(image))
        image.seek(0)
        return pages
    # An MPO is a photograph (with a preview or a gain map behind it) that phones name .jpg.
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _rawmode(image: Image.Image) -> str:
    """The layout in the file, such as RGB;16B; known until the pixels are loaded."""
    args = image.tile[0][3] if isinstance(image, PngImageFile | TiffImageFile) and image.tile else ""
    return str(args[0] if isinstance(args, tuple) else args)


def _is_deep(image: Image.Image) -> bool:
    """Whether OpenCV has to read it, as Pillow would drop the lower byte."""
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        if 16 not in tags.get(258, ()) or image.mode == "CMYK":
            return False
        if tags.get(284, 1) != 1:
            raise ImageError("is a 16-bit TIFF with separate planes, which is not read; save it as interleaved")
        return image.mode.startswith(("I;16", "RGB"))
    return ";16" in _rawmode(image)


def _decode_deep(image: Image.Image, file: BinaryIO, premultiplied: bool) -> tuple[Pixels, Pixels | None]:
    """16-bit pixels (H, W, 3) and alpha (H, W) by OpenCV, not turned; `image` is what Pillow found in the same file."""
    file.seek(0)
    data = png_without(file.read()) if isinstance(image, PngImageFile) else file.read()
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise ImageError("is damaged or cut short, or its 16-bit layout is not known; save it anew as 16-bit PNG")
    samples: Pixels = found.astype(np.uint16, copy=False)
    if samples.ndim == 2:
        if isinstance(image, TiffImageFile) and image.tag_v2.get(262) == 0:  # white is zero; OpenCV leaves that alone
            samples = ~samples
        key = image.info.get("transparency")
        opaque = None if key is None else np.where(samples == key, 0, 65535).astype(np.uint16)
        return np.stack([samples] * 3, axis=-1), opaque
    pixels = samples[..., 2::-1]  # OpenCV's BGR
    if samples.shape[2] == 3 or not image.has_transparency_data:  # a fourth sample may be something else
        return pixels, None
    alpha = samples[..., 3]
    if premultiplied:
        whole = np.maximum(alpha, 1)[..., None].astype(np.uint64)
        pixels = np.minimum((pixels.astype(np.uint64) * 65535 + whole // 2) // whole, 65535).astype(np.uint16)
    return pixels, alpha


def _from_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    """RGB of a CMYK image: sRGB through its profile, or the plain conversion without one that works."""
    if icc:
        with suppress(ImageCms.PyCMSError, OSError):
            srgb = ImageCms.createProfile("sRGB")
            if converted := ImageCms.profileToProfile(image, BytesIO(icc), srgb, outputMode="RGB"):
                return converted
    return image.convert("RGB")


def _turn(array: Pixels, orientation: int) -> Pixels:
    """(H, W) or (H, W, C) stored in an EXIF orientation (1 to 8), upright and contiguous."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


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


def _kind(path: Path, size: tuple[int, int]) -> Format:
    kind = BY_SUFFIX.get(path.suffix.lower())
    if kind is None or not kind.writable:
        raise ImageError(f"cannot write {path.suffix or 'a file without a suffix'}; name it .png")
    if kind.longest and max(size) > kind.longest:
        name = kind.suffixes[0].removeprefix(".")
        raise ImageError(f"{size[1]} × {size[0]} pixels: {name} ends at {kind.longest:,} on a side; write png instead")
    return kind


def _not_encoded(kind: Format, error: Exception) -> ImageError:
    return ImageError(f"cannot be encoded as {kind.name} ({_line(error)}); try another format")


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


def _encode(picture: Picture, kind: Format, quality: int | None) -> bytes:
    samples, exif = _samples(picture), picture.exif
    icc = _profile(picture, samples.shape[2] < 3 and kind.name != "WEBP")  # which has no grey
    options: dict[str, Any] = {"exif": exif or b"", "icc_profile": icc} if kind.tags else {}
    if kind.name == "JPEG":
        options |= {"quality": quality, "subsampling": "4:4:4"}
        if exif and len(exif) > 65_533:  # a marker's length is two bytes
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
        with part.open("xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ImageError(_advice(error, "cannot be written")) from error
        raise


def _advice(error: OSError, what: str) -> str:
    known = {
        errno.ENOENT: "no such file or folder; check the name",
        errno.EISDIR: "this is a folder, not an image; name a file in it",
        errno.EACCES: "no permission; change the mode of the file or of its folder",
        errno.ENOSPC: "the disk is full; make room and run it again",
    }
    return f"{what}: {known.get(error.errno or 0, _line(error.strerror or error))}"


def _line(error: object) -> str:
    return " ".join(str(error).split()) or type(error).__name__


_PILLOW = r"PIL\."
_lock = threading.Lock()
_readers = 0
_bound: int | None = None


@contextmanager
def _pillow_unbounded() -> Iterator[None]:
    """Lift Pillow's own bound on pixels while any thread reads, and silence its warnings: `read` checks and reports.

    The bound is a global of Pillow: the first reader takes it away and the last one puts it back. The filter stays, as
    taking it away again would make Python show every other warning anew for each image.
    """
    global _readers, _bound
    with _lock:
        if not any(str(getattr(entry[3], "pattern", "")) == _PILLOW for entry in warnings.filters):
            warnings.filterwarnings("ignore", category=UserWarning, module=_PILLOW)
        if _readers == 0:
            _bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if _readers == 0:
                Image.MAX_IMAGE_PIXELS = _bound
