"""Networks whose answers are known, and pictures for them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from translate.engine import Translator
from translate.images import Picture
from translate.models import Model

RNG = np.random.default_rng(3)
FP32 = {"device": "cpu", "precision": "fp32"}


class Fake(nn.Module):
    """Gives its input back, enlarged; a picture whose first pixel is red fails or is spoilt, as it is told."""

    def __init__(self, scale: int = 1, spoil: Callable[[Tensor], object] | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.scale, self.spoil, self.sizes = scale, spoil, []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(tuple(x.shape))
        y = x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
        for picture, result in zip(x, y, strict=True):
            if self.spoil and picture[0, 0, 0] > 0.9:
                result[0, 1, 1] = self.spoil(self.weight)
        return y

    def __deepcopy__(self, memo: object) -> "Fake":
        copy = Fake(self.scale, self.spoil)
        copy.sizes = self.sizes  # one list for all copies
        return copy


def ready(fake: nn.Module, precision: str = "fp32", **model: Any) -> Translator:
    return Translator(Model(fake, "Fake", scale=getattr(fake, "scale", 1), **model), "cpu", precision)


def flat(height: int = 6, width: int = 9, *, red: bool = False, dtype: Any = np.uint8, **more: Any) -> Picture:
    pixels = RNG.integers(0, 200, (height, width, 3), dtype=dtype)
    pixels[0, 0] = np.iinfo(dtype).max if red else 0
    return Picture(pixels, **more)


def nan_unless_fp32(weight: Tensor) -> float:
    return 0.5 if weight.dtype == torch.float32 else float("nan")
