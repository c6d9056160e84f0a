"""Whether the colouriser learns, and whether pictures are made from photographs as a run is told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from runs import needs_features, run, save_images, tiny_colourise, tiny_pix2pix, tiny_srgan

from translate.train import pix2pix
from translate.train.options import Colourise


@pytest.fixture
def colours(tmp_path: Path) -> Colourise:
    """A run on two pictures: bright red above, dark blue below."""
    (tmp_path / "colours").mkdir()
    pixels = np.full((40, 40, 3), (250, 120, 110), np.uint8)
    pixels[20:] = (30, 30, 130)
    for copy in "01":
        Image.fromarray(pixels).save(tmp_path / "colours" / f"{copy}.png")
    return tiny_colourise(tmp_path / "colours")


@needs_features
def test_the_colouriser_learns_two_colours(colours: Colourise, tmp_path: Path) -> None:
    config = replace(colours, steps=25, load=(32, 32), lr=0.1, encoder_lr=0.0)
    entropy = [step.losses["colour"] for step in run(config, tmp_path / "out")]
    assert 0 < sum(entropy[-3:]) < 0.6 * sum(entropy[:3])


@needs_features
def test_how_much_rare_colours_count_is_asked_for(colours: Colourise, tmp_path: Path) -> None:
    first = [next(run(replace(colours, uniform=share), tmp_path / str(share))).losses["colour"] for share in (0.1, 0.8)]
    assert abs(first[0] - first[1]) > 0.01 * first[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"degradation": "bicubic"}, {"degradation": "realistic"}),
        ({"degradation": "realistic", "clean": 0.0}, {"degradation": "realistic", "clean": 1.0}),
    ],
)
def test_srgan_makes_photographs_small_as_it_is_told(
    one: dict[str, Any], other: dict[str, Any], tmp_path: Path
) -> None:
    """Of one seed, so of the same patches by the same network."""
    config = tiny_srgan(save_images(tmp_path / "hr", 3))
    pixel = [
        next(run(replace(config, **options), tmp_path / str(number))).losses["pixel"]
        for number, options in enumerate((one, other))
    ]
    assert abs(pixel[0] - pixel[1]) > 1e-4


def test_clean_patches_are_those_of_the_benchmarks(tmp_path: Path) -> None:
    config = tiny_srgan(save_images(tmp_path / "hr", 3))
    clean = replace(config, degradation="realistic", clean=1.0)
    pixel = [next(run(chosen, tmp_path / str(number))).losses for number, chosen in enumerate((config, clean))]
    assert pixel[0] == pytest.approx(pixel[1])


def test_pix2pix_makes_grey_sources_or_drawings(tmp_path: Path) -> None:
    config = tiny_pix2pix(save_images(tmp_path / "photos", 2))
    luminance = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    source, target = pix2pix._pairs(replace(config, source="grey")).batch(4)
    assert torch.equal(source, source[:, :1].expand_as(source))
    assert not torch.equal(target, target[:, :1].expand_as(target))
    torch.testing.assert_close(source[:, :1], (target * luminance).sum(1, keepdim=True), rtol=0, atol=0.01)
    drawing, target = pix2pix._pairs(config).batch(4)
    assert (drawing[:, :1] - (target * luminance).sum(1, keepdim=True)).abs().mean() > 0.1
