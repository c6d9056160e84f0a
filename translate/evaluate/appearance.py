"""What a picture looks like, without an original: colour, sharpness; and whether it has kept another one's edges.

Plain functions on RGB (H, W, 3) or grey (H, W), uint8 or floats in [0, 255].
"""

import cv2
import numpy as np

from translate.evaluate.fidelity import Floats, Pixels, rgb_to_y

BLUR = 11  # pixels that `sharpness` averages over


def colourfulness(x: Pixels) -> float:
    """Hasler & Süsstrunk's M3 (Human Vision and Electronic Imaging 2003): 0 for grey, about 45 average, 109 extreme."""
    red, green, blue = np.moveaxis(x.astype(np.float64), -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread, offset = np.linalg.norm(opponents.std(axis=(1, 2))), np.linalg.norm(opponents.mean(axis=(1, 2)))
    return float(spread + 0.3 * offset)


def sharpness(x: Pixels) -> float:
    """One minus the blur effect of Crété et al. (Human Vision and Electronic Imaging 2007), in [0, 1].

    How much of the gradients of the luminance goes when it is blurred over 11 pixels, in the direction in which less
    goes: what is blurred already has little to lose. Contrast does not count; noise counts as sharpness. A picture
    without any gradient has 0.
    """
    y = rgb_to_y(x)
    kept = []
    for dx, dy in ((1, 0), (0, 1)):
        blurred = cv2.blur(y, (BLUR, 1) if dx else (1, BLUR), borderType=cv2.BORDER_REFLECT)
        sharp, blunt = (
            np.abs(cv2.Sobel(z, cv2.CV_64F, dx, dy, borderType=cv2.BORDER_REFLECT))[2:-1, 2:-1] for z in (y, blurred)
        )
        total = sharp.sum()
        kept.append(np.maximum(sharp - blunt, 0).sum() / total if total else 0.0)
    return float(min(kept))


def edge_correlation(a: Pixels, b: Pixels) -> float:
    """How well b keeps the edges of a, in [-1, 1]: 1 for the same edges up to a factor, 0 for unrelated pictures.

    A b of another size is brought to that of a, areas averaged.

    Pearson correlation of the Sobel magnitudes of the luminance, blurred with σ 1.5 first so that noise and a pixel of
    shift count little. A picture without any edge correlates with nothing: 0.
    """
    if a.shape[:2] != b.shape[:2]:
        b = cv2.resize(b, (a.shape[1], a.shape[0]), interpolation=cv2.INTER_AREA)
    x, y = _edges(a), _edges(b)
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt(np.sum(x * x) * np.sum(y * y))
    return float(np.sum(x * y) / norm) if norm else 0.0


def _edges(x: Pixels) -> Floats:
    blurred = cv2.GaussianBlur(rgb_to_y(x), (0, 0), 1.5)
    return np.hypot(cv2.Sobel(blurred, cv2.CV_64F, 1, 0), cv2.Sobel(blurred, cv2.CV_64F, 0, 1))
