"""What destroys a print in places: (H, W, 3) in [0, 1] -> the same, and how lost each pixel is: (H, W) in [0, 1]."""

import cv2
import numpy as np
import numpy.typing as npt

from translate.train.damage.fields import (
    Plane,
    Random,
    Rgb,
    bell,
    blend,
    clouds,
    count,
    distance,
    log_uniform,
    radius,
    rough,
    somewhere,
)

SUBPIXEL = 4  # bits after the point in the coordinates that OpenCV draws


def scratches(x: Rgb, rng: Random, strength: float) -> tuple[Rgb, Plane]:
    """Thin lines, long and slightly curved; many run the same way, some are short curls like fibres."""
    shape = x.shape[:2]
    along = np.pi / 2 if rng.random() < 0.4 else rng.uniform(0, np.pi)
    canvas = np.zeros(shape, np.uint8)
    for _ in range(count(rng, shape, 0.5 + 4 * strength)):
        fibre = rng.random() < 0.35
        length = log_uniform(rng, 8, 25) if fibre else log_uniform(rng, 20, 1.5 * max(shape))
        angle = rng.uniform(0, 2 * np.pi) if fibre or rng.random() < 0.3 else along + rng.normal(0, 0.06)
        bend = rng.normal(0, 0.05 if fibre else 0.3 / length)
        opacity = int(rng.uniform(70, 256))
        points = _path(rng, somewhere(rng, shape), angle, length, bend)
        cv2.polylines(canvas, [points], False, opacity, 1 if rng.random() < 0.85 else 2, cv2.LINE_AA, SUBPIXEL)
    worn: Plane = np.clip(0.75 + 0.5 * clouds(rng, shape, rng.uniform(3, 12)), 0, 1)  # lines that come and go
    return _covered(x, rng, worn * _opacity(canvas), dark=0.15)


def dust(x: Rgb, rng: Random, strength: float) -> tuple[Rgb, Plane]:
    """Specks: many of about a pixel, a few larger flakes; bright where they lay on the negative, else dark."""
    shape = x.shape[:2]
    specks = np.zeros(shape, np.uint8)
    number = count(rng, shape, log_uniform(rng, 3, 10 + 60 * strength))
    specks[rng.integers(0, shape[0], number), rng.integers(0, shape[1], number)] = rng.integers(70, 256, number)
    for _ in range(count(rng, shape, log_uniform(rng, 0.5, 1 + 7 * strength))):
        centre = tuple(int(c * 2**SUBPIXEL) for c in somewhere(rng, shape))
        axes = tuple(int(log_uniform(rng, 0.6, 3) * 2**SUBPIXEL) for _ in range(2))
        opacity = int(rng.uniform(100, 256))
        cv2.ellipse(specks, centre, axes, rng.uniform(0, 180), 0, 360, opacity, -1, cv2.LINE_AA, SUBPIXEL)
    return _covered(x, rng, _opacity(specks), dark=0.3)


def folds(x: Rgb, rng: Random, strength: float) -> tuple[Rgb, Plane]:
    """Creases across the print: a bright line where the emulsion has broken off, one side in the shade."""
    shape = x.shape[:2]
    lost = np.zeros(shape, np.float32)
    ragged = rough(rng, shape, 24)
    broken = np.clip(rng.uniform(0.3, 1) + 0.5 * rough(rng, shape, 9), 0, 1)  # how much has come off
    for _ in range(rng.integers(1, 4)):
        angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.1) if rng.random() < 0.5 else rng.uniform(0, np.pi)
        centre = somewhere(rng, shape)
        d = distance(shape, centre, angle) + rng.uniform(0.3, 1.2) * ragged
        along = np.abs(distance(shape, centre, angle + np.pi / 2))
        ends = np.clip((log_uniform(rng, 15, 4 * max(shape)) - along) / 10, 0, 1)
        valley = rng.uniform(2, 10)
        shade = rng.uniform(-0.3, 0.3) * strength * (d / valley) * bell(d / valley) * 2 * ends
        x = blend(x, 0, -shade)
        width = rng.uniform(0.4, 0.6 + 1.6 * strength)
        core = bell(d / (width * (0.5 + broken))) * broken * ends * rng.uniform(0.5, 1)
        np.maximum(lost, np.where(core > 0.03, core, 0), out=lost)
    return _covered(np.clip(x, 0, 1), rng, lost, dark=0.1)


def tears(x: Rgb, rng: Random, strength: float) -> tuple[Rgb, Plane]:
    """Pieces gone: a border or a corner torn away, a rip from the edge, a hole; white fibres along the border."""
    shape = x.shape[:2]
    edge = rng.integers(4)  # top, right, bottom, left
    x0, y0 = somewhere(rng, shape)
    point = [(x0, 0.0), (float(shape[1]), y0), (x0, float(shape[0])), (0.0, y0)][edge]
    inwards = [np.pi / 2, np.pi, -np.pi / 2, 0][edge]
    kind = rng.choice(["border", "rip", "hole"], p=[0.45, 0.3, 0.25])
    if kind == "border":  # at a slant it takes a corner
        slant = rng.normal(0, 0.1) if rng.random() < 0.6 else rng.uniform(-0.8, 0.8)
        inside = log_uniform(rng, 2, 3 + 25 * strength) - distance(shape, point, inwards - np.pi / 2 + slant)
    elif kind == "rip":
        angle = inwards + rng.uniform(-0.7, 0.7)
        reach = log_uniform(rng, 15, 0.9 * max(shape))
        along = distance(shape, point, angle - np.pi / 2)
        inside = rng.uniform(1, 2 + 4 * strength) * np.clip(1 - along / reach, -1, 1) - np.abs(
            distance(shape, point, angle) + 2.5 * rough(rng, shape, 40)
        )
    else:
        inside = log_uniform(rng, 2, 4 + 18 * strength) - radius(shape, (x0, y0), rng.uniform(0.6, 1.6))
    inside = inside + (0.5 if kind == "rip" else 2) * rough(rng, shape, 18)
    behind = rng.uniform(0.75, 1) if rng.random() < 0.7 else rng.uniform(0, 0.2)  # what the scan lies on
    paper = rng.uniform(0.8, 1) + 0.05 * rough(rng, shape, 3)
    rim = np.clip(inside / rng.uniform(1, 5), 0, 1)[..., None]
    filling = paper[..., None] * (1 - rim) + behind * rim
    lost: Plane = np.clip(inside + 0.5, 0, 1)
    return blend(x, np.clip(filling, 0, 1), lost), lost


def _path(rng: Random, start: tuple[float, float], angle: float, length: float, bend: float) -> npt.NDArray[np.int32]:
    """A line through `start` in steps of 5 pixels, (N, 1, 2), in OpenCV's fixed point."""
    steps = max(3, int(length / 5))
    angles = angle + 5 * bend * np.arange(steps) + rng.normal(0, 0.03, steps)
    points = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=1) * length / steps, axis=0)
    points += start - points[steps // 2]
    return np.asarray(points * 2**SUBPIXEL, np.int32)[:, None]


def _opacity(canvas: npt.NDArray[np.uint8]) -> Plane:
    plane: Plane = canvas.astype(np.float32) * np.float32(1 / 255)
    return plane


def _covered(x: Rgb, rng: Random, lost: Plane, dark: float) -> tuple[Rgb, Plane]:
    """Bare paper where the picture is lost, or dirt, in a share `dark` of cases."""
    value = rng.uniform(0, 0.25) if rng.random() < dark else rng.uniform(0.8, 1)
    return blend(x, value, lost), lost
