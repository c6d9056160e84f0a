"""Which pictures a folder holds, which belong together by name, and what is in them; bad ones are left out."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from translate import images
from translate.errors import EvaluationError, ImageError, InputError
from translate.evaluate.fidelity import Pixels
from translate.frames import shown
from translate.images import Picture

SHORT_SIDE = 256  # pixels, for features and edges
_NAMED = 5  # of the files that a message lists


class Reader:
    """Reads pictures, and keeps in mind which could not be used and why.

    Args:
        watch: hears of every file that is opened.
    """

    def __init__(self, watch: Callable[[Path], None] = lambda path: None) -> None:
        self.skipped: dict[Path, str] = {}
        self._watch = watch

    def read(self, path: Path) -> Picture | None:
        """A picture, or None where it cannot be read."""
        self._watch(path)
        try:
            return images.read(path)
        except ImageError as error:
            self.skipped[path] = str(error)
            return None

    def pictures(self, files: Iterable[Path]) -> Iterator[tuple[Path, Pixels]]:
        """Each file that can be read, with its RGB (H, W, 3) in [0, 255]."""
        for path in files:
            if (picture := self.read(path)) is not None:
                yield path, values(picture)


def find(folder: Path) -> dict[str, Path]:
    """The images below a folder, by their path in it without suffix, sorted; hidden ones are left out.

    Raises:
        InputError: the folder is not there or holds no images, or two of them differ by the suffix only.
    """
    if not folder.is_dir():
        raise InputError(f"{shown(folder)} is {'not a folder' if folder.exists() else 'not there'}; name a folder")
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if images.is_image(path) and path.is_file()):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        name = inside.with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{shown(found[name])} and {shown(path)} have one name; move one of them away")
        found[name] = path
    if not found:
        raise InputError(f"{shown(folder)} holds no images")
    return found


def match(first: Path, second: Path) -> dict[str, tuple[Path, Path]]:
    """The images of two folders that belong together: those of one name, whatever the suffix.

    Raises:
        InputError: an image of either folder has no counterpart; or as `find`.
    """
    a, b = find(first), find(second)
    for these, folder, others, other in ((a, first, b, second), (b, second, a, first)):
        if alone := [name for name in these if name not in others]:
            names = ", ".join(shown(these[name].name) for name in alone[:_NAMED])
            more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
            raise InputError(
                f"{len(alone)} of {len(these)} images of {shown(folder)} have no counterpart of that name in "
                f"{shown(other)}: {names}{more}"
            )
    return {name: (a[name], b[name]) for name in a}


def require(count: int, least: int, folder: Path) -> None:
    """Raise an EvaluationError where a folder has too few usable pictures."""
    if count < least:
        raise EvaluationError(f"{shown(folder)} has {count} usable images; at least {least} are needed")


def values(picture: Picture) -> Pixels:
    """RGB (H, W, 3) in [0, 255]: bytes as they are, 16 bit as float32."""
    return picture.pixels if picture.pixels.dtype == np.uint8 else picture.pixels.astype(np.float32) / 257


def small(pixels: Pixels) -> Pixels:
    """A picture (H, W, 3) scaled to a short side of 256 pixels, uint8: areas averaged when it gets smaller."""
    height, width = pixels.shape[:2]
    factor = SHORT_SIDE / min(height, width)
    if factor != 1:
        size = max(SHORT_SIDE, round(width * factor)), max(SHORT_SIDE, round(height * factor))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)
