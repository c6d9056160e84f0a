"""Pairs of two folders where a source has another size than its target."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from translate.train import pairs

RNG = np.random.default_rng(0)


def two_folders(folder: Path, sources: list[np.ndarray], targets: list[np.ndarray]) -> tuple[Path, Path]:
    for name, pictures in (("a", sources), ("b", targets)):
        (folder / name).mkdir()
        for number, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder / "a", folder / "b"


@pytest.mark.parametrize(("taller", "wider"), [(2, 2), (1, 2), (3, 1)])
def test_a_source_is_brought_to_the_size_of_its_target(tmp_path: Path, taller: int, wider: int) -> None:
    """Whatever its proportions: the two are of one place then."""
    targets = [RNG.integers(0, 256, (16, 20, 3), np.uint8) for _ in range(2)]
    sources = [target.repeat(taller, 0).repeat(wider, 1) for target in targets]
    made = pairs.of_two_folders(*two_folders(tmp_path, sources, targets), 16, (16, 16))
    assert [image.shape for image in made.crops.images] == [(16, 20, 6)] * 2
    torch.manual_seed(0)
    source, target = made.batch(6)
    assert source.shape == (6, 3, 16, 16)
    assert torch.equal(source, target)


def test_a_larger_source_is_averaged(tmp_path: Path) -> None:
    board = np.repeat((np.indices((48, 60)).sum(0) % 2 * 255).astype(np.uint8)[..., None], 3, 2)
    target = np.zeros((16, 20, 3), np.uint8)
    source, _ = pairs.of_two_folders(*two_folders(tmp_path, [board] * 2, [target] * 2), 16, (16, 16)).batch(2)
    assert source.abs().max() < 0.15
