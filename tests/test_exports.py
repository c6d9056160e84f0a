"""What a run exports: of every recipe the averaged networks, each under its own name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import (
    needs_features,
    run,
    same,
    save_images,
    tiny_colourise,
    tiny_cyclegan,
    tiny_from_noise,
    tiny_pix2pix,
    tiny_restore,
    tiny_srgan,
)
from safetensors.torch import load_file
from torch import Tensor, nn

from translate.train import restore
from translate.train.options import Run
from translate.train.state import CHECKPOINT, Ema, read_checkpoint

Weights = dict[str, Tensor]

# Where the learning rate begins near zero, it is a high one.
OF_PICTURES: dict[str, Callable[[Path, Path], Run]] = {
    "cyclegan": lambda a, b: replace(tiny_cyclegan(a, b), lr=1e-2),
    "pix2pix": lambda a, b: replace(tiny_pix2pix(a), lr=1e-2),
    "srresnet": lambda a, b: replace(tiny_srgan(a), lr=1.0),
    "srgan": lambda a, b: replace(tiny_srgan(a), lr=1.0, gan_steps=1, gan_lr=1e-2),
    "colourise": lambda a, b: replace(tiny_colourise(a), lr=1.0, encoder_lr=1.0),
    "restore": lambda a, b: replace(tiny_restore(a), lr=1.0),
}
FROM_NOISE = ["gan", "dcgan", "cgan", "stylegan"]
# Of every recipe: file, name of the average and of the network in the checkpoint.
EXPORTS = {
    "cyclegan": [("a2b", "ema_a2b", "a2b"), ("b2a", "ema_b2a", "b2a")],
    "pix2pix": [("pix2pix", "ema", "generator")],
    "srresnet": [("srresnet", "ema", "generator")],
    "srgan": [("srgan", "ema", "generator")],
    "colourise": [("colourise", "ema", "network")],
    "restore": [("restore", "ema", "network")],
    **{name: [("generator", "ema", "generator")] for name in FROM_NOISE},
}
WITH_FEATURES = ("srgan", "colourise", "restore")
every_recipe = pytest.mark.parametrize(
    "recipe", [pytest.param(name, marks=needs_features if name in WITH_FEATURES else ()) for name in EXPORTS]
)


@pytest.fixture
def config(recipe: str, npz: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(restore, "MEASURED", 2)
    if recipe in FROM_NOISE:
        return replace(tiny_from_noise(npz)[recipe], steps=3, lr=1e-2)
    a, b = (save_images(tmp_path / name, 2, seed=seed) for seed, name in enumerate("ab"))
    return replace(OF_PICTURES[recipe](a, b), steps=3)


def halved(weights: Weights) -> Weights:
    return {name: weight.half() if weight.is_floating_point() else weight for name, weight in weights.items()}


@every_recipe
def test_the_averaged_networks_are_exported(recipe: str, config: Run, tmp_path: Path) -> None:
    list(run(replace(config, ema=0.2), out := tmp_path / "out"))
    saved = read_checkpoint(out / CHECKPOINT)
    seen: list[Weights] = []
    for file, average, network in EXPORTS[recipe]:
        exported = load_file(out / f"{file}.safetensors")
        assert same(exported, halved(saved[average]["network"]))
        assert not same(exported, halved(saved[network]))
        assert not any(same(exported, other) for other in seen)
        seen.append(exported)
        assert saved[average]["updates"] == 3


@every_recipe
def test_an_average_that_forgets_at_once_is_the_network(recipe: str, config: Run, tmp_path: Path) -> None:
    list(run(replace(config, ema=0.0), out := tmp_path / "out"))
    saved = read_checkpoint(out / CHECKPOINT)
    for _, average, network in EXPORTS[recipe]:
        assert same(saved[average]["network"], saved[network])


def test_an_average_has_the_running_statistics_of_now() -> None:
    """They are averages already; and a source without new weights still has new statistics."""
    source, average = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    ema = Ema(source, average, 0.999)
    for value in (3.0, 5.0):
        assert isinstance(source.running_mean, Tensor)
        source.running_mean.fill_(value)
        ema.update()
        torch.testing.assert_close(average.running_mean, torch.full((2,), value))
    assert not average.training
