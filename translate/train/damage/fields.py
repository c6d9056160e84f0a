"""Random planes that the damage is shaped by: clouds, rough surfaces, and distances from lines."""

import math
from statistics import NormalDist

import cv2
import numpy as np
import numpy.typing as npt

Random = np.random.Generator
Rgb = npt.NDArray[np.floating]  # (H, W, 3) in [0, 1]; single precision, which numpy's annotations lose
Plane = npt.NDArray[np.floating]  # (H, W)

UNIT = 128  # side of the area, in pixels, that numbers of marks are given for


def log_uniform(rng: Random, low: float, high: float) -> float:
    """A number from `low` up to `high`, each octave as likely as the next; `low` where it is above `high`."""
    return float(low * max(1, high / low) ** rng.random())


_NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)], np.float32)


def white(rng: Random, shape: tuple[int, ...]) -> npt.NDArray[np.floating]:
    """Gaussian noise of deviation 1 in 256 levels, five times as fast as numpy's own."""
    noise: npt.NDArray[np.floating] = _NORMAL[rng.integers(0, 256, shape, np.uint8)]
    return noise


def clouds(rng: Random, shape: tuple[int, int], cell: float) -> Plane:
    """Smooth noise (H, W) about 0, roughly within ±2, that changes over `cell` pixels."""
    h, w = shape
    coarse = white(rng, (int(h / cell) + 4, int(w / cell) + 4))
    finer = min(4, max(1, int(cell / 2)))  # cubic up to here, the rest of the way linear, which is quick
    fine = cv2.resize(coarse, None, fx=finer, fy=finer, interpolation=cv2.INTER_CUBIC)
    left, top = rng.uniform(finer, 2 * finer, 2)
    matrix = np.array([[finer / cell, 0, left], [0, finer / cell, top]])
    return cv2.warpAffine(fine, matrix, (w, h), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)  # type: ignore[return-value]


def rough(rng: Random, shape: tuple[int, int], cell: float) -> Plane:
    """Noise (H, W) about 0 with detail down to 2 pixels: clouds of cells `cell`, a third of it and so on."""
    total, weight = np.zeros(shape, np.float32), 1.0
    while cell >= 2:
        total += weight * clouds(rng, shape, cell)
        cell, weight = cell / 3, weight / 2.2
    return total


def distance(shape: tuple[int, int], point: tuple[float, float], angle: float) -> Plane:
    """Signed distance (H, W), in pixels, from the line through `point` (x, y) that runs at `angle` radians."""
    y, x = (np.arange(n, dtype=np.float32) - p for n, p in zip(shape, point[::-1], strict=True))
    return (y * math.cos(angle))[:, None] - x * math.sin(angle)


def radius(shape: tuple[int, int], point: tuple[float, float], stretch: float) -> Plane:
    """Distance (H, W), in pixels, from `point` (x, y), counted `stretch` times along x."""
    y, x = (np.arange(n, dtype=np.float32) - p for n, p in zip(shape, point[::-1], strict=True))
    plane: Plane = np.hypot(y[:, None], x * stretch)
    return plane


def somewhere(rng: Random, shape: tuple[int, int]) -> tuple[float, float]:
    """A point (x, y) of the picture."""
    return float(rng.uniform(0, shape[1])), float(rng.uniform(0, shape[0]))


def bell(x: Plane) -> Plane:
    """exp(-x²)."""
    plane: Plane = np.exp(-x * x)
    return plane


def count(rng: Random, shape: tuple[int, int], rate: float) -> int:
    """How many marks a picture gets, at least one, where one of 128 × 128 pixels gets `rate` on average."""
    return max(1, int(rng.poisson(rate * shape[0] * shape[1] / UNIT**2)))


def power(x: npt.NDArray[np.floating], exponent: npt.ArrayLike) -> Rgb:
    """`x` (H, W, 1 or 3) to a power, one for all channels or one each."""
    result: Rgb = np.power(x, np.asarray(exponent, np.float32))
    return result


def blend(x: Rgb, colour: npt.ArrayLike, alpha: npt.NDArray[np.floating]) -> Rgb:
    """Cover `x` with a colour where `alpha` is 1; both may be given for each pixel, each channel, or both."""
    result: Rgb = x + (np.asarray(colour, np.float32) - x) * (alpha if alpha.ndim == 3 else alpha[..., None])
    return result
