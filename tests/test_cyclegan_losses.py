"""The losses of CycleGAN that are chosen, by hand, and what their weights do. The paper's are in `test_recipes`."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from one_crop import loaded, save_one_crop, told_apart
from runs import run, tiny_cyclegan
from torch import Tensor

from translate.models.cyclegan import ResnetGenerator
from translate.models.patchgan import PatchDiscriminator
from translate.train import cyclegan
from translate.train.losses import changed, discriminator_loss, generator_loss, photorealism, r1_penalty
from translate.train.options import CycleGAN, Gan
from translate.train.state import CHECKPOINT, read_checkpoint


class Still(NamedTuple):
    """A run of one step that moves nothing, and the pictures that it has seen."""

    config: CycleGAN
    a: Tensor
    b: Tensor


@pytest.fixture
def still(tmp_path: Path) -> Still:
    a, b = (save_one_crop(tmp_path / name, seed) for seed, name in enumerate("ab"))
    config = replace(tiny_cyclegan(tmp_path / "a", tmp_path / "b"), load=(32, 32), lr=0, steps=1, sparsity=1.0)
    return Still(config, a, b)


def made(still: Still, out: Path) -> tuple[Tensor, Tensor]:
    """What the run has made of b and of a."""
    saved = read_checkpoint(out / CHECKPOINT)
    a2b, b2a = (loaded(ResnetGenerator(4, 1), saved[name]) for name in ("a2b", "b2a"))
    with torch.no_grad():
        return b2a(still.b), a2b(still.a)


@pytest.mark.parametrize("gan", ["nonsaturating", "hinge"])
def test_cyclegan_adversarial_losses_by_hand(still: Still, gan: Gan, tmp_path: Path) -> None:
    [step] = run(replace(still.config, gan=gan, label_smoothing=0.2, r1=3.0), tmp_path / "out")
    saved = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    expected = {}
    fake_a, fake_b = made(still, tmp_path / "out")
    for name, turn, real, fake in (("a", "b2a", still.a, fake_a), ("b", "a2b", still.b, fake_b)):
        judge = loaded(PatchDiscriminator(3, 4), saved[f"judge_{name}"])
        expected[f"gan_{turn}"] = generator_loss(judge(fake), gan).item()
        expected[f"judge_{name}"] = discriminator_loss(judge(real), judge(fake), gan, 0.2).item()
        expected[f"penalty_{name}"] = 3 * r1_penalty(judge, real).item()
    assert {name: step.losses[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_sparsity_and_photorealism_compare_a_picture_with_what_is_made_of_it(still: Still, tmp_path: Path) -> None:
    [step] = run(still.config, tmp_path / "out")
    fake_a, fake_b = made(still, tmp_path / "out")
    expected = changed(still.a, fake_b) + changed(still.b, fake_a)
    assert step.losses["sparsity"] == pytest.approx(expected.item(), rel=1e-4)
    expected = photorealism(still.a, fake_b) + photorealism(still.b, fake_a)
    assert step.losses["photorealism"] == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ("weight", "doubled"),
    [
        ("cycle", {"cycle", "identity"}),  # the one is given as a part of the other
        ("identity", {"identity"}),
        ("photorealism", {"photorealism"}),
        ("sparsity", {"sparsity"}),
    ],
)
def test_twice_the_weight_is_twice_the_loss(still: Still, weight: str, doubled: set[str], tmp_path: Path) -> None:
    twice: dict[str, Any] = {weight: 2 * getattr(still.config, weight)}
    [one] = run(still.config, tmp_path / "one")
    [two] = run(replace(still.config, **twice), tmp_path / "two")
    expected = {name: loss * (2 if name in doubled else 1) for name, loss in one.losses.items()}
    assert two.losses == pytest.approx(expected, rel=1e-5)
    assert doubled < set(expected)


def test_cyclegan_calls_the_photographs_real(still: Still, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told apart by judges that give back what they are shown."""
    calls = told_apart(cyclegan, PatchDiscriminator, monkeypatch)
    list(run(still.config, tmp_path / "out"))
    fake_a, fake_b = made(still, tmp_path / "out")
    for call, expected in zip(calls, ((still.a, fake_a), (still.b, fake_b)), strict=True):
        torch.testing.assert_close(call, expected)


def test_each_judge_has_a_pool_of_the_fakes_of_its_kind(still: Still, tmp_path: Path) -> None:
    list(run(replace(still.config, steps=6, pool=2), tmp_path / "out"))
    saved = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    for pool, fake in zip(("pool_a", "pool_b"), made(still, tmp_path / "out"), strict=True):
        images = saved[pool]["images"]
        assert len(images) == 2
        for image in images:
            torch.testing.assert_close(image, fake[0])
