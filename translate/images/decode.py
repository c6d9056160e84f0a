"""Reading image files: one still picture each, upright, of 8 or 16 bit."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pi_heif
from PIL import Image, ImageCms, ImageSequence, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from translate.errors import ImageError
from translate.formats import DEFAULT_MAX_PIXELS, FORMATS
from translate.images.picture import Picture, advice, line
from translate.metadata import Pixels, png_without, read_exif

_PLAIN = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "CMYK"}  # Pillow modes of 8 bit
_GREY = ("1", "L", "I")  # how the modes of grey begin: LA, La and I;16 among them

pi_heif.register_heif_opener(thumbnails=False)

# OpenCV prints what it finds odd about a TIFF, even if it reads it; what matters comes back as an exception or None.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read(path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read one still image, turned upright; `ImageError` says in one line why not, without the path."""
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; only the opening belongs into this try
    except OSError as error:
        raise ImageError(advice(error, "cannot be opened")) from error
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
            raise ImageError(f"is damaged or cut short ({line(error)}); copy or download it again") from error


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

    if deep and image.format == "HEIF":
        pixels, alpha = _decode_deep_heif(file)
    elif deep:
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
    # An MPO is a photograph (with a preview or a gain map behind it) that phones name .jpg; a HEIF says which is meant.
    return 1 if image.format in ("MPO", "HEIF") else int(getattr(image, "n_frames", 1))


def _rawmode(image: Image.Image) -> str:
    """The layout in the file, such as RGB;16B; known until the pixels are loaded."""
    args = image.tile[0][3] if isinstance(image, PngImageFile | TiffImageFile) and image.tile else ""
    return str(args[0] if isinstance(args, tuple) else args)


def _is_deep(image: Image.Image) -> bool:
    """Whether Pillow would drop the lower byte, so that another has to read it."""
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8)) > 8
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


def _decode_deep_heif(file: BinaryIO) -> tuple[Pixels, Pixels | None]:
    """16-bit pixels (H, W, 3) and alpha (H, W), upright, of a HEIF of 10 or 12 bit."""
    file.seek(0)
    found = pi_heif.open_heif(file, convert_hdr_to_8bit=False)
    bits = int(found.info["bit_depth"])
    samples = np.atleast_3d(np.asarray(found)) >> (16 - bits)  # they come in the upper bits
    samples = (samples.astype(np.uint32) * 65535 // (2**bits - 1)).astype(np.uint16)
    alpha = samples[..., -1] if samples.shape[2] in (2, 4) else None
    colours = 3 if samples.shape[2] > 2 else 1
    return samples[..., :colours].repeat(3 // colours, axis=2), alpha


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
