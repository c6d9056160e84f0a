"""What a step of the recipes moves, and at which learning rate."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import (
    needs_features,
    run,
    same,
    save_images,
    tiny_colourise,
    tiny_from_noise,
    tiny_pix2pix,
    tiny_restore,
    tiny_srgan,
)

from translate.train import restore
from translate.train.options import Run
from translate.train.state import CHECKPOINT, cosine, read_checkpoint

State = dict[str, Any]


def states(config: Run, out: Path) -> list[State]:
    """The checkpoint of every step."""
    return [read_checkpoint(out / CHECKPOINT) for _ in run(config, out, minutes=0)]


def rates(states: list[State], optimiser: str, group: int = 0) -> list[float]:
    return [state[optimiser]["param_groups"][group]["lr"] for state in states]


def unmoved(before: State, after: State) -> list[str]:
    """The weights of a network that are as they were; of StyleGAN the noise is none of them, and never moves."""
    return [key for key in before if not key.endswith(".noise") and same(before[key], after[key])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_images(tmp_path / "photos", 3)


# Networks

WITH_JUDGE: dict[str, Callable[[Path], Run]] = {
    "pix2pix": tiny_pix2pix,
    "srgan": lambda hr: replace(tiny_srgan(hr), steps=2, gan_steps=2),
}


@pytest.mark.parametrize("recipe", ["pix2pix", pytest.param("srgan", marks=needs_features)])
def test_a_step_moves_every_weight_of_both_networks(recipe: str, folder: Path, tmp_path: Path) -> None:
    before, after = states(replace(WITH_JUDGE[recipe](folder), steps=2), tmp_path / "out")
    assert [unmoved(before[name], after[name]) for name in ("generator", "judge")] == [[], []]


@pytest.mark.parametrize("recipe", ["gan", "dcgan", "cgan", "stylegan"])
def test_a_step_from_noise_moves_every_weight_of_both_networks(recipe: str, npz: str, tmp_path: Path) -> None:
    """With no hinge, which does not move the last bias where all the scores are near nought."""
    config = replace(tiny_from_noise(npz)[recipe], steps=2, gan="nonsaturating")
    before, after = states(config, tmp_path / "out")
    assert [unmoved(before[name], after[name]) for name in ("generator", "discriminator")] == [[], []]


# Learning rates


@pytest.mark.parametrize(("step", "rate"), [(0, 1 / 200), (500, 0.5), (1000, 0.0)])
def test_a_cosine_begins_small_and_ends_at_nought(step: int, rate: float) -> None:
    assert cosine(step, 1000) == pytest.approx(rate, abs=1e-12)


def test_pix2pix_learns_at_the_rate_of_the_paper(folder: Path, tmp_path: Path) -> None:
    """Constant over the first half, and then falling to zero."""
    every = states(replace(tiny_pix2pix(folder), lr=3e-4), tmp_path / "out")
    expected = [3e-4 * factor for factor in (1, 1, 1, 1, 2 / 3, 1 / 3)]
    assert rates(every, "optimise_g") == pytest.approx(expected)
    assert rates(every, "optimise_d") == pytest.approx(expected)


@needs_features
def test_srgan_has_a_rate_of_its_own_for_its_adversarial_steps(folder: Path, tmp_path: Path) -> None:
    every = states(replace(tiny_srgan(folder), gan_steps=2, lr=1e-2, gan_lr=3e-4), tmp_path / "out")
    fidelity = [1e-2 * cosine(step, 4) for step in range(4)]
    assert rates(every, "optimise_g") == pytest.approx([*fidelity, 3e-4, 3e-4])
    assert rates(every, "optimise_d") == pytest.approx([3e-4] * 6)


@needs_features
def test_the_encoder_of_the_colouriser_has_a_rate_of_its_own(folder: Path, tmp_path: Path) -> None:
    config = replace(tiny_colourise(folder), steps=2, lr=0.1)
    every = states(replace(config, encoder_lr=0.01), tmp_path / "both")
    assert rates(every, "optimiser", 0) == pytest.approx([0.1 * cosine(step, 2) for step in range(2)])
    assert rates(every, "optimiser", 1) == pytest.approx([0.01 * cosine(step, 2) for step in range(2)])
    assert unmoved(every[0]["network"], every[-1]["network"]) == ["bins", "temperature"]

    first, last = (state["network"] for state in states(replace(config, encoder_lr=0.0), tmp_path / "decoder"))
    encoder = {key for key in first if key.startswith("encoder.")}
    assert encoder
    assert set(unmoved(first, last)) == encoder | {"bins", "temperature"}


@needs_features
def test_the_restorer_learns_at_the_rate_of_a_cosine(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "MEASURED", 2)
    every = states(replace(tiny_restore(folder), steps=3, lr=0.1), tmp_path / "out")
    assert rates(every, "optimiser") == pytest.approx([0.1 * cosine(step, 3) for step in range(3)])
