"""The one table of formats: which suffixes are read and written, and what each kind of image file can hold."""

from dataclasses import dataclass
from pathlib import Path

from translate.errors import InputError

DEFAULT_MAX_PIXELS = 200_000_000  # of one picture
JPEG_QUALITY = 95
WEBP_QUALITY = 90  # 100 is lossless


@dataclass(frozen=True)
class Format:
    """One kind of image file and what it can hold; a reading-only kind is not `writable`."""

    name: str  # Pillow's
    suffixes: tuple[str, ...]  # the first one is the usual one
    writable: bool = True
    instead: str = ".png"  # what is written of one that is not
    deep: bool = False  # 16 bit
    alpha: bool = False
    tags: bool = False  # EXIF and ICC
    quality: int | None = None  # the default, where there is such a setting
    longest: int | None = None  # pixels on a side
    rows: bool = False  # can be written row by row


FORMATS = (
    # The format ends at 65,535, but libjpeg, which everybody reads and writes it with, at 65,500.
    Format("JPEG", (".jpg", ".jpeg", ".jpe"), tags=True, quality=JPEG_QUALITY, longest=65_500),
    Format("PNG", (".png",), deep=True, alpha=True, tags=True, rows=True),
    Format("WEBP", (".webp",), alpha=True, tags=True, quality=WEBP_QUALITY, longest=16_383),
    Format("TIFF", (".tif", ".tiff"), deep=True, alpha=True, tags=True, rows=True),
    Format("BMP", (".bmp",)),
    Format("PPM", (".ppm",)),
    Format("PPM", (".pgm", ".pnm"), writable=False),
    Format("GIF", (".gif",), writable=False),
    # What phones and browsers keep: as lossy as a JPEG.
    Format("AVIF", (".avif",), writable=False, instead=".jpg"),  # before HEIF, which takes those of brand mif1, too
    Format("HEIF", (".heic", ".heif", ".hif"), writable=False, instead=".jpg"),
)
BY_SUFFIX = {suffix: kind for kind in FORMATS for suffix in kind.suffixes}

_MATROSKA = ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".flv"
# Those that are read: what they are written as.
VIDEOS = dict.fromkeys((".mp4", ".m4v", ".mov", ".3gp"), ".mp4") | dict.fromkeys(_MATROSKA, ".mkv")

# Pictures and videos that are not read, which a folder's owner would miss without a word.
_PHOTOS = {".jxl", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"}
UNREAD = _PHOTOS | {".svg", ".psd", ".ts", ".vob", ".rm"}


def is_video(path: str | Path) -> bool:
    """Whether the suffix is one of a video, in either case."""
    return Path(path).suffix.lower() in VIDEOS


def nameable(text: object) -> bool:
    """Whether a text can be a part of a file's name, and no way to another folder."""
    return isinstance(text, str) and text not in ("", ".", "..") and not set(text) & {"/", "\\", "\0"}


def is_image(path: str | Path) -> bool:
    """Whether the suffix is one of an image that can be read, in either case."""
    return Path(path).suffix.lower() in BY_SUFFIX


def suffix_for(source: Path, format: str | None = None, video: str | None = None) -> str:
    """The suffix of a source's output.

    Of an image: the format's, else the source's own, or another where that cannot be written; of a video: `video`, or
    .mp4 or .mkv by what the source is most like.
    """
    if is_video(source):
        return video or VIDEOS[source.suffix.lower()]
    if format is None:
        kind = BY_SUFFIX.get(source.suffix.lower())
        return source.suffix if kind and kind.writable else kind.instead if kind else ".png"
    suffix = f".{format.lower().removeprefix('.')}"
    if (kind := BY_SUFFIX.get(suffix)) is None or not kind.writable:
        known = ", ".join(kind.suffixes[0].removeprefix(".") for kind in FORMATS if kind.writable)
        raise InputError(f"unknown image format {format!r}; there are {known}")
    return suffix
