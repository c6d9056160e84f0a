"""--colour-match: a network that shifts colours gives the input's when its result is shrunk again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor, nn

from translate import images
from translate.models import Model
from translate.models.colour import matched
from translate.tiles import in_tiles


class Shifting(nn.Module):
    """Enlarges, and changes brightness and contrast of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)
        shift = torch.tensor([0.04, -0.03, 0.05]).view(1, 3, 1, 1)
        return y * torch.tensor([0.9, 1.05, 0.85]).view(1, 3, 1, 1) + shift


def difference(result: Tensor, x: Tensor) -> float:
    """Mean ΔE (CIEDE2000) between the result of 8 bit, shrunk again, and the input."""
    shrunk = F.avg_pool2d((result.clamp(0, 1) * 255).round() / 255, 4)
    ours, theirs = (rgb2lab(y[0].permute(1, 2, 0).numpy()) for y in (shrunk, x))
    return float(deltaE_ciede2000(ours, theirs).mean())


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_colours_are_those_of_the_input(name: str) -> None:
    x = torch.from_numpy(getattr(data, name)()[:128, :160]).permute(2, 0, 1)[None].float() / 255
    model = Model(Shifting(), "Shifting", scale=4, halo=3)
    assert difference(model.network(x), x) > 3
    assert difference(matched(model).network(x), x) <= 0.5


def test_tiles_stay_exact() -> None:
    x = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    model = matched(Model(Shifting(), "Shifting", scale=4, halo=3))
    whole = model.network(x)
    parts = in_tiles(
        model.network, lambda t, b, le, r: x[:, :, t:b, le:r], 40, 50, side=16, halo=model.halo or 0, scale=4
    )
    for top, left, part in parts:
        like = whole[:, :, top : top + part.shape[2], left : left + part.shape[3]]
        torch.testing.assert_close(part, like, rtol=0, atol=1e-5)


def test_command(run: Any, photo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = images.read(photo(Path("in.png"), 60, 50)).pixels.astype(float)
    errors = []
    for options in ((), ("--colour-match", "low-frequency"), ("--colour-match", "low-frequency", "--tile", "32")):
        assert run("upscale", "in.png", "--out", "out.png", "--precision", "fp32", "--overwrite", *options).code == 0
        large = images.read("out.png").pixels.astype(float)
        errors.append(np.abs(large.reshape(60, 4, 50, 4, 3).mean((1, 3)) - small).mean())
    assert errors[1] < errors[0] / 3
    assert errors[2] == pytest.approx(errors[1], abs=0.01)
    assert "'mean' is not one of 'none', 'low-frequency'" in run("upscale", "in.png", "--colour-match", "mean").err
