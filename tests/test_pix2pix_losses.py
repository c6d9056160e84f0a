"""The losses of pix2pix, by hand: what they compare, and what the networks learn from them."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from one_crop import assert_gradients, loaded, save_one_crop, told_apart
from runs import needs_features, run
from torch import Tensor

from translate.features import FeatureNetwork
from translate.models.cyclegan import ResnetGenerator
from translate.models.patchgan import PatchDiscriminator
from translate.train import pix2pix
from translate.train.losses import discriminator_loss, generator_loss, r1_penalty
from translate.train.options import Gan, Pix2Pix
from translate.train.state import CHECKPOINT, read_checkpoint


class Still(NamedTuple):
    """A run of one step that moves nothing, and the pair that it has seen."""

    config: Pix2Pix
    a: Tensor
    b: Tensor


@pytest.fixture
def still(tmp_path: Path) -> Still:
    a, b = (save_one_crop(tmp_path / name, seed) for seed, name in enumerate("ab"))
    config = Pix2Pix(
        a=str(tmp_path / "a"), b=str(tmp_path / "b"), size=32, load=(32, 32), generator="resnet", width=4, blocks=1,
        discriminator_width=4, lr=0, steps=1,
    )  # fmt: skip
    return Still(config, a, b)


@pytest.mark.parametrize("gan", ["lsgan", "nonsaturating", "hinge"])
def test_pix2pix_losses_by_hand(still: Still, gan: Gan, tmp_path: Path) -> None:
    """The judge sees a source and what is made of it; the penalty is that of the real pair."""
    config = replace(still.config, gan=gan, label_smoothing=0.2, r1=3.0, l1=7.0, adversarial=2.0)
    [step] = run(config, tmp_path / "out")
    saved = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    generator = loaded(ResnetGenerator(4, 1), saved["generator"])
    judge = loaded(PatchDiscriminator(6, 4), saved["judge"])
    fake = generator(still.a)
    real, false = (torch.cat([still.a, picture], 1) for picture in (still.b, fake))
    expected = {"l1": (fake - still.b).abs().mean(), "gan": generator_loss(judge(false), gan)}
    assert_gradients(0.5, 7 * expected["l1"] + 2 * expected["gan"], generator, saved["optimise_g"])

    false = false.detach()
    judged = {
        "judge": discriminator_loss(judge(real), judge(false), gan, 0.2),
        "penalty": 3 * r1_penalty(judge, real),
    }
    assert_gradients(0.5, judged["judge"] + judged["penalty"], judge, saved["optimise_d"])
    every = {name: loss.item() for name, loss in (expected | judged).items()}
    assert step.losses == pytest.approx(every, rel=1e-4)


@needs_features
def test_pix2pix_compares_features_of_the_colours_and_of_the_outlines(still: Still, tmp_path: Path) -> None:
    [step] = run(replace(still.config, feature=1.0, outline=1.0, adversarial=0), tmp_path / "out")
    saved = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    generator, features = loaded(ResnetGenerator(4, 1), saved["generator"]), FeatureNetwork()
    with torch.no_grad():
        fake, real = (generator(still.a) + 1) / 2, (still.b + 1) / 2
    luminance = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    grey_fake, grey_real = ((x * luminance).sum(1, keepdim=True).expand(-1, 3, -1, -1) for x in (fake, real))
    assert step.losses["feature"] == pytest.approx(features.feature_loss(fake, real).item(), rel=1e-3)
    assert step.losses["outline"] == pytest.approx(features.feature_loss(grey_fake, grey_real).item(), rel=1e-3)


def test_pix2pix_calls_the_target_real(still: Still, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told apart by a judge that gives back what it is shown."""
    calls = told_apart(pix2pix, PatchDiscriminator, monkeypatch)
    list(run(still.config, tmp_path / "out"))
    generator = loaded(ResnetGenerator(4, 1), read_checkpoint(tmp_path / "out" / CHECKPOINT)["generator"])
    [(real, fake)] = calls
    torch.testing.assert_close(real, torch.cat([still.a, still.b], 1))
    torch.testing.assert_close(fake, torch.cat([still.a, generator(still.a).detach()], 1))
