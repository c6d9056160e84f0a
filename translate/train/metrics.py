"""How good a picture is: plain functions on RGB arrays (H, W, 3) or grey arrays (H, W), uint8 or floats in [0, 255]."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[Any]
Floats = NDArray[np.float64]

LUMA_OF_RGB = np.array([65.481, 128.553, 24.966]) / 255  # ITU-R BT.601, studio swing


def rgb_to_y(x: Picture) -> Floats:
    """Luminance (H, W) in [16, 235] of RGB in [0, 255], as Matlab's rgb2ycbcr but not rounded; grey stays as it is.

    The published ×4 figures are measured so, grey pictures (one of Set14) at their full swing.
    """
    return x.astype(np.float64) if x.ndim == 2 else 16 + x.astype(np.float64) @ LUMA_OF_RGB


def psnr_y(a: Picture, b: Picture, border: int = 4) -> float:
    """Peak signal-to-noise ratio of the luminance in dB, a border of pixels left out; infinite for equal pictures."""
    error = np.mean((_luminance(a, border) - _luminance(b, border)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim_y(a: Picture, b: Picture, border: int = 4) -> float:
    """Structural similarity of the luminance in [-1, 1]; 11 × 11 Gaussian windows, σ 1.5 (Wang et al., TIP 2004)."""
    x, y = _luminance(a, border), _luminance(b, border)

    def window_mean(z: Floats) -> Floats:
        # Only windows that lie wholly in the picture count.
        return np.asarray(cv2.GaussianBlur(z, (11, 11), 1.5)[5:-5, 5:-5], np.float64)

    mean_x, mean_y = window_mean(x), window_mean(y)
    var_x, var_y = window_mean(x * x) - mean_x**2, window_mean(y * y) - mean_y**2
    covariance = window_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def edge_correlation(a: Picture, b: Picture) -> float:
    """How well b keeps the edges of a, in [-1, 1]: 1 for the same edges up to a factor, 0 for unrelated pictures.

    Pearson correlation of the Sobel magnitudes of the luminance, blurred with σ 1.5 first so that noise and a pixel of
    shift count little. A picture without any edge correlates with nothing: 0.
    """
    x, y = _edges(a), _edges(b)
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt(np.sum(x * x) * np.sum(y * y))
    return float(np.sum(x * y) / norm) if norm else 0.0


def frechet_distance(a: Floats, b: Floats) -> float:
    """Fréchet distance of two clouds of features (N, D) and (M, D), each taken as a Gaussian; 0 or more, squared units.

    |μa - μb|² + tr(Ca + Cb - 2 (Ca Cb)^½), Dowson & Landau 1982; called FID only on Inception features (Heusel et al.,
    NeurIPS 2017, section 2). With C = XᵀX, the last trace is the sum of the singular values of Xa Xbᵀ: exact for
    singular covariances too, and no (D, D) matrix is needed. Biased upwards for few samples: compare at equal N and M.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"features must be (N, D) and (M, D) with two rows or more, not {a.shape} and {b.shape}")
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    spread_a, spread_b = (a - mean_a) / np.sqrt(len(a) - 1), (b - mean_b) / np.sqrt(len(b) - 1)
    shared = np.linalg.svd(spread_a @ spread_b.T, compute_uv=False).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(spread_a**2) + np.sum(spread_b**2) - 2 * shared
    return max(float(distance), 0.0)  # rounding can leave a negative trifle


def colourfulness(x: Picture) -> float:
    """Hasler & Süsstrunk's M3 (Human Vision and Electronic Imaging 2003): 0 for grey, about 45 average, 109 extreme."""
    red, green, blue = np.moveaxis(x.astype(np.float64), -1, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread, offset = np.linalg.norm(opponents.std(axis=(1, 2))), np.linalg.norm(opponents.mean(axis=(1, 2)))
    return float(spread + 0.3 * offset)


def _luminance(x: Picture, border: int) -> Floats:
    return rgb_to_y(x)[border : x.shape[0] - border, border : x.shape[1] - border]


def _edges(x: Picture) -> Floats:
    blurred = cv2.GaussianBlur(rgb_to_y(x), (0, 0), 1.5)
    return np.hypot(cv2.Sobel(blurred, cv2.CV_64F, 1, 0), cv2.Sobel(blurred, cv2.CV_64F, 0, 1))
