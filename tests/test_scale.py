"""Factors that no network has: its result is made smaller, whole or in strips."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import made, size
from hypothesis import given
from hypothesis import strategies as st

from translate import images
from translate.images import Picture
from translate.images.scale import shrunk, shrunk_strips
from translate.models.srgan import SRResNet
from translate.weights.files import save_weights

Run = Callable[..., Any]
Photo = Callable[..., Path]


def picture(height: int, width: int, dtype: Any = np.uint8, *, alpha: bool = False) -> Picture:
    rng, most = np.random.default_rng(0), np.iinfo(dtype).max
    pixels = rng.integers(0, most, (height, width, 3), dtype, endpoint=True)
    return Picture(pixels, alpha=rng.integers(0, most, (height, width), dtype, endpoint=True) if alpha else None)


def test_a_pixel_is_the_mean_of_its_area() -> None:
    """At 3/4 it is 4/3 wide: (0 + 40/3) / (4/3) = 10, (80/3 + 160/3) / (4/3) = 60, (80/3 + 120) / (4/3) = 110."""
    row = np.array([0, 40, 80, 120], np.uint8)
    found = shrunk(Picture(np.tile(row[None, :, None], (4, 1, 3))), Fraction(3, 4)).pixels
    assert np.array_equal(found[..., 0], np.tile([10, 60, 110], (3, 1)))
    turned = shrunk(Picture(np.tile(row[:, None, None], (1, 4, 3))), Fraction(3, 4)).pixels
    assert np.array_equal(turned[..., 0].T, found[..., 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(
    height=st.integers(4, 70),
    width=st.integers(4, 40),
    ratio=st.fractions(Fraction(1, 4), 1, max_denominator=16),
    strip=st.integers(1, 30),
)
def test_strips_become_strips_of_the_whole(dtype: Any, height: int, width: int, ratio: Fraction, strip: int) -> None:
    source = picture(height, width, dtype, alpha=True)
    assert source.alpha is not None
    whole = shrunk(source, ratio)
    assert whole.pixels.shape == (int(height * ratio), int(width * ratio), 3)
    assert whole.alpha is not None
    parts = [
        Picture(source.pixels[top : top + strip], alpha=source.alpha[top : top + strip])
        for top in range(0, height, strip)
    ]
    strips = list(shrunk_strips(parts, ratio))
    for name in ("pixels", "alpha"):
        together = np.concatenate([getattr(part, name) for part in strips])
        assert together.dtype == dtype
        assert np.abs(together.astype(int) - getattr(whole, name)).max() <= 1


def test_command(run: Run, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo(Path("in/a.png"), 90, 70)
    assert run("upscale", "in", "--x4").code == 0
    for factor, name, sides in (("1.5", "in-x1.5", (105, 135)), ("3", "in-x3", (210, 270)), ("1", "in-x1", (70, 90))):
        ran = run("upscale", "in", "--scale", factor)
        assert (ran.code, made(name)) == (0, ["a.png"])
        assert f"note: enlarged ×4, and then made smaller, to ×{factor}" in ran.err + ran.out
        assert size(f"{name}/a.png") == sides
        whole = images.read(Path("in-x4/a.png"))
        expected = shrunk(whole, Fraction(factor) / 4).pixels
        assert np.array_equal(images.read(Path(name, "a.png")).pixels, expected)
        tiled = run("upscale", "in", "--scale", factor, "--tile", "32", "--out", f"tiled-{factor}")
        assert tiled.code == 0
        parts = images.read(Path(f"tiled-{factor}", "a.png")).pixels
        assert np.abs(parts.astype(int) - expected).max() <= 1


def test_weights_of_the_factor_are_taken_and_smaller_ones_refused(
    run: Run, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo(Path("in/a.png"), 9, 7)
    save_weights(Path("x2.safetensors"), SRResNet(4, 1, 2, "direct"))
    ran = run("upscale", "--x2", "in", "--weights", "x2.safetensors")
    assert (ran.code, "note" in ran.out + ran.err) == (0, False)
    assert size("in-x2/a.png") == (14, 18)
    for arguments, said in (
        (["in", "--weights", "x2.safetensors"], "x2.safetensors enlarges ×2, not ×4"),
        (["in", "--weights", "x2.safetensors", "--scale", "2.5"], "x2.safetensors enlarges ×2, not ×2.5"),
        (["in", "--scale", "5"], "there are no weights for ×5; the most is ×4, or name some with --weights"),
        (["in", "--x2", "--x4"], "--x2, --x4 and --scale exclude each other; choose one"),
        (["in", "--x4", "--scale", "4"], "--x2, --x4 and --scale exclude each other; choose one"),
        (["in", "--scale", "0.5"], "--scale is '0.5'; it takes a number from 1, such as 1.5 or 3"),
        (["in", "--scale", "large"], "--scale is 'large'; it takes a number from 1, such as 1.5 or 3"),
    ):
        ran = run("upscale", *arguments)
        assert ran.code == 2
        assert said in ran.err
