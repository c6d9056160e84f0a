"""The recipes that learn from a picture and what it shall become: pix2pix, colourise, restore."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from runs import (
    first,
    losses,
    needs_features,
    results,
    run,
    same,
    save_images,
    tiny_colourise,
    tiny_pix2pix,
    tiny_restore,
)
from torch import Tensor

from translate import checkpoints
from translate.errors import InputError, TrainingError
from translate.models.colouriser import grid
from translate.train import colourise, pairs, pix2pix, restore
from translate.train.data import Crops
from translate.train.options import Colourise, Pix2Pix, Restore, Run
from translate.train.state import CHECKPOINT, Step, read_checkpoint

TINY: dict[str, Any] = {"steps": 6, "ema": 0.9}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return save_images(tmp_path / "photos", 3)


@pytest.fixture
def drawings(photos: Path) -> Pix2Pix:
    return tiny_pix2pix(photos)


@pytest.fixture
def restoring(photos: Path) -> Restore:
    return tiny_restore(photos)


@pytest.fixture
def colouring(photos: Path) -> Colourise:
    return tiny_colourise(photos)


def assert_cut_is_whole(config: Run, tmp_path: Path, name: str) -> None:
    whole = list(run(config, tmp_path / "whole"))
    begun = first(config, tmp_path / "cut", 3)
    torch.manual_seed(12345)  # whatever happened in between
    ended = list(run(config, tmp_path / "cut", resume=True))
    assert losses(begun + ended) == losses(whole)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert set(results(tmp_path / "cut")) == {f"{name}.safetensors", "samples.png"}
    assert same(*(read_checkpoint(tmp_path / run / CHECKPOINT) for run in ("cut", "whole")))
    assert checkpoints.load(tmp_path / "cut" / f"{name}.safetensors").scale == 1


def test_pix2pix_cut_and_resumed_is_the_whole_run(drawings: Pix2Pix, tmp_path: Path) -> None:
    assert_cut_is_whole(drawings, tmp_path, "pix2pix")


@needs_features
@pytest.mark.usefixtures("one_thread")
def test_projected_pix2pix_cut_and_resumed_is_the_whole_run(drawings: Pix2Pix, tmp_path: Path) -> None:
    assert_cut_is_whole(replace(drawings, discriminator="projected", feature=1.0, outline=1.0), tmp_path, "pix2pix")


@needs_features
def test_the_outline_loss_is_blind_to_colours(drawings: Pix2Pix, tmp_path: Path) -> None:
    [step] = run(replace(drawings, outline=1.0, l1=0.0, adversarial=0.0, steps=1), tmp_path / "out")
    assert step.losses["outline"] > 0.1
    x = torch.rand(1, 3, 32, 32) - 0.5
    other = x + torch.tensor([0.587, -0.299, 0.0]).view(1, 3, 1, 1) * 0.5  # of the same luminance
    torch.testing.assert_close(pix2pix._grey_of(x), pix2pix._grey_of(other))


def test_unet_cut_and_resumed_is_the_whole_run(drawings: Pix2Pix, tmp_path: Path) -> None:
    assert_cut_is_whole(replace(drawings, generator="unet", diffaugment=True, accumulate=2), tmp_path, "pix2pix")


@needs_features
def test_restore_cut_and_resumed_is_the_whole_run(restoring: Restore, tmp_path: Path) -> None:
    assert_cut_is_whole(restoring, tmp_path, "restore")


@needs_features
def test_colourise_cut_and_resumed_is_the_whole_run(colouring: Colourise, tmp_path: Path) -> None:
    assert_cut_is_whole(colouring, tmp_path, "colourise")


@needs_features
@pytest.mark.parametrize("recipe", ["drawings", "restoring"])
def test_accumulated_batches_are_one_large_one(recipe: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    config: Run = replace(request.getfixturevalue(recipe), batch=4, steps=2)
    large, small = (
        losses(list(run(c, tmp_path / str(c.batch)))) for c in (config, replace(config, batch=2, accumulate=2))
    )
    for (_, one), (_, other) in zip(large, small, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_pix2pix_learns_a_negative(tmp_path: Path) -> None:
    a = save_images(tmp_path / "a", 4)
    (tmp_path / "b").mkdir()
    for path in a.iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(tmp_path / "b" / path.name)
    config = Pix2Pix(
        a=str(a), b=str(tmp_path / "b"), size=32, load=(32, 40), generator="resnet", width=8, blocks=1, batch=2,
        adversarial=0, lr=2e-3, steps=60,
    )  # fmt: skip
    distances = [step.losses["l1"] for step in run(config, tmp_path / "out")]
    assert sum(distances[-10:]) < 0.6 * sum(distances[:10])


@needs_features
def test_restore_learns_tones_grain_and_where_the_marks_are(
    restoring: Restore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def age(good: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        marks = torch.zeros(len(good), 1, *good.shape[2:])
        marks[..., 12:20] = 1
        toned = good * 0.6
        checks = 0.2 * ((torch.arange(good.shape[3]) // 2) % 2) - 0.1
        return torch.where(marks > 0, torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1), toned + checks), toned, marks

    monkeypatch.setattr(restore, "damage", age)
    steps = list(run(replace(restoring, steps=100, batch=4, width=8, lr=2e-3), tmp_path / "out"))
    first, last = steps[:10], steps[-10:]

    def mean(name: str, of: list[Step]) -> float:
        return sum(step.losses[name] for step in of) / len(of)

    assert mean("tone", last) < mean("tone", first) - 4  # dB
    assert mean("found", last) < 0.5 * mean("found", first)
    assert mean("grain", last) < 0.5 * mean("grain", first)
    assert mean("overlap", last) < 0.5 * mean("overlap", first)


def test_without_an_adversary_there_is_none(drawings: Pix2Pix, tmp_path: Path) -> None:
    [*_, last] = run(replace(drawings, adversarial=0), tmp_path / "out")
    assert set(last.losses) == {"l1"}
    assert "judge" not in read_checkpoint(tmp_path / "out" / CHECKPOINT)


# Pairs


def numbered(folder: Path, names: str, level: int) -> Path:
    folder.mkdir()
    for number, name in enumerate(names):
        Image.new("RGB", (20, 16), (level, 40 * number, 0)).save(folder / f"{name}.png")
    return folder


def test_pairs_of_two_folders_are_those_of_the_same_name(tmp_path: Path) -> None:
    a, b = numbered(tmp_path / "a", "xyz", 10), numbered(tmp_path / "b", "xyz", 200)
    (b / "x.png").rename(b / "x.bmp")  # the suffix may differ
    torch.manual_seed(0)
    source, target = pairs.of_two_folders(a, b, 16, (16, 16)).batch(20)
    assert source.shape == target.shape == (20, 3, 16, 16)
    levels = [((x + 1) * 127.5).round().int()[:, :2, 0, 0] for x in (source, target)]
    assert (levels[0][:, 0] == 10).all()
    assert (levels[1][:, 0] == 200).all()
    assert torch.equal(levels[0][:, 1], levels[1][:, 1])
    assert len(levels[0][:, 1].unique()) == 3


def test_pairs_without_a_partner_are_an_error(tmp_path: Path) -> None:
    a, b = numbered(tmp_path / "a", "xyz", 10), numbered(tmp_path / "b", "xyw", 200)
    (tmp_path / "c").mkdir()
    for suffix in ("png", "bmp"):
        Image.new("RGB", (20, 20)).save(tmp_path / "c" / f"x.{suffix}")
    with pytest.raises(TrainingError, match=r"x.bmp and x.png have one name, but for the suffix; rename or remove one"):
        pairs.of_two_folders(tmp_path / "c", b, 16, (16, 16))
    with pytest.raises(TrainingError, match=r"2 images have no partner of their name in .*, w for one"):
        pairs.of_two_folders(a, b, 16, (16, 16))
    with pytest.raises(InputError, match="the same folder is given twice"):
        pairs.of_two_folders(a, a, 16, (16, 16))


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_pairs_side_by_side(tmp_path: Path, direction: str) -> None:
    for name in "xy":
        both = Image.new("RGB", (41, 20), (10, 0, 0))  # odd: the middle belongs to neither half
        both.paste((200, 0, 0), (20, 0, 41, 20))
        both.save(tmp_path / f"{name}.png")
    source, target = pairs.side_by_side(tmp_path, direction, 16, (16, 20)).batch(8)
    a, b = (source, target) if direction == "AtoB" else (target, source)
    assert ((a[:, 0] + 1) * 127.5).mean().item() == pytest.approx(10, abs=0.5)
    assert ((b[:, 0] + 1) * 127.5).mean().item() == pytest.approx(200, abs=1)


def test_both_of_a_pair_are_cut_alike(tmp_path: Path) -> None:
    folder = save_images(tmp_path / "a", 2)
    crops = Crops.of_folders([folder], 16, (16, 30))
    crops.images = [np.concatenate([image, 255 - image], axis=2) for image in crops.images]
    torch.manual_seed(0)
    source, target = pairs.Pairs(crops).batch(10)
    assert (source + target).abs().max() < 0.03


def test_made_sources_depend_on_the_seed_of_each_picture(photos: Path) -> None:
    crops = Crops.of_folders([photos], 16, (16, 30))
    made = pairs.MadePairs(crops, lambda pixels, seed: np.full_like(pixels, seed % 256))
    torch.manual_seed(0)
    whole, _ = made.batch(6)
    torch.manual_seed(0)
    share, _ = made.batch(6, slice(2, 4))
    assert torch.equal(whole[2:4], share)
    assert len(whole[:, 0, 0, 0].unique()) > 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give the pairs in one way"),
        ({"a": "x"}, "give the pairs in one way"),
        ({"a": "x", "photos": ("y",)}, "give the pairs in one way"),
        ({"pairs": "x", "photos": ("y",)}, "give the pairs in one way"),
        ({"pairs": "x", "size": 96, "load": (96, 96)}, "must be a power of two for a U-Net"),
        ({"pairs": "x", "load": (128, 286)}, "^--load 128 286 must not be below --size 256$"),
        ({"pairs": "x", "load": (300, 286)}, "^--load 300 286 must have the smaller side first$"),
        ({"pairs": "x", "size": 250}, "^--size 250 must be a power of two for a U-Net; or take --generator resnet$"),
        ({"pairs": "x", "size": 250, "generator": "resnet"}, "^--size 250 must be a multiple of 4$"),
    ],
)
def test_wrong_options_of_pix2pix(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Pix2Pix(**options)


# Colours


def test_soft_classes_are_shares_of_the_nearest_colours() -> None:
    bins = grid()
    ab = torch.tensor([[0.0, 0.0], [3.0, -8.0]]).T.reshape(1, 2, 1, 2)
    shares = colourise._soft_classes(ab, bins)
    torch.testing.assert_close(shares.sum(1), torch.ones(1, 1, 2))
    assert bins[shares[0, :, 0].argmax(0)].tolist() == [[0, 0], [0, -10]]
    torch.testing.assert_close(torch.einsum("bqhw,qc->bchw", shares, bins), ab, rtol=0, atol=0.5)


def test_rare_colours_count_more() -> None:
    bins = grid()
    ab = torch.zeros(1, 2, 10, 10)
    ab[0, 0, 0] = 60.0  # a tenth is red
    grey, red = (int((bins - torch.tensor(colour)).norm(dim=1).argmin()) for colour in ([0.0, 0.0], [60.0, 0.0]))
    bold, timid = (colourise._importance(bins, ab, uniform) for uniform in (0.5, 0.99))
    assert bold[red] / bold[grey] > timid[red] / timid[grey] > 1
    shares = colourise._soft_classes(ab, bins).mean((0, 2, 3))
    assert (bold * shares).sum().item() == pytest.approx(1, rel=1e-4)
