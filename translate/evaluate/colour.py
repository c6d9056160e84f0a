"""Differences of colour as the eye sees them."""

import numpy as np

from translate.evaluate.fidelity import Floats, Pixels

XYZ_OF_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)  # ITU-R BT.709 primaries, white D65
WHITE = np.array([0.95047, 1.0, 1.08883])
_STRIP = 1 << 18  # pixels at a time, as the formula needs some thirty arrays


def rgb_to_lab(x: Pixels) -> Floats:
    """CIE L*a*b* under D65 (..., 3), L in [0, 100], of sRGB (..., 3) in [0, 255]."""
    rgb = x.astype(np.float64) / 255
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ XYZ_OF_RGB.T / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    fx, fy, fz = np.moveaxis(f, -1, 0)
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1)


def ciede2000(lab1: Floats, lab2: Floats) -> Floats:
    """ΔE*00 (...) of two arrays of L*a*b* (..., 3): 0 for equal, about 1 just visible side by side.

    Sharma, Wu & Dalal, *The CIEDE2000 color-difference formula*, Color Research & Application 2005, with all weights 1.
    """
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(lab1, -1, 0), np.moveaxis(lab2, -1, 0)
    g = 0.5 * (1 - _saturation((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1) % (2 * np.pi), np.arctan2(b2, a2) % (2 * np.pi)

    turn = (h2 - h1 + np.pi) % (2 * np.pi) - np.pi  # the shorter way round the circle of hues
    turn = np.where(c1 * c2 == 0, 0, turn)
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)
    hue = np.where(c1 * c2 == 0, h1 + h2, h1 + turn / 2)
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2

    t = (
        1
        - 0.17 * np.cos(hue - np.radians(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.radians(6))
        - 0.20 * np.cos(4 * hue - np.radians(63))
    )
    s_light = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    s_chroma, s_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    bend = np.radians(30) * np.exp(-((((np.degrees(hue) % 360) - 275) / 25) ** 2))
    rotation = -2 * _saturation(chroma) * np.sin(2 * bend)
    x, y, z = (l2 - l1) / s_light, (c2 - c1) / s_chroma, d_hue / s_hue
    difference: Floats = np.sqrt(np.maximum(x * x + y * y + z * z + rotation * y * z, 0))
    return difference


def delta_e(a: Pixels, b: Pixels) -> float:
    """The mean ΔE*00 over the pixels of two pictures (H, W, 3), sRGB in [0, 255]."""
    x, y = a.reshape(-1, 3), b.reshape(-1, 3)
    total = sum(
        ciede2000(rgb_to_lab(x[start : start + _STRIP]), rgb_to_lab(y[start : start + _STRIP])).sum()
        for start in range(0, len(x), _STRIP)
    )
    return float(total / len(x))


def _saturation(chroma: Floats) -> Floats:
    return np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
