"""A large picture is written while it is made."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import Fake, flat
from PIL import Image
from torch import Tensor

from translate import engine, images, memory
from translate.engine import Translator
from translate.frames import Job
from translate.images import Picture
from translate.models import Model


class Counting(Fake):
    """Fails once, at the part that it is told."""

    def __init__(self, fails_at: int, error: Exception) -> None:
        super().__init__(2)
        self.calls, self.fails_at, self.error = 0, fails_at, error

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fails_at:
            raise self.error
        return super().forward(x)

    def __deepcopy__(self, memo: object) -> "Counting":
        return self


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize("kind", ["plain", "grey", "alpha", "deep"])
def test_a_large_picture_is_written_while_it_is_made(suffix: str, kind: str, tmp_path: Path, monkeypatch: Any) -> None:
    rng = np.random.default_rng(0)
    dtype = np.uint16 if kind == "deep" else np.uint8
    pixels = rng.integers(0, np.iinfo(dtype).max, (75, 40, 1 if kind == "grey" else 3)).astype(dtype)
    alpha = rng.integers(0, 255, (75, 40)).astype(np.uint8) if kind == "alpha" else None
    exif = Image.Exif()
    exif[271] = "maker"
    images.write(
        tmp_path / "in.png",
        Picture(np.repeat(pixels, 3 // pixels.shape[2], 2), alpha, exif.tobytes(), grey=kind == "grey"),
    )
    made = []
    written = images.write_strips

    def noted(path: Path, pieces: Any, size: tuple[int, int]) -> None:
        made.append(path.suffix)
        return written(path, pieces, size)

    for name, tile in (("whole", "off"), ("parts", 32)):
        model = Model(Fake(2), "Fake", scale=2, halo=0)
        target = tmp_path / f"{name}{suffix}"
        if name == "parts":
            monkeypatch.setattr(images, "write_strips", noted)
        (done,) = engine.run(Translator(model, "cpu", "fp32", tile), [Job(tmp_path / "in.png", target)])  # type: ignore[arg-type]
        assert done.status == "done", done.message
    assert made == ([] if suffix == ".jpg" else [suffix])
    whole, parts = (images.read(tmp_path / f"{name}{suffix}") for name in ("whole", "parts"))
    assert (whole.grey, whole.exif, whole.pixels.dtype) == (parts.grey, parts.exif, parts.pixels.dtype)
    assert np.array_equal(whole.pixels, parts.pixels)
    assert whole.alpha is None or np.array_equal(whole.alpha, parts.alpha)
    assert parts.pixels.shape == (150, 80, 3)


def test_a_large_picture_that_fails_midway_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    images.write(tmp_path / "in.png", flat(200, 150))
    job = Job(tmp_path / "in.png", tmp_path / "out.png")
    broken = Model(Counting(2, RuntimeError("for the test")), "Counting", scale=2, halo=0)
    (done,) = engine.run(Translator(broken, "cpu", "fp32", 32), [job])
    assert (done.status, done.message) == ("failed", "for the test")
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
    short = Counting(2, torch.OutOfMemoryError("for the test"))
    translate = Translator(Model(short, "Counting", scale=2, halo=0), "cpu", "fp32")
    monkeypatch.setattr(memory, "tile_side", lambda *_: 128)
    (done,) = engine.run(translate, [job])
    assert (done.status, done.message) == ("done", None)
    assert short.calls == 2 + 4 * 3  # begun anew in parts of half the side
    assert images.read(job.target).pixels.shape == (400, 300, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png"]
