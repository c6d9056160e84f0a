"""The losses of SRGAN, by hand: what they compare, and when which of them counts."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from one_crop import assert_gradients, loaded, save_one_crop, told_apart
from runs import needs_features, run, same, tiny_srgan
from torch import Tensor

from translate.features import FeatureNetwork
from translate.models.patchgan import UNetDiscriminator
from translate.models.srgan import SRResNet
from translate.train import srgan
from translate.train.losses import discriminator_loss, generator_loss, grid, r1_penalty
from translate.train.options import SRGAN, Gan
from translate.train.patches import SuperResolutionPatches
from translate.train.state import CHECKPOINT, read_checkpoint


class Still(NamedTuple):
    """A run that moves nothing, and the pair that it has seen."""

    config: SRGAN
    low: Tensor
    high: Tensor


@pytest.fixture
def still(tmp_path: Path) -> Still:
    save_one_crop(tmp_path / "hr")
    low, high = SuperResolutionPatches([tmp_path / "hr"], 8, 4).batch(1)
    return Still(replace(tiny_srgan(tmp_path / "hr"), batch=1, lr=0, gan_lr=0), low, high)


@pytest.fixture
def crop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the judge sees of a picture, in every step from the same corner."""
    cropped = srgan.cropped
    monkeypatch.setattr(srgan, "cropped", lambda images, corner: cropped(images, [5, 2]))
    return lambda images: cropped(images, [5, 2])


@needs_features
@pytest.mark.parametrize("gan", ["lsgan", "nonsaturating", "hinge"])
def test_srgan_losses_by_hand(still: Still, crop: Any, gan: Gan, tmp_path: Path) -> None:
    """In the second step: its judge is that of the first, and what its spectral norm estimates goes on from there."""
    weights: dict[str, Any] = {"pixel": 2.0, "feature": 3.0, "grid": 5.0, "adversarial": 7.0}
    config = replace(still.config, steps=2, gan_steps=2, gan=gan, label_smoothing=0.2, r1=3.0, distance="l2", **weights)
    steps = run(config, tmp_path / "out", minutes=0)
    states = [(step, read_checkpoint(tmp_path / "out" / CHECKPOINT)) for step in steps]
    (_, saved), (step, after) = states
    generator = loaded(SRResNet(4, 1, tail="direct"), saved["generator"])
    judge = loaded(UNetDiscriminator(4), saved["judge"])

    fake = generator(still.low)
    expected = {
        "pixel": (fake - still.high).abs().mean(),
        "feature": FeatureNetwork().feature_loss(crop(fake), crop(still.high)),
        "grid": grid(fake, still.high, 4),
        "gan": generator_loss(judge(crop(fake)), gan),
    }
    total = torch.stack([weight * loss for weight, loss in zip(weights.values(), expected.values(), strict=True)]).sum()
    assert_gradients(0.9, total, generator, after["optimise_g"], saved["optimise_g"])

    real, false = crop(still.high), crop(fake).detach()
    judged = {"judge": discriminator_loss(judge(real), judge(false), gan, 0.2)}
    judged["penalty"] = 3 * r1_penalty(judge, real)
    assert_gradients(0.9, judged["judge"] + judged["penalty"], judge, after["optimise_d"], saved["optimise_d"])
    every = {name: loss.item() for name, loss in (expected | judged).items()}
    assert step.losses == pytest.approx(every, rel=1e-4)


@needs_features
def test_srgan_calls_the_photograph_real(
    still: Still, crop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told apart by a judge that gives back what it is shown."""
    calls = told_apart(srgan, UNetDiscriminator, monkeypatch)
    list(run(replace(still.config, steps=1, gan_steps=1), tmp_path / "out"))
    generator = loaded(SRResNet(4, 1, tail="direct"), read_checkpoint(tmp_path / "out" / CHECKPOINT)["generator"])
    [(real, fake)] = calls
    torch.testing.assert_close(real, crop(still.high))
    torch.testing.assert_close(fake, crop(generator(still.low)).detach())


def test_the_weights_of_srgan_are_for_the_adversarial_steps_alone(one: SRGAN, tmp_path: Path) -> None:
    ends, weights = [], list[dict[str, Any]]([{}, {"pixel": 0.0}, {"pixel": 9.0, "feature": 9.0, "adversarial": 9.0}])
    for number, others in enumerate(weights):
        list(run(replace(one, steps=2, **others), tmp_path / str(number)))
        ends.append(read_checkpoint(tmp_path / str(number) / CHECKPOINT)["optimise_g"])
    assert same(ends[0], ends[1])
    assert same(ends[0], ends[2])
