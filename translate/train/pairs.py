"""Training images in pairs: of two folders, side by side in one file, or made from photographs as they are drawn."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from translate.errors import ImageError, InputError, TrainingError
from translate.train.data import Crops, Share, shrink, to_tensor
from translate.train.files import Images, Pixels, files_in, load_folders, read_rgb


class Pairs:
    """Random crops of pairs of images, cut alike: (count, 3, S, S) of the source and of the target.

    Args:
        crops: of six channels, source and target.
    """

    def __init__(self, crops: Crops) -> None:
        self.crops = crops

    def batch(self, count: int, share: Share = slice(None)) -> tuple[Tensor, Tensor]:
        """Draw `count` pairs, and give those in `share`: two (B, 3, S, S) in [-1, 1], channels_last."""
        both = np.stack(self.crops.draw(count, share))
        return to_tensor(both[..., :3]) * 2 - 1, to_tensor(both[..., 3:]) * 2 - 1


class MadePairs:
    """Random crops of photographs as targets, each with a source that is made from it.

    Args:
        crops: of the photographs.
        make: (H, W, 3) uint8 and a seed -> the same shape.
    """

    def __init__(self, crops: Crops, make: Callable[[Pixels, int], Pixels]) -> None:
        self.crops, self.make = crops, make

    def batch(self, count: int, share: Share = slice(None)) -> tuple[Tensor, Tensor]:
        """Draw `count` pairs, and give those in `share`: two (B, 3, S, S) in [-1, 1], channels_last."""
        seeds = torch.randint(2**62, (count,))[share].tolist()
        targets = self.crops.draw(count, share)
        sources = [self.make(target, seed) for target, seed in zip(targets, seeds, strict=True)]
        return to_tensor(np.stack(sources)) * 2 - 1, to_tensor(np.stack(targets)) * 2 - 1


def of_two_folders(a: Path, b: Path, size: int, load: tuple[int, int]) -> Pairs:
    """Pairs of the files that have the same name, but for the suffix, in two folders.

    Raises:
        InputError: the folders are the same, or as `files_in`.
        TrainingError: a file has no partner or two, or too few pairs can be used.
    """
    if a.resolve() == b.resolve():
        raise InputError(f"the same folder is given twice: {a}")
    sources, targets = (_by_name(folder) for folder in (a, b))
    if alone := sorted(map(str, sources.keys() ^ targets.keys())):
        raise TrainingError(
            f"{len(alone)} images have no partner of their name in {a} or {b}, {alone[0]} for one; add or remove them"
        )
    partners = {path: targets[name] for name, path in sources.items()}

    def both(path: Path) -> Pixels:
        return _together(read_rgb(path), read_rgb(partners[path]), load[1])

    return Pairs(Crops(Images(sorted(partners), both, f"{a} and {b}"), size, load))


def _by_name(folder: Path) -> dict[Path, Path]:
    """The files of a folder by their names without suffix."""
    found: dict[Path, Path] = {}
    for path in files_in(folder):
        if (other := found.setdefault(path.relative_to(folder).with_suffix(""), path)) != path:
            raise TrainingError(f"{other} and {path.name} have one name, but for the suffix; rename or remove one")
    return found


def side_by_side(folder: Path, direction: str, size: int, load: tuple[int, int]) -> Pairs:
    """Pairs whose left half is A and whose right half is B.

    Args:
        folder: of the images.
        direction: "AtoB" or "BtoA", which half is the source.
        size: see `Crops`.
        load: see `Crops`.
    """

    def both(pixels: Pixels) -> Pixels:
        half = pixels.shape[1] // 2
        if not half:
            raise ImageError("is one pixel wide, which has no halves")
        a, b = pixels[:, :half], pixels[:, -half:]
        return _together(*((a, b) if direction == "AtoB" else (b, a)), load[1])

    return Pairs(Crops(load_folders([folder], both), size, load))


def _together(source: Pixels, target: Pixels, short_side: int) -> Pixels:
    """Both of the target's size, scaled to a short side, as six channels."""
    if source.shape != target.shape:
        source = cv2.resize(source, target.shape[1::-1], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return np.concatenate([shrink(source, short_side), shrink(target, short_side)], axis=2)
