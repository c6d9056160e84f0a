"""The recipes that make pictures from noise: their loop, their losses, and what they warn of."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import FROM_NOISE, first, losses, needs_features, results, run, same, tiny_from_noise
from torch import Tensor

from translate import checkpoints
from translate.errors import TrainingError
from translate.train.collapse import WARM_UP, Diversity, alike
from translate.train.losses import discriminator_loss, generator_loss
from translate.train.options import CGAN, FromNoise, StyleGAN
from translate.train.state import CHECKPOINT, read_checkpoint
from translate.train.stylegan import PathLength

Run = Callable[..., Any]

# The loop


@pytest.mark.parametrize("recipe", ["gan", "dcgan", "cgan", "stylegan"])
def test_cut_and_resumed_is_the_whole_run(recipe: str, npz: str, tmp_path: Path) -> None:
    assert_cut_is_whole(tiny_from_noise(npz)[recipe], tmp_path)
    network: Any = checkpoints.load_from_noise(tmp_path / "whole" / "generator.safetensors")
    assert (network.latent, network.uniform) == (6, recipe == "gan")
    assert network.classes == (("0", "1") if recipe == "cgan" else ())


@needs_features
@pytest.mark.usefixtures("one_thread")
def test_projected_stylegan_cut_and_resumed_is_the_whole_run(npz: str, tmp_path: Path) -> None:
    config = StyleGAN(src=npz, size=32, style=8, layers=2, r1=0.0, discriminator="projected", **FROM_NOISE)
    assert_cut_is_whole(config, tmp_path)


def assert_cut_is_whole(config: FromNoise, folder: Path) -> None:
    whole = list(run(config, folder / "whole"))
    steps = first(config, folder / "cut", 3)
    torch.manual_seed(12345)
    steps += run(config, folder / "cut", resume=True)
    assert losses(steps) == losses(whole)
    assert results(folder / "cut") == results(folder / "whole")
    assert set(results(folder / "cut")) == {"generator.safetensors", "samples.png"}
    assert same(*(read_checkpoint(folder / name / CHECKPOINT) for name in ("cut", "whole")))


def test_losses_that_are_asked_for(npz: str, tmp_path: Path) -> None:
    every = tiny_from_noise(npz).items()
    named = {name: [set(step.losses) for step in run(config, tmp_path / name)] for name, config in every}
    always = {"generator", "discriminator", "diversity"}
    assert named["gan"][0] == always
    assert named["dcgan"][0] == always | {"penalty"}
    assert named["cgan"][0] == always | {"alike"}
    assert named["stylegan"][0] == named["stylegan"][4] == always | {"penalty", "regulariser"}
    assert named["stylegan"][1] == always | {"penalty"}  # the regulariser comes every fourth step


def test_cgan_learns_what_is_asked_for(npz: str, tmp_path: Path) -> None:
    tiny = FROM_NOISE | {"steps": 80, "batch": 24, "width": 8, "discriminator_width": 8}
    list(run(CGAN(src=npz, lr=1e-2, diverse=0.0, **tiny), tmp_path / "out"))
    network: Any = checkpoints.load_from_noise(tmp_path / "out" / "generator.safetensors")
    labels = torch.arange(2).repeat_interleave(8)
    made: Tensor = network(torch.randn(16, 6, generator=torch.Generator().manual_seed(0)), labels)
    above, below = made[:, 0, :8].mean((1, 2)), made[:, 0, 8:].mean((1, 2))
    assert (above[:8] - below[:8]).mean() > 0.05 > -0.05 > (above[8:] - below[8:]).mean()


def test_init_takes_the_networks_over(npz: str, tmp_path: Path) -> None:
    config = tiny_from_noise(npz)["cgan"]
    list(run(config, tmp_path / "first"))
    still = CGAN(**vars(config) | {"steps": 1, "lr": 0.0})
    [step] = run(still, tmp_path / "second", init=tmp_path / "first" / CHECKPOINT)
    assert step.saved
    before, after = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("first", "second"))
    assert same(before["generator"]["first.weight"], after["generator"]["first.weight"])
    assert after["ema"]["updates"] == 1  # the average begins anew


def test_the_command_says_what_is_wrong(run: Run, npz: str, tmp_path: Path) -> None:
    ran = run("train", "gan", "--src", npz, "--out", tmp_path / "out", "--device", "cpu", "--batch", "1")
    assert (ran.code, "Invalid value for '--batch'" in ran.err) == (2, True)
    ran = run("train", "stylegan", "--src", npz, "--out", tmp_path / "out", "--device", "cpu")
    assert (ran.code, "a side of 16 is none of (32, 64, 128, 256); choose a --size" in ran.err) == (1, True)
    ran = run("train", "cgan", "--src", tmp_path / "no.npz", "--out", tmp_path / "out", "--device", "cpu")
    assert (ran.code, "no.npz does not exist" in ran.err) == (2, True)


# Losses


def test_minimax_is_the_other_side_of_the_same_game() -> None:
    scores = torch.tensor([-2.0, 0.0, 3.0])
    expected = torch.log(1 - torch.sigmoid(scores)).mean()
    torch.testing.assert_close(generator_loss(scores, "minimax"), expected)
    real = torch.tensor([1.0, -1.0])
    both = [discriminator_loss(real, scores, kind, 0.1) for kind in ("minimax", "nonsaturating")]
    by_hand = -(0.9 * torch.log(torch.sigmoid(real)) + 0.1 * torch.log(1 - torch.sigmoid(real))).mean() - expected
    torch.testing.assert_close(both[0], by_hand)
    assert both[0] == both[1]


def test_alike_is_nought_where_the_fakes_are_as_diverse() -> None:
    torch.manual_seed(0)
    real, labels = torch.randn(6, 1, 4, 4), torch.tensor([0, 0, 1, 1, 1, 2])
    assert alike(real, real.roll(1, 3), labels) == 0
    assert alike(real, real / 4, labels) == pytest.approx(0.75)
    by_class = torch.randn(3, 1, 4, 4)[labels]  # every class looks different, and within one all are the same
    assert alike(real, by_class, labels) == 1
    assert alike(real[:2], by_class[:2], torch.tensor([0, 1])) == 0  # nothing to compare
    twice = real[:1].repeat(2, 1, 1, 1)  # all that there is of a class was drawn twice
    fake = torch.randn(2, 1, 4, 4, requires_grad=True)
    alike(twice, fake, torch.tensor([0, 0])).backward()
    assert fake.grad is not None
    assert fake.grad.isfinite().all()


@pytest.mark.parametrize("recipe", ["gan", "dcgan", "cgan", "stylegan"])
def test_every_recipe_trains_in_bfloat16(recipe: str, npz: str, tmp_path: Path) -> None:
    config = replace(tiny_from_noise(npz)[recipe], steps=2, precision="bf16")
    assert all(np.isfinite(list(step.losses.values())).all() for step in run(config, tmp_path / "out"))


@pytest.mark.parametrize("recipe", ["dcgan", "cgan"])
def test_sizes_that_doubling_does_not_reach_are_said(recipe: str, npz: str, tmp_path: Path) -> None:
    config = replace(tiny_from_noise(npz)[recipe], size=100)
    with pytest.raises(TrainingError, match=r"100×100 cannot be made by doubling; .* choose such a --size"):
        next(iter(run(config, tmp_path / "out")))


def test_path_length_of_a_linear_generator() -> None:
    class Linear(torch.nn.Module):
        styles, size = 1, 4

        def mapping(self, z: Tensor) -> Tensor:
            return z

        def synthesise(self, ws: Tensor) -> Tensor:
            return (3 * ws[:, 0, :1])[..., None, None].expand(-1, 1, 4, 4) / 4

    torch.manual_seed(0)
    regulariser = PathLength(2.0)
    values = [regulariser(Linear(), torch.randn(64, 5, requires_grad=True)) for _ in range(300)]
    expected = 3 / 4 * (2 / np.pi) ** 0.5  # the mean of |N(0, 3/4)|
    assert float(regulariser.mean) == pytest.approx(expected, rel=0.1)
    assert float(values[-1]) == pytest.approx(2 * (3 / 4) ** 2 * (1 - 2 / np.pi), rel=0.6)


# Mode collapse


def test_a_fall_of_diversity_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "translate")
    torch.manual_seed(0)
    watch, labels = Diversity(), torch.zeros(8, dtype=torch.long)

    def look(scale: float, steps: int) -> float:
        for _ in range(steps):
            value = watch.update(torch.randn(8, 1, 4, 4), torch.randn(8, 1, 4, 4) * scale, labels)
        return value

    assert look(1.0, WARM_UP + 50) == pytest.approx(1, abs=0.05)
    assert caplog.messages == []
    look(0.3, 100)
    assert len(caplog.messages) == 1
    assert "mode collapse: the pictures have only 0." in caplog.text
    copy = Diversity()
    copy.load_state_dict(watch.state_dict())
    assert same(copy.state_dict(), watch.state_dict())


def test_a_generator_that_never_gets_diverse_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "translate")
    watch, labels = Diversity(), torch.zeros(4, dtype=torch.long)
    for _ in range(WARM_UP + 1):
        watch.update(torch.randn(4, 1, 2, 2), torch.randn(4, 1, 2, 2) * 0.1, labels)
    assert len(caplog.messages) == 1


# Data


@pytest.mark.parametrize(("labels", "said"), [(np.zeros(4, int), "one class only, 0"), (None, "no labels")])
def test_a_conditional_generator_needs_classes(labels: Any, said: str, tmp_path: Path) -> None:
    arrays = {"x_train": np.zeros((4, 16, 16), np.uint8)} | ({} if labels is None else {"y_train": labels})
    np.savez(path := tmp_path / "one.npz", **arrays)
    with pytest.raises(TrainingError, match=f"has {said}; .* or train a dcgan"):
        next(run(CGAN(src=str(path), **FROM_NOISE), tmp_path / "out"))
