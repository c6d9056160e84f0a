"""--self-ensemble: the mean of what a network gives for a picture in its eight positions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from translate import images
from translate.models import Model
from translate.models.ensemble import ensembled
from translate.models.srgan import SRResNet
from translate.tiles import in_tiles


def model() -> Model:
    torch.manual_seed(0)
    network = SRResNet(width=4, blocks=1).eval().requires_grad_(False)
    return Model(network, "SRResNet", scale=4, halo=16)


def positions(x: Tensor) -> list[Tensor]:
    return [t for turns in range(4) for t in (torch.rot90(x, turns, (2, 3)), torch.rot90(x, turns, (2, 3)).flip(3))]


def test_it_is_the_mean_of_all_positions() -> None:
    """Such a mean turns with the picture, which the network alone does not; and it is no other function that does."""
    one, x = model(), torch.rand(1, 3, 10, 14, generator=torch.Generator().manual_seed(1))
    mean = ensembled(one).network
    for turned, expected in zip(positions(x), positions(mean(x)), strict=True):
        torch.testing.assert_close(mean(turned), expected)
    turned_back = mean(x.flip(3)).flip(3)
    assert (one.network(x) - one.network(x.flip(3)).flip(3)).abs().mean() > 100 * (mean(x) - turned_back).abs().mean()
    middles = torch.stack([one.network(t).mean() for t in positions(x)])
    torch.testing.assert_close(mean(x).mean(), middles.mean())


def test_tiles_stay_exact() -> None:
    x = torch.rand(1, 3, 60, 50, generator=torch.Generator().manual_seed(0))
    many = ensembled(model())
    whole = many.network(x)
    parts = in_tiles(many.network, lambda t, b, le, r: x[:, :, t:b, le:r], 60, 50, side=16, halo=16, scale=4)
    for top, left, part in parts:
        like = whole[:, :, top : top + part.shape[2], left : left + part.shape[3]]
        torch.testing.assert_close(part, like, rtol=0, atol=1e-5)


def test_command(run: Any, photo: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = images.read(photo(Path("in.png"), 40, 30)).pixels
    images.write(Path("turned.png"), images.Picture(np.rot90(pixels).copy()))
    for name in ("in", "turned"):
        for option, folder in (((), "plain"), (("--self-ensemble",), "mean")):
            ran = run("upscale", f"{name}.png", "--out", f"{folder}/{name}.png", "--precision", "fp32", *option)
            assert ran.code == 0, ran.err

    def apart(folder: str) -> float:
        there, turned = (images.read(Path(folder, f"{name}.png")).pixels.astype(float) for name in ("in", "turned"))
        return float(np.abs(np.rot90(there) - turned).mean())

    assert apart("mean") < 0.02 < 0.1 < apart("plain")
