"""What the options of `evaluate` do to its figures, and which set is measured against which."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import figures
from PIL import Image
from torch import Tensor, nn

from translate.evaluate import domain, folders, unpaired
from translate.evaluate.fidelity import compare
from translate.evaluate.judge import Judge, describe

pytestmark = pytest.mark.usefixtures("inside")

Run = Callable[..., Any]
RNG = np.random.default_rng(0)


def saved(path: str, pixels: np.ndarray) -> np.ndarray:
    Path(path).parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def framed(pixels: np.ndarray) -> np.ndarray:
    """Black in a frame of 4 pixels."""
    inside = np.zeros_like(pixels)
    inside[4:-4, 4:-4] = pixels[4:-4, 4:-4]
    return inside


# PSNR's


@pytest.mark.parametrize("kind", ["sr", "paired"])
@pytest.mark.parametrize(("border", "equal"), [(4, True), (3, False)])
def test_an_error_in_the_border_does_not_count(run: Run, kind: str, border: int, equal: bool) -> None:
    pixels = saved("real/a.png", RNG.integers(50, 200, (24, 28, 3), np.uint8))
    saved("fake/a.png", framed(pixels))
    given = ("--hr", "real", "--restored", "fake") if kind == "sr" else ("--real", "real", "--fake", "fake")
    assert run("evaluate", kind, *given, "--border", border, "--json", "f.json").code == 0
    psnr = figures()["results"]["restored" if kind == "sr" else "fake"]["psnr"]["value"]
    assert (psnr is None) == equal  # infinite
    assert figures()["protocol"]["border"] == border


@pytest.mark.parametrize("kind", ["sr", "paired"])
@pytest.mark.parametrize("channel", ["y", "y8", "rgb"])
def test_the_channel_is_the_one_asked_for(run: Run, kind: str, channel: Any) -> None:
    a, b = (saved(f"{name}/a.png", RNG.integers(0, 255, (24, 28, 3), np.uint8)) for name in ("real", "fake"))
    given = ("--hr", "real", "--restored", "fake") if kind == "sr" else ("--real", "real", "--fake", "fake")
    assert run("evaluate", kind, *given, "--channel", channel, "--border", 2, "--json", "f.json").code == 0
    found, expected = figures()["pictures"]["restored" if kind == "sr" else "fake"]["a"], compare(a, b, channel, 2)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(("colour", "luma"), [((200, 0, 0), 59.8), ((0, 200, 0), 117.4), ((0, 0, 200), 22.8)])
def test_a_result_in_colour_is_compared_with_a_grey_original_in_grey(
    run: Run, colour: tuple[int, int, int], luma: float
) -> None:
    saved("hr/a.png", np.full((24, 28), 100, np.uint8))
    saved("made/a.png", np.full((24, 28, 3), colour, np.uint8))
    assert run("evaluate", "sr", "--hr", "hr", "--restored", "made", "--json", "f.json").code == 0
    psnr = figures()["results"]["restored"]["psnr"]["value"]
    assert psnr == pytest.approx(20 * np.log10(255 / abs(luma - 100)))


# Of sets


class Colours(nn.Module):
    """In the place of the features: the mean colour of the left half."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def embed(self, x: Tensor) -> Tensor:
        return self.weight * x[..., : x.shape[3] // 2].mean((2, 3))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "SHORT_SIDE", 16)
    colours: Any = Colours
    kind = unpaired.KINDS["efficientnet-lite0"]._replace(network=colours)
    monkeypatch.setitem(unpaired.KINDS, "efficientnet-lite0", kind)
    monkeypatch.setattr(domain, "FeatureNetwork", Colours)


def flat(folder: str, levels: list[int]) -> Path:
    """Pictures of one grey each."""
    for number, level in enumerate(levels):
        saved(f"{folder}/{number:02}.png", np.full((16, 16, 3), level, np.uint8))
    return Path(folder)


def test_near_copies_of_one_picture_are_precise_and_reach_few(quick: None) -> None:
    real, fake = flat("real", list(range(20, 220, 20))), flat("fake", [100, 101, 102, 103, 104, 105])
    results = unpaired.evaluate(real, fake).results["fake"]
    assert (results["precision"].value, results["recall"].value) == (1, 0.1)
    results = unpaired.evaluate(fake, real).results["fake"]
    assert (results["precision"].value, results["recall"].value) == (0.1, 1)


def test_the_judge_learns_from_mirror_images_too(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = []

    class Noting(Judge):
        def __init__(self, kinds: Any) -> None:
            learnt.extend(kinds)
            super().__init__(kinds)

    monkeypatch.setattr(domain, "Judge", Noting)
    halves = np.zeros((16, 16, 3), np.uint8)
    for number in range(13):  # three of which are held back
        halves[:, :8], halves[:, 8:] = 200 + number, 50
        saved(f"a/{number:02}.png", halves)
        saved(f"b/{number:02}.png", halves // 4)
    report = domain.evaluate(Path("a"), Path("b"), Path("b"))
    assert [len(kind) for kind in learnt] == [20, 20]
    assert learnt[0][:4:2, 0] * 255 == pytest.approx([201, 202])
    assert learnt[0][1:4:2, 0] * 255 == pytest.approx([50, 50])
    assert [len(report.pictures[row]) for row in ("real a", "real b", "fake")] == [3, 3, 13]


def test_a_mirror_image_is_seen_as_the_picture_that_it_is() -> None:
    pictures: Any = RNG.integers(0, 255, (2, 6, 8, 3), np.uint8)
    network: Any = Colours()
    both, plain, mirrored = (
        describe(network, which, mirrored=m)
        for which, m in ((pictures, True), (pictures, False), (pictures[:, :, ::-1].copy(), False))
    )
    assert np.array_equal(both[::2], plain)
    assert np.array_equal(both[1::2], mirrored)
    assert not np.array_equal(plain, mirrored)


@pytest.mark.parametrize("side", [512, 768])
def test_what_is_made_small_is_averaged(side: int) -> None:
    """Of a board with squares of one pixel, no black or white is left."""
    board = (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)
    found = folders.small(np.repeat(board[..., None], 3, 2)).astype(int)
    assert found.shape == (256, 256, 3)
    assert np.abs(found - 127.5).max() <= (1 if side == 512 else 15)
    assert found.mean() == pytest.approx(127.5, abs=1)


def test_what_is_small_is_enlarged_smoothly_and_what_fits_is_kept() -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (1, 75, 3))
    found = folders.small(ramp)
    assert found.shape == (256, 300, 3)
    assert len(np.unique(found)) > 120
    assert np.array_equal(folders.small(found), found)
