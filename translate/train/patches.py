"""Training pairs for enlarging: random patches of photographs, and what is left of them when they are made small."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from translate.errors import ImageError
from translate.train.damage.lowres import degrade
from translate.train.data import Share, to_tensor
from translate.train.files import Pixels, load_folders

SEEDS = 2**62  # of the poor patches, different ones


class SuperResolutionPatches:
    """Random patches of photographs and of their reductions, in the eight orientations.

    Args:
        folders: high-resolution images.
        patch: side of a low-resolution patch, in pixels.
        scale: how many times the high-resolution side is longer.
        degradation: "bicubic" is the reduction of the benchmarks: antialiased bicubic (a = -1/2), of the whole image,
            rounded to 8 bits; "realistic" makes every patch poor in its own way, see `damage.lowres`.
        clean: share of the patches that "realistic" leaves to the bicubic reduction.
    """

    def __init__(
        self,
        folders: list[Path],
        patch: int,
        scale: int,
        degradation: Literal["bicubic", "realistic"] = "bicubic",
        clean: float = 0.0,
    ) -> None:
        self.patch, self.scale, self.clean = patch, scale, clean if degradation == "realistic" else 1.0

        def sample(pixels: Pixels) -> tuple[Pixels, ...]:
            height, width = pixels.shape[:2]
            if min(height, width) < patch * scale:
                raise ImageError(f"is {width}×{height}, and a patch takes {patch * scale}×{patch * scale}")
            high = pixels[: height // scale * scale, : width // scale * scale]
            return (high, _bicubic(high, scale)) if self.clean else (high,)

        self.images = load_folders(folders, sample)
        self.areas = torch.tensor([float(height * width) for height, width, _ in self.images.shapes])

    def batch(self, count: int, share: Share = slice(None)) -> tuple[Tensor, Tensor]:
        """Draw `count` pairs, and give those in `share`, both in [0, 1].

        Returns:
            low: (B, 3, patch, patch).
            high: (B, 3, patch·scale, patch·scale).
        """
        p, s = self.patch, self.scale
        lows: list[Pixels] = []
        highs: list[Pixels] = []
        drawn = torch.multinomial(self.areas, count, replacement=True)[share].tolist()
        places = torch.rand(count, 4)[share].tolist()
        seeds = torch.randint(SEEDS, (count,))[share].tolist() if self.clean < 1 else [0] * len(drawn)
        for index, (down, across, turn, mirror), seed in zip(drawn, places, seeds, strict=True):
            high, *low = self.images[index]
            y, x = int(down * (high.shape[0] // s - p + 1)), int(across * (high.shape[1] // s - p + 1))
            high = _turned(high[y * s : (y + p) * s, x * s : (x + p) * s], turn, mirror)
            highs.append(high)
            if seed < self.clean * SEEDS:
                lows.append(_turned(low[0][y : y + p, x : x + p], turn, mirror))
            else:
                lows.append(_poor(high, s, seed))
        return to_tensor(np.stack(lows)), to_tensor(np.stack(highs))


def _turned(patch: Pixels, turn: float, mirror: float) -> Pixels:
    patch = np.rot90(patch, int(turn * 4))
    return patch[:, ::-1] if mirror < 0.5 else patch


def _bicubic(pixels: Pixels, scale: int) -> Pixels:
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
    small = F.interpolate(x, scale_factor=1 / scale, mode="bicubic", antialias=True)
    return small[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def _poor(pixels: Pixels, scale: int, seed: int) -> Pixels:
    small = degrade(np.float32(1 / 255) * pixels, scale, np.random.default_rng(seed))
    return (small * 255).round().astype(np.uint8)
