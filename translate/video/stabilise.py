"""Less flicker: what the frame before has become, moved along with the picture, is blended into each frame.

Motion is found between the frames of the source with DIS optical flow (Kroeger et al. 2016, arXiv:1603.03590). Where
the frame before, moved so, does not look like the present one, something else has come into view, and nothing is
blended.
"""

import functools
from dataclasses import dataclass, replace
from typing import Any

import cv2 as typed_cv2
import numpy as np
import torch

from translate.chain import Ready
from translate.images import Picture
from translate.kernels import Statistics
from translate.metadata import Pixels
from translate.models.smoothing import Smoothing

cv2: Any = typed_cv2  # whose types lack DIS, and remap with one map

BLEND = 0.6  # of the frame before, where it is trusted
LIKENESS = 12  # of 255: a difference at which trust has fallen to 1/e
CUT = 0.3  # mean trust below which a new scene begins
FLOW_SIDE = 512  # pixels; motion is found in frames made as small as this
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: BT.601
_LEAST_SIDE = 32  # of pictures that OpenCV's DIS is safe with


@dataclass(frozen=True)
class Motion:
    """From the frame before to this one.

    Attributes:
        origin: (H, W, 2), where in the frame before each pixel was, x and y in pixels.
        trust: (H, W) in [0, 1], how sure it is that the same was to be seen there.
    """

    origin: Any
    trust: Any

    @property
    def cut(self) -> bool:
        """Whether nothing goes on from the frame before."""
        return bool(self.trust.mean() < CUT)


def motion(before: Pixels, now: Pixels) -> Motion:
    """The motion between two frames (H, W, 3) of one size and dtype."""
    before, now = _bytes(before), _bytes(now)
    height, width = now.shape[:2]
    scale = min(1.0, FLOW_SIDE / max(height, width))
    size = max(_LEAST_SIDE, round(width * scale)), max(_LEAST_SIDE, round(height * scale))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        *(cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA) for p in (now, before)),
        None,
    )
    origin = cv2.resize(flow, (width, height)) * np.array([width / size[0], height / size[1]], np.float32)
    origin[..., 0] += np.arange(width, dtype=np.float32)
    origin[..., 1] += np.arange(height, dtype=np.float32)[:, None]
    x, y = origin[..., 0], origin[..., 1]
    moved = cv2.remap(before, origin, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    away = functools.reduce(cv2.max, cv2.split(cv2.absdiff(moved, now)))
    trust = np.exp(-((cv2.blur(away.astype(np.float32), (5, 5)) / LIKENESS) ** 2))
    return Motion(origin, trust * ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)))


def blended(before: Pixels, now: Pixels, motion: Motion, *, luma: bool = True) -> Pixels:
    """A result (H, W, 3) with that of the frame before in it; both may be larger than the frames of the motion.

    Without `luma`, only what else is in the colours comes from the frame before.
    """
    (height, width), small = now.shape[:2], motion.trust.shape
    origin, trust = motion.origin, motion.trust
    if (height, width) != small:
        factor = np.array([width / small[1], height / small[0]], np.float32)
        origin = (cv2.resize(origin, (width, height)) + 0.5) * factor - 0.5
        trust = cv2.resize(trust, (width, height))
    moved = cv2.remap(before, origin, None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    change = cv2.subtract(moved, now, dtype=cv2.CV_32F)
    change = cv2.multiply(change, cv2.merge([(BLEND * trust).astype(np.float32)] * 3))
    if not luma:
        change = cv2.transform(change, np.eye(3, dtype=np.float32) - np.array(LUMA, np.float32))
    result: Pixels = cv2.add(now, change, dtype=cv2.CV_8U if now.dtype == np.uint8 else cv2.CV_16U)
    return result


class Stabiliser:
    """Translates frames one after the other, each with regard to those before it.

    Args:
        translator: computes.
        memory: what `memory` gave after an earlier frame, to go on from there with the same result.
    """

    def __init__(self, translator: Ready, memory: dict[str, Any] | None = None) -> None:
        self.translator = translator
        self.before: Pixels | None = None  # the last result
        self.smoothing = Smoothing()
        if memory:
            self.before = memory["result"]
            self.smoothing.kept = tuple(
                tuple(_statistics(memory[f"norm {stage} {n}"], translator.device) for n in range(count))
                for stage, count in enumerate(memory["norms"])
            )

    def __call__(self, picture: Picture, motion: Motion | None) -> Picture:
        """The result for the next frame; `motion` is that from the one before, if there is one."""
        begins = motion is None or motion.cut
        if begins:
            self.smoothing = Smoothing()
        with self.smoothing:
            ((result, _),) = self.translator([picture])
        self.smoothing.accept()
        if motion is not None and not begins and self.before is not None:
            result = replace(
                result, pixels=blended(self.before, result.pixels, motion, luma=not self.translator.keeps_luma)
            )
        self.before = result.pixels
        return result

    def memory(self) -> dict[str, Any]:
        """All that the frames to come depend on, as arrays; small but for the last result."""
        kept = self.smoothing.kept
        arrays: dict[str, Any] = {"result": self.before, "norms": np.array([len(norms) for norms in kept], int)}
        for stage, norms in enumerate(kept):
            arrays |= {f"norm {stage} {n}": _array(found) for n, found in enumerate(norms)}
        return arrays


def _array(found: Statistics) -> Any:
    """(3, 1, C): mean, m2 and pixels, all exact in float64."""
    mean, m2 = found.mean.cpu().double().numpy(), found.m2.cpu().double().numpy()
    return np.stack([mean, m2, np.full_like(mean, found.pixels)])


def _statistics(array: Any, device: str) -> Statistics:
    """What `_array` was made of."""
    mean, m2, pixels = array
    return Statistics(int(pixels[0, 0]), *(torch.from_numpy(a).float().to(device) for a in (mean, m2)))


def _bytes(pixels: Pixels) -> Any:
    return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
