"""Scripts of benchmarks/ on toys: that they measure what they say."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import translate
from translate.models.cyclegan import ResnetGenerator
from translate.models.srgan import SRResNet
from translate.weights.files import save_weights

CUBIC = cv2.INTER_CUBIC
SCRIPTS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield
    for name in ("tiling", "flicker", "_environment"):
        sys.modules.pop(name, None)


def test_a_thumbnail_of_full_size_has_the_statistics_of_the_whole(
    scripts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiling: Any = importlib.import_module("tiling")
    monkeypatch.setattr(tiling, "SIDE", 64)
    network = ResnetGenerator(4, 1).eval()
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        results = {name: way() for name, way in tiling.ways(SimpleNamespace(network=network), x, 16).items()}
        monkeypatch.setattr(tiling, "SIDE", 32)
        monkeypatch.setattr(tiling, "HALO", 8)
        tiled = tiling.ways(SimpleNamespace(network=network), x, 16)
        plain, coarse = tiled["plain_tiles"](), tiled["thumbnail"]()
    for name in ("parts", "plain_tiles", "thumbnail"):
        torch.testing.assert_close(results[name], results["whole"], rtol=0, atol=1e-4)
    assert (plain - results["whole"]).abs().max() > 0.01, "tiles have statistics of their own"
    assert (coarse - plain).abs().max() > 0.01, "with a thumbnail they have others"


@pytest.mark.parametrize("normalised", [True, False])
def test_flicker_measures_statistics_where_there_are_some(scripts: None, tmp_path: Path, normalised: bool) -> None:
    flicker: Any = importlib.import_module("flicker")
    torch.manual_seed(0)
    save_weights(path := tmp_path / "net.safetensors", ResnetGenerator(4, 1) if normalised else SRResNet(4, 1, 1))
    photo = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    frames, origins = flicker.over(photo, 3, 64, "pan")
    found = flicker.measured(translate.load(str(path)), frames, frames, origins)
    assert ("statistics" in found) == normalised
    assert "psnr" not in found
    assert found["stabilised"]["excess_ratio"] is None or found["stabilised"]["excess_ratio"] > 0


def test_flicker_of_an_enlarging_network_is_that_of_its_results(
    scripts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that enlarges as OpenCV does has the figures of that."""
    flicker: Any = importlib.import_module("flicker")
    save_weights(path := tmp_path / "net.safetensors", SRResNet(4, 1, 4))
    photo = cv2.resize(np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8), (700, 400))
    frames, origins = flicker.over(photo, 3, 256, "zoom")
    inputs = [frame[2::4, 2::4] for frame in frames]
    monkeypatch.setattr(flicker, "plain", lambda _: lambda _, now: cv2.resize(now, (256, 144), interpolation=CUBIC))
    found = flicker.measured(translate.load(str(path)), inputs, frames, origins)
    assert found["size"] == [256, 144]
    assert found["excess"] == found["bicubic_excess"]
    large = [cv2.resize(now, (256, 144), interpolation=CUBIC) for now in inputs]
    expected = (cv2.PSNR(large[1], frames[1]) + cv2.PSNR(large[2], frames[2])) / 2
    assert found["psnr"]["plain"] == found["psnr"]["bicubic"] == pytest.approx(expected)
    assert found["psnr"]["stabilised"] != found["psnr"]["plain"]
