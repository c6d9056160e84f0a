"""How large sharp photographs become small poor ones: sources for a network that enlarges more than clean reductions.

In the manner of Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833, section 3): blur, resizing, noise and JPEG, twice, and
at last the size asked for; here in random order. How bad it gets differs with the picture, down to hardly at all.
"""

import cv2
import numpy as np

from translate.train.damage.fields import Plane, Random, Rgb, log_uniform, white
from translate.train.damage.film import jpeg

Size = tuple[int, int]  # height, width
FILTERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
DONE = 0.8  # of the steps; the others are left out
MILDER = 0.6  # is the second round, as the picture is small by then


def degrade(x: Rgb, scale: int, rng: Random) -> Rgb:
    """A photograph (H, W, 3) in [0, 1], made small and poor: (H // scale, W // scale, 3) in [0, 1]."""
    size = x.shape[0] // scale, x.shape[1] // scale
    strength = rng.uniform(0.05, 1)
    x = _round(x, rng, strength, size, (1, 1.2 * scale))
    x = _round(x, rng, MILDER * strength, size, (0.7, 1.5))
    x = np.clip(resize(x, rng, size), 0, 1)
    return jpeg(x, rng, MILDER * strength) if rng.random() < 0.5 else x  # as files of their size mostly are


def _round(x: Rgb, rng: Random, strength: float, size: Size, factors: tuple[float, float]) -> Rgb:
    """Each step once or not at all; resizing to something between the two factors of the last size."""
    for step in rng.permutation(4):
        if rng.random() > DONE:
            continue
        if step == 0:
            factor = log_uniform(rng, *factors)
            x = resize(x, rng, (max(1, round(size[0] * factor)), max(1, round(size[1] * factor))))
        else:
            x = (blur, noise, jpeg)[step - 1](x, rng, strength)
        x = np.clip(x, 0, 1)
    return x


def resize(x: Rgb, rng: Random, size: Size) -> Rgb:
    """With any of the usual filters, as programs and phones do: some average, some skip pixels."""
    return cv2.resize(x, size[::-1], interpolation=int(rng.choice(FILTERS)))  # type: ignore[return-value]


def blur(x: Rgb, rng: Random, strength: float) -> Rgb:
    """A Gaussian, as wide in all directions or a streak at any angle: out of focus, or moved."""
    sigma = log_uniform(rng, 0.2, 0.3 + 1.5 * strength)
    sigmas = (sigma, sigma if rng.random() < 0.6 else sigma * rng.uniform(0.15, 1))
    kernel = gaussian(sigmas, rng.uniform(0, np.pi))
    return cv2.filter2D(x, -1, kernel, borderType=cv2.BORDER_REFLECT_101)  # type: ignore[return-value]


def gaussian(sigmas: tuple[float, float], angle: float) -> Plane:
    """A kernel (K, K), sum 1, with these deviations along the direction `angle` and across it."""
    reach = int(np.ceil(3 * max(sigmas)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    bell = np.exp(-0.5 * ((along / sigmas[0]) ** 2 + (across / sigmas[1]) ** 2))
    kernel: Plane = bell / bell.sum()
    return kernel


def noise(x: Rgb, rng: Random, strength: float) -> Rgb:
    """The sensor's: the same at every tone (Gaussian) or more in bright ones (Poisson), coloured or grey."""
    deviation = rng.uniform(0.003, 0.01 + 0.07 * strength)
    shape = x.shape if rng.random() < 0.6 else (*x.shape[:2], 1)
    if rng.random() < 0.5:
        return x + deviation * white(rng, shape)
    photons = np.broadcast_to(x if shape[2] == 3 else x.mean(axis=2, keepdims=True), shape) / deviation**2
    return x + (rng.poisson(photons).astype(np.float32) - photons) * deviation**2
