"""The generator on ImageNet features, and the recipes with it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from runs import first, losses, needs_features, results, run, same, save_images, tiny_cyclegan, tiny_pix2pix

from translate import checkpoints
from translate.errors import InputError
from translate.features import FeatureNetwork
from translate.images import Picture
from translate.models import ARCHITECTURES, pretrained_unet
from translate.models.pretrained import PretrainedGenerator
from translate.tiles import in_strips
from translate.train.options.pictures import STRIDE
from translate.train.state import CHECKPOINT, read_checkpoint
from translate.train.taught import taught
from translate.translator import Translator


def picture(height: int, width: int) -> torch.Tensor:
    torch.manual_seed(1)
    small = torch.rand(1, 3, height // 8 + 1, width // 8 + 1) * 2 - 1
    return F.interpolate(small, (height, width), mode="bicubic").clamp(-0.9, 0.9)


def with_head(shift: float, gain: float) -> PretrainedGenerator:
    network = PretrainedGenerator(2).eval()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([shift, shift, shift, gain]))  # type: ignore[union-attr]
    return network


def trained() -> PretrainedGenerator:
    """One whose changes are not the same everywhere."""
    torch.manual_seed(0)
    network = PretrainedGenerator(2).eval().requires_grad_(False)
    network.head.weight.normal_(0, 0.5)
    for up in network.up:
        up.skip.weight.normal_(0, 0.5)  # type: ignore[union-attr, operator]
    return network


def test_it_starts_at_the_picture() -> None:
    x = picture(48, 32)
    torch.testing.assert_close(with_head(0, 0)(x), x, rtol=0, atol=1e-5)


def test_a_gain_of_nothing_forgets_the_picture() -> None:
    y = with_head(0.5, -30)(picture(32, 32))
    torch.testing.assert_close(y, torch.full_like(y, 0.5).tanh())


def test_the_recipes_know_its_stride() -> None:
    assert pretrained_unet.STRIDE == STRIDE


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 31), (400, 17), (500, 790)])
def test_any_size(size: tuple[int, int]) -> None:
    y = PretrainedGenerator(2)(picture(*size)).detach()
    assert y.shape[2:] == size
    assert y.isfinite().all()


@pytest.mark.parametrize(("size", "times"), [((384, 500), 1), ((385, 385), 2), ((4000, 3000), 8), ((100, 40_000), 2)])
def test_what_is_looked_at_is_small(size: tuple[int, int], times: int) -> None:
    assert pretrained_unet.smaller(*size, 384) == times
    assert size[0] * size[1] <= times**2 * pretrained_unet.AREA


def test_a_large_picture_is_changed_as_its_small_one_is() -> None:
    """Each pixel of it by the change of the place where it is."""
    network, small = trained(), picture(128, 192)
    large = F.interpolate(small, scale_factor=4, mode="bilinear")
    assert pretrained_unet.smaller(*large.shape[2:], network.side) == 2
    half = F.avg_pool2d(large, 2)
    changed = F.avg_pool2d(network(large), 2) - half
    expected = network(half) - half
    assert expected.abs().mean() > 0.05
    assert (changed - expected).abs().mean() < 0.1 * expected.abs().mean()


@pytest.mark.parametrize(("height", "width", "rows"), [(500, 420, 64), (771, 390, 100), (390, 800, 1), (90, 70, 40)])
def test_strips_are_exact(height: int, width: int, rows: int) -> None:
    network, x = trained(), picture(height, width)
    whole, given = network(x), 0
    parts = in_strips(network, lambda t, b, l, r: x[:, :, t:b, l:r], height, width, rows=rows)  # noqa: E741
    for top, left, part in parts:
        assert (top, left) == (given, 0)
        torch.testing.assert_close(part, whole[:, :, top : top + part.shape[2]], rtol=0, atol=1e-5)
        given += part.shape[2]
    assert given == height


def test_a_picture_is_translated_in_strips_as_in_the_whole() -> None:
    (architecture,) = (kind for kind in ARCHITECTURES if kind.name == "PretrainedGenerator")
    model, rng = architecture.model(trained()), np.random.default_rng(0)
    source = Picture(rng.integers(0, 256, (450, 410, 3), dtype=np.uint8))
    results = []
    for tile in ("off", 100):
        translator = Translator(model, "cpu", "fp32", tile)
        assert translator.in_parts(source) == (tile != "off")
        [(result, remark)] = translator([source])
        assert remark is None
        results.append(result.pixels)
    assert np.array_equal(*results)
    assert not np.array_equal(results[0], source.pixels)


@needs_features
def test_its_features_are_those_of_the_feature_network() -> None:
    x = (picture(64, 48) + 1) / 2
    taps = range(pretrained_unet.DEEPEST + 1)
    for ours, theirs in zip(taught(PretrainedGenerator(2)).encoder(x, taps), FeatureNetwork()(x, taps), strict=True):
        assert torch.equal(ours, theirs)


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
    before, after = taught(PretrainedGenerator(4)).state_dict(), states[0][name]
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
