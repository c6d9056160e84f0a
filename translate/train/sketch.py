"""Line drawings made from photographs, drawn with a different pen each time: sources for sketch to photo.

A network that has seen one edge filter learns that filter; several, with random thresholds, widths and gaps, leave it
with what drawings have in common.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from translate.errors import TrainingError
from translate.train.damage.fields import Random, clouds, white

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[Any]  # (H, W), single precision
Pick = Callable[[float, float], float]  # a number between two bounds


def canny(grey: Plane, pick: Pick) -> Plane:
    """Canny 1986: thin closed lines, all of the same darkness."""
    high = pick(70, 220)
    smooth = (_blur(grey, pick(0.8, 2.2)) * 255).astype(np.uint8)
    return _soft((cv2.Canny(smooth, high * pick(0.3, 0.5), high, L2gradient=True) > 0).astype(np.float32))


def difference_of_gaussians(grey: Plane, pick: Pick) -> Plane:
    """XDoG (Winnemöller et al. 2012, eq. 5 and 7): dark sides of edges, thick where the contrast is high."""
    sigma = pick(0.6, 1.8)
    difference = _blur(grey, sigma) - pick(0.97, 1) * _blur(grey, 1.6 * sigma)
    ink: Plane = np.tanh(pick(25, 90) * np.maximum(pick(-0.01, 0.004) - difference, 0))
    return ink


def sobel(grey: Plane, pick: Pick) -> Plane:
    """Gradient magnitude above a soft threshold: broad lines, darker where the contrast is high."""
    smooth = _blur(grey, pick(0.6, 1.6))
    size = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    low = pick(0.8, 2) * size.mean()
    ink: Plane = np.clip((size - low) / (pick(1, 4) * size.mean() + 1e-3), 0, 1)
    return ink


def laplacian(grey: Plane, pick: Pick) -> Plane:
    """Laplacian of Gaussian, its positive side: fine hatching along edges and textures."""
    curved = cv2.Laplacian(_blur(grey, pick(1, 2.2)), cv2.CV_32F)
    spread = float(curved.std()) + 1e-3
    ink: Plane = np.clip((curved - pick(0.5, 1.5) * spread) / (pick(1, 3) * spread), 0, 1)
    return ink


def pencil(grey: Plane, pick: Pick) -> Plane:
    """Colour dodge of a picture with its blurred negative: soft grey shading beside the lines."""
    lifted = grey + 0.12  # or else the noise of black backgrounds is drawn
    dodged = np.minimum(lifted / _blur(lifted, pick(2, 7)), 1)
    return np.clip(pick(1.5, 4) * (1 - dodged) - pick(0.05, 0.25), 0, 1)


DETECTORS: dict[str, Callable[[Plane, Pick], Plane]] = {
    "canny": canny,
    "xdog": difference_of_gaussians,
    "sobel": sobel,
    "laplacian": laplacian,
    "pencil": pencil,
}


def sketch(pixels: Pixels, kind: str | None = None, seed: int | None = None) -> Pixels:
    """Draw a photograph (H, W, 3), RGB bytes, as dark lines on light paper: grey, in the same layout.

    Args:
        pixels: the photograph.
        kind: one of `DETECTORS`, at middle settings on white paper, always the same; by default everything is random.
        seed: of all that is random; drawn from torch's global generator by default.

    Raises:
        TrainingError: there is no such kind.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    if kind is None:
        rng = np.random.default_rng(int(torch.randint(2**62, ())) if seed is None else seed)
        detector = list(DETECTORS.values())[rng.integers(len(DETECTORS))]
        drawn = _by_hand(detector(grey, rng.uniform), rng)
    elif kind in DETECTORS:
        drawn = 1 - DETECTORS[kind](grey, lambda low, high: (low + high) / 2)
    else:
        raise TrainingError(f"there is no sketch of the kind {kind!r}; there are {', '.join(DETECTORS)}")
    levels = (np.clip(drawn, 0, 1) * 255).round().astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _by_hand(ink: Plane, rng: Random) -> Plane:
    """Ink (H, W), 1 where it is full -> the sheet's brightness, with the hand's and the paper's irregularities."""
    shape = (ink.shape[0], ink.shape[1])
    if rng.random() < 0.5:  # a trembling hand
        y, x = (np.arange(n, dtype=np.float32) for n in shape)
        cell, reach = rng.uniform(6, 30), rng.uniform(0.3, 1.5)
        down, right = (reach * clouds(rng, shape, cell) for _ in range(2))
        ink = cv2.remap(ink, right + x, down + y[:, None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.4:  # a broader pen
        across = int(rng.integers(2, 4))
        ink = _soft(cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))))
    if rng.random() < 0.5:  # lines that break off, and parts drawn lightly
        pressure = rng.uniform(0.6, 1.1) + rng.uniform(0.1, 0.6) * clouds(rng, shape, rng.uniform(5, 40))
        ink = ink * np.clip(pressure, 0, 1)
    if rng.random() < 0.3:  # the tooth of the paper under a pencil
        ink = ink * np.clip(rng.uniform(0.7, 1) + 0.35 * white(rng, shape), 0, 1)
    paper = 1.0 if rng.random() < 0.4 else rng.uniform(0.82, 1)
    darkest = paper * rng.uniform(0, 0.45)
    sheet = paper - (paper - darkest) * ink
    if rng.random() < 0.4:
        sheet = sheet + rng.uniform(0.005, 0.03) * white(rng, shape)
    return sheet


def _blur(x: Plane, sigma: float) -> Plane:
    return cv2.GaussianBlur(x, (0, 0), sigma)


def _soft(ink: Plane) -> Plane:
    return cv2.GaussianBlur(ink, (3, 3), 0.5)
