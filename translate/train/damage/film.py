"""Lens, film, paper and scanner: (H, W, 3) in [0, 1] -> the same, with a strength from 0 to 1."""

import cv2
import numpy as np

from translate.train.damage.fields import Plane, Random, Rgb, log_uniform, white


def defocus(x: Rgb, rng: Random, strength: float) -> Rgb:
    """An old lens: Gaussian blur, a little stronger along one axis."""
    sigma = rng.uniform(0.3, 0.4 + 1.6 * strength)
    return _blur(x, sigma, sigma * rng.uniform(0.7, 1.3))


def grain(x: Rgb, rng: Random, strength: float) -> Rgb:
    """Clumps of silver or dye: strongest in the mid-tones, correlated over a pixel or two, hardly coloured."""
    size = rng.uniform(0.3, 1.1)
    clumps = _blur(white(rng, x.shape[:2]), size, size)
    clumps = (clumps / (clumps.std() + 1e-3))[..., None]
    if rng.random() < 0.3:
        coloured = _blur(white(rng, x.shape), size, size)
        clumps = 0.85 * clumps + 0.5 * coloured / (coloured.std() + 1e-3)
    luminance = x.mean(axis=2, keepdims=True)
    visible = 0.3 + 2.8 * luminance * (1 - luminance)
    grainy: Rgb = x + rng.uniform(0.015, 0.11) * strength * clumps * visible
    return grainy


def weave(x: Rgb, rng: Random, strength: float) -> Rgb:
    """The pattern of linen or silk paper: two crossed waves of 2 to 5 pixels."""
    period = rng.uniform(2.2, 5)
    y, w = (2 * np.pi * np.arange(n, dtype=np.float32) / period + rng.uniform(0, 6) for n in x.shape[:2])
    pattern: Plane = np.sin(y)[:, None] * np.sin(w)[None] + 0.5 * white(rng, x.shape[:2])
    return x * (1 + rng.uniform(0.02, 0.08) * strength * pattern[..., None])


def soften(x: Rgb, rng: Random, strength: float) -> Rgb:
    """A small copy enlarged again, as scans and shared files are."""
    h, w = x.shape[:2]
    factor = 1 / log_uniform(rng, 1.05, 1.2 + 1.3 * strength)
    small = cv2.resize(x, (max(1, round(w * factor)), max(1, round(h * factor))), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC)  # type: ignore[return-value]


def noise(x: Rgb, rng: Random, strength: float) -> Rgb:
    """The scanner's own: white, the same at every tone."""
    return x + rng.uniform(0.005, 0.04) * strength * white(rng, x.shape)


def jpeg(x: Rgb, rng: Random, strength: float) -> Rgb:
    """JPEG of a quality from 95 down to 30; the strongest damage gets the lowest."""
    quality = round(rng.uniform(95 - 65 * strength, 95))
    pixels = (np.clip(x, 0, 1) * 255).round().astype(np.uint8)
    _, coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    return np.float32(1 / 255) * decoded


def _blur(x: Rgb, sigma_x: float, sigma_y: float) -> Rgb:
    return cv2.GaussianBlur(x, (0, 0), sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT_101)  # type: ignore[return-value]
