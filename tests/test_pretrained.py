"""The generator on ImageNet features, and the recipes with it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import first, losses, needs_features, results, run, same, save_images, tiny_cyclegan, tiny_pix2pix

from translate import checkpoints
from translate.errors import InputError
from translate.features import FeatureNetwork
from translate.models import pretrained
from translate.models.pretrained import PretrainedGenerator
from translate.tiles import in_tiles
from translate.train import generators
from translate.train.options.pictures import STRIDE
from translate.train.state import CHECKPOINT, read_checkpoint


def picture(height: int, width: int) -> torch.Tensor:
    torch.manual_seed(1)
    small = torch.rand(1, 3, height // 8 + 1, width // 8 + 1) * 2 - 1
    return torch.nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(-0.9, 0.9)


def with_head(shift: float, gain: float) -> PretrainedGenerator:
    network = PretrainedGenerator(2).eval()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([shift, shift, shift, gain]))  # type: ignore[union-attr]
    return network


def test_it_starts_at_the_picture() -> None:
    x = picture(48, 32)
    torch.testing.assert_close(with_head(0, 0)(x), x, rtol=0, atol=1e-5)


def test_a_gain_of_nothing_forgets_the_picture() -> None:
    y = with_head(0.5, -30)(picture(32, 32))
    torch.testing.assert_close(y, torch.full_like(y, 0.5).tanh())


def test_the_recipes_know_its_stride() -> None:
    assert PretrainedGenerator.multiple_of == STRIDE
    assert PretrainedGenerator(2)(picture(STRIDE, 2 * STRIDE)).shape == (1, 3, STRIDE, 2 * STRIDE)


@needs_features
def test_its_features_are_those_of_the_feature_network() -> None:
    x = (picture(64, 48) + 1) / 2
    taps = range(pretrained.DEEPEST + 1)
    for ours, theirs in zip(generators.pretrained(2).encoder(x, taps), FeatureNetwork()(x, taps), strict=True):
        assert torch.equal(ours, theirs)


@needs_features
def test_tiles_need_most_of_the_halo() -> None:
    """With trained weights: a tile with a third of the surroundings gives something else."""
    torch.manual_seed(0)
    network = generators.pretrained(2).eval().requires_grad_(False)
    network.head.weight.normal_(0, 0.5)
    x, halo = picture(64, 1024), pretrained.halo(network)
    whole = network(x)

    def apart(halo: int) -> float:
        parts = in_tiles(network, lambda t, b, l, r: x[:, :, t:b, l:r], 64, 1024, side=128, halo=halo, multiple=STRIDE)  # noqa: E741
        return max(
            float((part - whole[:, :, top : top + part.shape[2], left : left + part.shape[3]]).abs().max())
            for top, left, part in parts
        )

    assert apart(halo) < 1e-5
    assert apart(halo // 3) > 1e-4


CYCLEGAN: dict[str, Any] = {"generator": "pretrained", "sparsity": 0.1, "identity": 0, "photorealism": 0}


@needs_features
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("recipe", ["cyclegan", "pix2pix"])
def test_cut_and_resumed_is_the_whole_run(recipe: str, tmp_path: Path) -> None:
    a, b = (save_images(tmp_path / name, 3, seed=seed) for seed, name in enumerate("ab"))
    config = (
        replace(tiny_cyclegan(a, b), **CYCLEGAN)
        if recipe == "cyclegan"
        else replace(tiny_pix2pix(a), generator="pretrained")
    )
    whole = list(run(config, tmp_path / "whole"))
    begun = first(config, tmp_path / "cut", 3)
    ended = list(run(config, tmp_path / "cut", resume=True))
    assert losses(begun + ended) == losses(whole)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    states = [read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("cut", "whole")]
    assert same(*states)
    name, file = ("a2b", "a2b") if recipe == "cyclegan" else ("generator", "pix2pix")
    before, after = generators.pretrained(4).state_dict(), states[0][name]
    kept = {key for key in after if torch.equal(before[key], after[key])}
    assert kept == {key for key in after if key.startswith("encoder.")}, "only the decoder learns"
    assert checkpoints.load(tmp_path / "cut" / f"{file}.safetensors").architecture == "PretrainedGenerator"


@needs_features
def test_sparsity_is_one_of_the_losses(tmp_path: Path) -> None:
    a, b = (save_images(tmp_path / name, 3, seed=seed) for seed, name in enumerate("ab"))
    step = next(run(replace(tiny_cyclegan(a, b), **CYCLEGAN), tmp_path / "out"))
    assert set(step.losses) == {"gan_a2b", "gan_b2a", "cycle", "sparsity", "judge_a", "judge_b"}


@pytest.mark.parametrize("recipe", ["cyclegan", "pix2pix"])
def test_a_side_that_it_cannot_take_is_an_error(recipe: str, tmp_path: Path) -> None:
    tiny = tiny_cyclegan(tmp_path, tmp_path) if recipe == "cyclegan" else tiny_pix2pix(tmp_path)
    with pytest.raises(InputError, match="--size 36 must be a multiple of 16 for --generator pretrained"):
        replace(tiny, generator="pretrained", size=36, load=(36, 40))
