"""Pictures with or without labels: a folder, a folder a class, or an .npz of arrays."""

import logging
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from translate.errors import InputError, TrainingError
from translate.formats import nameable
from translate.images import is_image
from translate.train.data import Share, shrink
from translate.train.files import Pixels, hidden, load_folders

log = logging.getLogger(__name__)

# What an .npz holds, the first name that is there: its images and their labels, and those to test with.
IMAGES, LABELS = ("x_train", "images", "x"), ("y_train", "labels", "y")
TEST_IMAGES, TEST_LABELS = ("x_test",), ("y_test",)


class Pictures:
    """Square pictures of one size, all in memory as bytes, and what they are of.

    A picture is scaled until its short side is `size` and cut to the middle square. They are grey if all of them are,
    and RGB otherwise. Random numbers come from torch's global generator, so that a resumed run draws what the whole one
    would have.

    Args:
        source: an .npz, or a folder of images, searched recursively; its folders, if it has any, are the classes.
        size: side in pixels; None for that of the pictures, if they have one and the same.
        mirror: half of the drawn pictures are mirrored.
        test: read those pictures of an .npz that are set apart for tests.

    Attributes:
        pixels: (N, C, size, size) bytes.
        labels: (N,), indices into `classes`; all 0 where there are none.
        classes: names, in sorted order; empty where there are no labels.
        skipped: the files that could not be used, with the reason.

    Raises:
        InputError: there is nothing to read.
        TrainingError: it does not fit together.
    """

    def __init__(self, source: Path, size: int | None = None, *, mirror: bool = False, test: bool = False) -> None:
        self.skipped: dict[Path, str] = {}
        if source.suffix.lower() == ".npz":
            pictures, labels, self.classes = _from_npz(
                source, TEST_IMAGES if test else IMAGES, TEST_LABELS if test else LABELS
            )
        else:
            pictures, labels, self.classes = _from_folder(source, size, self.skipped)
        sides = {picture.shape[:2] for picture in pictures}
        if size is None:
            h, w = sides.pop()
            if sides or h != w:
                found = f"{w}×{h} and others" if sides else f"{w}×{h}"
                raise TrainingError(f"{source}: the pictures are not squares of one size ({found}); choose a --size")
            size = h
        pixels = np.stack([_square(picture, size) for picture in pictures])
        if (pixels == pixels[..., :1]).all():
            pixels = pixels[..., :1]
        self.pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.from_numpy(labels)
        self.size, self.channels, self.mirror = size, self.pixels.shape[1], mirror
        of = f" of {len(self.classes)} classes" if self.classes else ""
        log.info("%d pictures%s, %d×%d, %s", len(pixels), of, size, size, "grey" if self.channels == 1 else "RGB")

    def batch(self, count: int, share: Share = slice(None)) -> tuple[Tensor, Tensor]:
        """Draw pictures (count, C, size, size) in [-1, 1] and their labels (count,), and return a share of them."""
        chosen = torch.randint(len(self.pixels), (count,))[share]
        mirrored = torch.rand(count, 1, 1, 1)[share] < (0.5 if self.mirror else 0.0)
        x = self.pixels[chosen].float().div_(127.5).sub_(1)
        return torch.where(mirrored, x.flip(3), x), self.labels[chosen]


def _square(picture: Pixels, size: int) -> Pixels:
    """(H, W, 3) -> (size, size, 3): scaled to that short side, and the middle of it."""
    if picture.shape[:2] == (size, size):
        return picture
    picture = shrink(picture, size)
    top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
    return picture[top : top + size, left : left + size]


def _from_folder(
    folder: Path, size: int | None, skipped: dict[Path, str]
) -> tuple[list[Pixels], npt.NDArray[np.int64], tuple[str, ...]]:
    if not folder.is_dir():
        raise InputError(f"{folder} is neither a folder nor an .npz file")

    def prepare(pixels: Pixels) -> Pixels:
        return pixels if size is None else _square(pixels, size)

    there = [path for path in folder.rglob("*") if is_image(path) and not hidden(path, folder)]
    classes = sorted({folder / path.relative_to(folder).parts[0] for path in there if path.parent != folder})
    loose = [path.name for path in there if path.parent == folder]
    if not classes:
        pictures = _all_of(folder, prepare, skipped)
        return pictures, np.zeros(len(pictures), np.int64), ()
    if loose:
        raise TrainingError(f"{folder} holds folders, one a class, and {loose[0]} beside them; move it into one")
    found = [_all_of(path, prepare, skipped) for path in classes]
    labels = np.repeat(np.arange(len(classes)), [len(pictures) for pictures in found])
    return [picture for pictures in found for picture in pictures], labels, tuple(path.name for path in classes)


def _all_of(folder: Path, prepare: Callable[[Pixels], Pixels], skipped: dict[Path, str]) -> list[Pixels]:
    pictures = load_folders([folder], prepare)
    skipped |= pictures.skipped
    if not pictures.all_kept:
        raise TrainingError(f"{folder}: {len(pictures)} pictures do not fit into memory; choose a smaller --size")
    return list(pictures)


def holds_test(source: Path) -> bool:
    """Whether it is an .npz with pictures set apart for tests; `TrainingError` if it is damaged."""
    return source.suffix.lower() == ".npz" and _array(source, TEST_IMAGES) is not None


def _from_npz(
    path: Path, images: tuple[str, ...], labels: tuple[str, ...]
) -> tuple[list[Pixels], npt.NDArray[np.int64], tuple[str, ...]]:
    x, y = _array(path, images), _array(path, labels)
    if x is None:
        raise TrainingError(f"{path} holds no {images[0]}, which is where its images are looked for")
    shape, x = x.shape, x[..., None] if x.ndim == 3 else x
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[3] not in (1, 3) or len(x) < 2:
        raise TrainingError(
            f"{path}: its images are {x.dtype} of {shape}; two or more are needed, uint8 of (N, H, W) or (N, H, W, 3)"
        )
    pictures = list(np.broadcast_to(x, (*x.shape[:3], 3)))
    if y is None:
        return pictures, np.zeros(len(x), np.int64), ()
    if y.shape != (len(x),) or y.dtype.kind not in "iuU":
        raise TrainingError(
            f"{path}: there are {len(x)} images, but labels of {y.shape} {y.dtype}; one number or word each is needed"
        )
    names, indices = np.unique(y, return_inverse=True)
    classes = tuple(str(name) for name in names)
    if wrong := [name for name in classes if not nameable(name)]:
        raise TrainingError(f"{path}: no file can be named after the class {wrong[0]!r}; call it something else")
    return pictures, indices.astype(np.int64), classes


def _array(path: Path, names: tuple[str, ...]) -> npt.NDArray[np.generic] | None:
    """The first of these arrays that an .npz has; nothing in it is executed."""
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found = next((name for name in names if name in archive), None)
            return archive[found] if found else None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        what = "holds Python objects, which could run code" if "Object arrays" in str(error) else "is damaged"
        raise TrainingError(f"{path} {what}; save it again as plain arrays") from None
