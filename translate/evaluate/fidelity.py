"""How near a picture is to its original: functions on RGB (H, W, 3) or grey (H, W), uint8 or floats in [0, 255]."""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from translate.errors import ImageError

Pixels = NDArray[Any]
Floats = NDArray[np.float64]
Channel = Literal["y", "y8", "rgb"]
CHANNELS: tuple[Channel, ...] = ("y", "y8", "rgb")

LUMA_OF_RGB = np.array([65.481, 128.553, 24.966]) / 255  # ITU-R BT.601, studio swing
WINDOW = 11  # side of SSIM's


def rgb_to_y(x: Pixels, rounded: bool = False) -> Floats:
    """Luminance (H, W) in [16, 235] of RGB in [0, 255]; grey stays as it is, at its full swing (one of Set14 is).

    As Matlab's rgb2ycbcr does for floats; `rounded` to whole numbers, as it does for 8-bit pictures.
    """
    y = x.astype(np.float64) if x.ndim == 2 else 16 + x.astype(np.float64) @ LUMA_OF_RGB
    return np.floor(y + 0.5) if rounded else y


def samples(x: Pixels, channel: Channel, border: int) -> Floats:
    """What is compared, (H, W) or (H, W, 3): "y" the luminance, "y8" rounded, or "rgb"; without a border of pixels."""
    inner = x[border : x.shape[0] - border, border : x.shape[1] - border]
    return inner.astype(np.float64) if channel == "rgb" else rgb_to_y(inner, channel == "y8")


def psnr(a: Floats, b: Floats) -> float:
    """Peak signal-to-noise ratio in dB of two arrays in [0, 255] of one shape; infinite where they are equal."""
    error = np.mean((a - b) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(a: Floats, b: Floats) -> float:
    """Structural similarity in [-1, 1], the mean of the channels; Gaussian windows of 11 × 11, σ 1.5.

    Wang et al., *Image quality assessment*, TIP 2004, with its constants. Only windows that lie wholly in the picture
    count. Both are (H, W) or (H, W, C) in [0, 255], with sides of 11 or more.
    """
    planes = zip(*(np.moveaxis(np.atleast_3d(x), 2, 0) for x in (a, b)), strict=True)
    return float(np.mean([_ssim(x, y) for x, y in planes]))


def compare(original: Pixels, result: Pixels, channel: Channel, border: int) -> dict[str, float]:
    """Both figures of a picture of the same shape as its original.

    Raises:
        ImageError: it is smaller than SSIM's window.
    """
    a, b = samples(original, channel, border), samples(result, channel, border)
    if min(a.shape[:2]) < WINDOW:
        height, width = original.shape[:2]
        raise ImageError(
            f"{width} × {height} pixels, {border} left out at each edge, are less than SSIM's {WINDOW} × {WINDOW}; "
            "leave it out, or lower --border"
        )
    return {"psnr": psnr(a, b), "ssim": ssim(a, b)}


def _ssim(x: Floats, y: Floats) -> float:
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    var_x, var_y = _window_mean(x * x) - mean_x**2, _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def _window_mean(z: Floats) -> Floats:
    edge = WINDOW // 2
    return np.asarray(cv2.GaussianBlur(z, (WINDOW, WINDOW), 1.5)[edge:-edge, edge:-edge], np.float64)
