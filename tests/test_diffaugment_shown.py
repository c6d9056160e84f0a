"""What `--diffaugment` changes: all that a discriminator is shown, the fakes of the generator's step, too."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from one_crop import loaded, save_one_crop
from runs import needs_features, run, tiny_cyclegan, tiny_from_noise, tiny_pix2pix, tiny_srgan
from torch import Tensor

from translate.models.cyclegan import ResnetGenerator
from translate.models.dcgan import DCDiscriminator
from translate.models.patchgan import PatchDiscriminator, UNetDiscriminator
from translate.models.srgan import SRResNet
from translate.train import adversarial, cyclegan, pix2pix, srgan
from translate.train.labelled import Pictures
from translate.train.options import Pix2Pix
from translate.train.patches import SuperResolutionPatches
from translate.train.state import CHECKPOINT, read_checkpoint

STILL: dict[str, Any] = {"steps": 1, "lr": 0.0, "diffaugment": True}


class Change(NamedTuple):
    """A call of `diffaugment`: what went in, and what came out."""

    before: Tensor
    draws: Tensor
    value_range: tuple[float, float]
    after: Tensor


class Watched:
    """The calls of a recipe's `diffaugment`, which multiplies here, and what its judges are shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, recipe: ModuleType, judge: Any) -> None:
        self.changes, self.shown = list[Change](), list[Tensor]()
        forward = judge.forward

        def change(x: Tensor, draws: Tensor, value_range: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
            after = x * draws[:, :1, None, None]
            self.changes.append(Change(x.detach(), draws, value_range, after.detach()))
            return after

        def judged(network: Any, x: Tensor, *labels: Tensor, **named: Tensor) -> Tensor:
            self.shown.append(x.detach())
            result: Tensor = forward(network, x, *labels, **named)
            return result

        monkeypatch.setattr(recipe, "diffaugment", change)
        monkeypatch.setattr(judge, "forward", judged)

    def assert_changed(self, *pictures: Tensor) -> None:
        """Whether these were changed in this order."""
        for change, picture in zip(self.changes, pictures, strict=True):
            torch.testing.assert_close(change.before, picture)

    def assert_shown(self) -> None:
        """Whether what came out of each call is what the judges were shown."""
        for shown, change in zip(self.shown, self.changes, strict=True):
            assert torch.equal(shown, change.after)

    def alike(self, one: int, other: int) -> bool:
        """Whether two calls had the same random numbers."""
        return torch.equal(self.changes[one].draws, self.changes[other].draws)


def test_cyclegan_shows_its_judges_changed_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, cyclegan, PatchDiscriminator)
    a, b = (save_one_crop(tmp_path / name, seed) for seed, name in enumerate("ab"))
    list(run(replace(tiny_cyclegan(tmp_path / "a", tmp_path / "b"), load=(32, 32), **STILL), tmp_path / "out"))
    saved = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    with torch.no_grad():
        fake_b = loaded(ResnetGenerator(4, 1), saved["a2b"])(a)
        fake_a = loaded(ResnetGenerator(4, 1), saved["b2a"])(b)
    watched.assert_changed(fake_b, fake_a, a, fake_a, b, fake_b)
    watched.assert_shown()
    assert {change.value_range for change in watched.changes} == {(-1, 1)}
    assert not any(watched.alike(*calls) for calls in ((0, 1), (2, 3), (4, 5), (2, 4)))


def test_pix2pix_changes_a_source_and_its_picture_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, pix2pix, PatchDiscriminator)
    a, b = (save_one_crop(tmp_path / name, seed) for seed, name in enumerate("ab"))
    config: Pix2Pix = replace(tiny_pix2pix(tmp_path), photos=(), a=str(tmp_path / "a"), b=str(tmp_path / "b"))
    list(run(replace(config, load=(32, 32), **STILL), tmp_path / "out"))
    with torch.no_grad():
        fake = loaded(ResnetGenerator(4, 1), read_checkpoint(tmp_path / "out" / CHECKPOINT)["generator"])(a)
    watched.assert_changed(a, fake, a, b, a, fake)
    assert {change.value_range for change in watched.changes} == {(-1, 1)}
    assert all(watched.alike(call, call + 1) for call in (0, 2, 4))
    assert not watched.alike(2, 4)
    pairs = [torch.cat([watched.changes[call + half].after for half in range(2)], 1) for call in (0, 2, 4)]
    for shown, pair in zip(watched.shown, pairs, strict=True):
        assert torch.equal(shown, pair)


@needs_features
def test_srgan_shows_its_judge_changed_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pictures go from 0 to 1."""
    watched = Watched(monkeypatch, srgan, UNetDiscriminator)
    cropped = srgan.cropped
    monkeypatch.setattr(srgan, "cropped", lambda images, corner: cropped(images, [5, 2]))
    save_one_crop(tmp_path / "hr")
    low, high = SuperResolutionPatches([tmp_path / "hr"], 8, 4).batch(2)
    list(run(replace(tiny_srgan(tmp_path / "hr"), gan_steps=1, gan_lr=0, **STILL), tmp_path / "out"))
    saved = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    with torch.no_grad():
        fake = loaded(SRResNet(4, 1, tail="direct"), saved["generator"])(low)
    fake, high = cropped(fake, [5, 2]), cropped(high, [5, 2])
    watched.assert_changed(fake, high, fake)
    watched.assert_shown()
    assert {change.value_range for change in watched.changes} == {(0, 1)}
    assert not watched.alike(1, 2)


def test_a_recipe_from_noise_shows_its_judge_changed_pictures(
    npz: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch, adversarial, DCDiscriminator)
    list(run(replace(tiny_from_noise(npz)["dcgan"], r1=0.0, mirror=False, **STILL), tmp_path / "out"))
    made, real, again = watched.changes
    assert torch.equal(made.before, again.before)
    known = Pictures(Path(npz)).pixels.flatten(1).tolist()
    assert all(row in known for row in ((real.before + 1) * 127.5).round().byte().flatten(1).tolist())
    assert not any(row in known for row in ((made.before + 1) * 127.5).round().byte().flatten(1).tolist())
    watched.assert_shown()
    assert {change.value_range for change in watched.changes} == {(-1, 1)}
    assert not watched.alike(1, 2)


@pytest.mark.parametrize("recipe", ["cyclegan", "pix2pix", "dcgan"])
def test_nothing_is_changed_unasked(recipe: str, npz: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for folder in (a, b):
        save_one_crop(folder)
    config: Any = {
        "cyclegan": tiny_cyclegan(a, b),
        "pix2pix": tiny_pix2pix(a),
        "dcgan": tiny_from_noise(npz)["dcgan"],
    }[recipe]
    module = {"cyclegan": cyclegan, "pix2pix": pix2pix, "dcgan": adversarial}[recipe]
    monkeypatch.delattr(module, "diffaugment")
    list(run(replace(config, steps=1), tmp_path / "out"))
