"""Training images from files: decoded once and kept as bytes, as far as memory goes."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from translate import images
from translate.device import available_bytes
from translate.errors import ImageError, InputError, TrainingError

Pixels = npt.NDArray[np.uint8]
Sample = TypeVar("Sample", bound=Pixels | tuple[Pixels, ...])  # what is kept of one file
log = logging.getLogger(__name__)

MIN_IMAGES = 2
PART = 0.5  # of the memory that is free, for the images of one set
UNKNOWN = 4 << 30  # bytes to keep where the system does not say what is free


class Images(Generic[Sample]):
    """What is kept of some image files, in their order.

    Every file is read once at first. What does not fit into memory is read again each time that it is asked for, with
    the same result. A broken image, or one that is too small, is named in the log and skipped.

    Args:
        paths: of the images.
        read: one image as it is to be kept; an ImageError where it is broken or too small.
        where: they come from, for messages.

    Attributes:
        shapes: of the samples; of the first array, where one has several.
        skipped: the files that could not be used, with the reason.

    Raises:
        TrainingError: too few images are left, or later: one has changed or cannot be read any more.
    """

    def __init__(self, paths: list[Path], read: Callable[[Path], Sample], where: str) -> None:
        self.read, self.paths, self.shapes = read, list[Path](), list[tuple[int, ...]]()
        self.skipped: dict[Path, str] = {}
        self._kept: list[Sample] = []
        room, kept, every = memory(), 0, 0  # bytes
        for path in paths:
            try:
                sample = read(path)
            except ImageError as error:
                log.warning("skipped %s: %s", path, error)
                self.skipped[path] = str(error)
                continue
            self.paths.append(path)
            self.shapes.append(_arrays(sample)[0].shape)
            size = sum(array.nbytes for array in _arrays(sample))
            every += size
            if every <= room:
                self._kept.append(sample)
                kept = every
        if len(self) < MIN_IMAGES:
            raise TrainingError(f"{where}: {len(self)} usable images; at least {MIN_IMAGES} are needed")
        log.info("%d images in %s, %s", len(self), where, _how(len(self._kept), kept, every))

    @property
    def all_kept(self) -> bool:
        """Whether no file is read again."""
        return len(self._kept) == len(self)

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Sample:
        if index < len(self._kept):
            return self._kept[index]
        path = self.paths[index]
        try:
            sample = self.read(path)
        except ImageError as error:
            raise TrainingError(f"{path} was whole when the run began, and now: {error}") from error
        if _arrays(sample)[0].shape != self.shapes[index]:
            raise TrainingError(f"{path} has changed since the run began; put it back and go on with --resume")
        return sample


def load_folders(folders: list[Path], prepare: Callable[[Pixels], Sample]) -> Images[Sample]:
    """Every image below the folders, as `prepare` makes it; an ImageError where it is too small.

    Raises:
        InputError: a folder is missing, holds no images, or is given twice.
        TrainingError: too few images are left.
    """
    where = ", ".join(map(str, folders))
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError(f"the same folder is given twice: {where}")
    paths = [path for folder in folders for path in files_in(folder)]
    return Images(paths, lambda path: prepare(read_rgb(path)), where)


def hidden(path: Path, folder: Path) -> bool:
    """Whether the path, or a folder on the way to it from `folder`, has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def files_in(folder: Path) -> list[Path]:
    """The image files below a folder, sorted; names that begin with a dot are left out.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    found = sorted(path for path in folder.rglob("*") if images.is_image(path) and not hidden(path, folder))
    if not found:
        raise InputError(f"{folder} holds no images")
    return found


def read_rgb(path: Path) -> Pixels:
    """One image as (H, W, 3) uint8; an ImageError where it is broken."""
    pixels = images.read(path).pixels
    return pixels if pixels.dtype == np.uint8 else (pixels / 257).round().astype(np.uint8)


def memory() -> int:
    """Bytes that the images of one set may take: a part of what is free, for each process that torchrun has started."""
    free = available_bytes()
    return UNKNOWN if free is None else int(PART * free / int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def _arrays(sample: Pixels | tuple[Pixels, ...]) -> tuple[Pixels, ...]:
    return sample if isinstance(sample, tuple) else (sample,)


def _how(images: int, kept: int, every: int) -> str:
    if kept == every:
        return f"{kept / 1e6:.1f} MB kept in memory"
    return f"{images} of them ({kept / 1e6:.1f} of {every / 1e6:.1f} MB) kept in memory, the others read when drawn"
