"""What decades do to a print, drawn at random: sources for a network that restores photographs.

The order is that of the print's life: `film` (lens, grain), `tone` (dyes fade, silver turns brown), `marks` (folds,
scratches, dust, tears), then the paper's yellowing and stains over all of it, and `film` once more (the scanner, JPEG).
Training on synthetic damage follows Wan et al. 2020, arXiv:2004.09484. `lowres`, for enlarging, is a thing of its own.
"""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

from translate.train.damage import film, marks, tone
from translate.train.damage.fields import Plane, Random, Rgb

UNTOUCHED, LIGHT = 0.05, 0.3  # shares of pictures: as they were, and with light damage only

Change = Callable[[Rgb, Random, float], Rgb]
Mark = Callable[[Rgb, Random, float], tuple[Rgb, Plane]]

EXPOSED: tuple[tuple[Change, float], ...] = ((film.defocus, 0.4), (tone.silver, 0.65), (film.grain, 0.6))
FADED: tuple[tuple[Change, float], ...] = ((tone.fade, 0.8), (tone.dyes, 0.5), (tone.blotches, 0.4))
MARKED: tuple[tuple[Mark, float], ...] = (
    (marks.folds, 0.25),
    (marks.scratches, 0.45),
    (marks.dust, 0.5),
    (marks.tears, 0.15),
)
AGED: tuple[tuple[Change, float], ...] = (
    (film.weave, 0.1),
    (tone.yellowing, 0.6),
    (tone.stains, 0.15),
    (film.soften, 0.5),
    (film.noise, 0.3),
    (film.jpeg, 0.5),
)


def damage(x: Tensor, seeds: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Age photographs, each in its own way.

    Fading, stains, grain and the like change the picture everywhere or keep its content, and are not in the mask.
    Widths of marks are pixels of the picture as it is given, their number grows with its area.

    Args:
        x: (B, 3, H, W), RGB in [0, 1].
        seeds: one a picture (B,), by default from torch's global generator; nothing else is random.

    Returns:
        The aged pictures, the same with nothing but the tones changed, both like `x`, and a mask of where marks have
        destroyed them, (B, 1, H, W) in [0, 1].
    """
    if seeds is None:
        seeds = torch.randint(2**62, (len(x),))
    pictures = x.detach().permute(0, 2, 3, 1).float().cpu().numpy()
    aged = [_age(picture, np.random.default_rng(seed)) for picture, seed in zip(pictures, seeds.tolist(), strict=True)]
    damaged, toned, mask = (torch.from_numpy(np.stack(part)).to(x) for part in zip(*aged, strict=True))
    return damaged.permute(0, 3, 1, 2), toned.permute(0, 3, 1, 2), mask[:, None]


def _age(x: Rgb, rng: Random) -> tuple[Rgb, Rgb, Plane]:
    toned, mask = x, np.zeros(x.shape[:2], np.float32)
    draw = rng.random()
    if draw < UNTOUCHED:
        return x, toned, mask
    strength = rng.uniform(0.1, 0.35) if draw < UNTOUCHED + LIGHT else rng.uniform(0.35, 1)
    x, toned = _changed(x, toned, EXPOSED + FADED, rng, strength)
    for mark, probability in MARKED:
        if rng.random() < probability:
            x, destroyed = mark(x, rng, strength)
            mask = np.maximum(mask, destroyed)
    x, toned = _changed(x, toned, AGED, rng, strength)
    return x, toned, mask


def _changed(
    x: Rgb, toned: Rgb, changes: tuple[tuple[Change, float], ...], rng: Random, strength: float
) -> tuple[Rgb, Rgb]:
    """All changes made to x, and those of tones to `toned`, with the same random numbers."""
    for change, probability in changes:
        if rng.random() < probability:
            if change.__module__ == tone.__name__:
                toned = np.clip(change(toned, deepcopy(rng), strength), 0, 1)
            x = np.clip(change(x, rng, strength), 0, 1)
    return x, toned
