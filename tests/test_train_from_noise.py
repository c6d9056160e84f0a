"""The recipes that make pictures from noise: their data, their loop, and what they warn of."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import FROM_NOISE, blobs, first, losses, results, run, same, tiny_from_noise
from torch import Tensor

from translate import checkpoints
from translate.errors import TrainingError
from translate.train import files
from translate.train.collapse import WARM_UP, Diversity, alike
from translate.train.labelled import Pictures
from translate.train.losses import discriminator_loss, generator_loss
from translate.train.options import CGAN
from translate.train.state import CHECKPOINT, read_checkpoint
from translate.train.stylegan import PathLength

Photo = Callable[..., Path]
Run = Callable[..., Any]
SQUARES = np.zeros((4, 8, 8), np.uint8)


@pytest.fixture
def npz(tmp_path: Path) -> str:
    np.savez(path := tmp_path / "blobs.npz", **blobs(24))
    return str(path)


# The loop


@pytest.mark.parametrize("recipe", ["gan", "dcgan", "cgan", "stylegan"])
def test_cut_and_resumed_is_the_whole_run(recipe: str, npz: str, tmp_path: Path) -> None:
    config = tiny_from_noise(npz)[recipe]
    whole = list(run(config, tmp_path / "whole"))
    steps = first(config, tmp_path / "cut", 3)
    torch.manual_seed(12345)
    steps += run(config, tmp_path / "cut", resume=True)
    assert losses(steps) == losses(whole)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert set(results(tmp_path / "cut")) == {"generator.safetensors", "samples.png"}
    assert same(*(read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("cut", "whole")))
    network: Any = checkpoints.load_from_noise(tmp_path / "whole" / "generator.safetensors")
    assert (network.latent, network.uniform) == (6, recipe == "gan")
    assert network.classes == (("0", "1") if recipe == "cgan" else ())


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


def test_the_command_says_what_is_wrong(run: Run, npz: str, tmp_path: Path) -> None:
    ran = run("train", "stylegan", "--src", npz, "--out", tmp_path / "out", "--device", "cpu")
    assert (ran.code, "a side of 16 is none of (32, 64, 128, 256); choose a --size" in ran.err) == (1, True)
    ran = run("train", "cgan", "--src", tmp_path / "no.npz", "--out", tmp_path / "out", "--device", "cpu")
    assert (ran.code, "no.npz does not exist" in ran.err) == (1, True)


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


def test_an_npz(npz: str) -> None:
    pictures = Pictures(Path(npz))
    assert pictures.pixels.shape == (24, 1, 16, 16)
    assert (pictures.classes, pictures.labels.tolist()) == (("0", "1"), [0, 1] * 12)
    assert (pictures.pixels[:, 0].numpy() == blobs(24)["x_train"]).all()
    x, labels = pictures.batch(50)
    assert -1 <= x.min() < -0.9
    assert 0.5 < x.max() <= 1
    assert ((x[:, 0, 8:].amax((1, 2)) > 0.2) == (labels == 1)).all()


def test_a_share_of_a_batch_is_part_of_the_whole(npz: str) -> None:
    pictures = Pictures(Path(npz), mirror=True)
    torch.manual_seed(0)
    whole, labels = pictures.batch(8)
    torch.manual_seed(0)
    part, some = pictures.batch(8, slice(2, 5))
    assert torch.equal(part, whole[2:5])
    assert torch.equal(some, labels[2:5])


def test_a_folder_a_class_and_mixed_sizes(tmp_path: Path, photo: Photo) -> None:
    for number, (name, height, width) in enumerate(
        (("cat", 40, 60), ("cat", 50, 40), ("dog", 32, 32), ("dog", 90, 33))
    ):
        photo(tmp_path / "set" / name / f"{number}.png", height, width, seed=number)
    pictures = Pictures(tmp_path / "set", 32)
    assert (pictures.classes, pictures.labels.tolist()) == (("cat", "dog"), [0, 0, 1, 1])
    assert pictures.pixels.shape == (4, 3, 32, 32)
    photo(path := tmp_path / "plain" / "a.png", 20, 20, mode="L")
    photo(path.with_name("b.png"), 20, 20, mode="L", seed=1)
    plain = Pictures(tmp_path / "plain")
    assert (plain.pixels.shape, plain.classes) == ((2, 1, 20, 20), ())
    photo(path.with_name("c.png"), 20, 20, seed=2)  # one in colour makes all RGB
    assert Pictures(tmp_path / "plain").channels == 3


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (
            {"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.zeros(3, int)},
            "there are 4 images, but labels of (3,)",
        ),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.zeros(4)}, "labels of (4,) float64"),
        ({"x_train": np.zeros((4, 8, 8), np.float32)}, "its images are float32 of (4, 8, 8)"),
        ({"x_train": np.zeros((4, 8, 8, 4), np.uint8)}, "its images are uint8 of (4, 8, 8, 4)"),
        ({"x_train": np.zeros((4, 8, 9), np.uint8)}, "are not squares of one size (9×8); choose a --size"),
        ({"x_train": np.array([{}, {}], dtype=object)}, "holds Python objects, which could run code"),
        ({"pictures": np.zeros((4, 8, 8), np.uint8)}, "holds no x_train"),
    ],
)
def test_arrays_that_do_not_fit(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.savez(path := tmp_path / "bad.npz", **arrays)
    with pytest.raises(TrainingError) as caught:
        Pictures(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_npz(tmp_path: Path, npz: str) -> None:
    content = Path(npz).read_bytes()
    (path := tmp_path / "bad.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match="is damaged; save it again"):
        Pictures(path)


def test_folders_that_do_not_fit(tmp_path: Path, photo: Photo) -> None:
    photo(tmp_path / "set" / "a.png", 20, 20)
    photo(tmp_path / "set" / "b.png", 20, 24)
    with pytest.raises(TrainingError, match=r"not squares of one size \(\d+×\d+ and others\); choose a --size"):
        Pictures(tmp_path / "set")
    photo(tmp_path / "set" / "cat" / "c.png", 20, 20)
    with pytest.raises(TrainingError, match=r"one a class, and [ab]\.png beside them"):
        Pictures(tmp_path / "set", 16)
    with pytest.raises(TrainingError, match="neither a folder nor"):
        Pictures(tmp_path / "nothing")


def test_pictures_that_do_not_fit_into_memory(tmp_path: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        photo(tmp_path / "set" / f"{name}.png", 20, 20)
    monkeypatch.setattr(files, "memory", lambda: 2000)
    with pytest.raises(TrainingError, match=r"set: 2 pictures do not fit into memory; choose a smaller --size"):
        Pictures(tmp_path / "set")
    assert Pictures(tmp_path / "set", 16).size == 16


@pytest.mark.parametrize(("labels", "said"), [(np.zeros(4, int), "one class only, 0"), (None, "no labels")])
def test_a_conditional_generator_needs_classes(labels: Any, said: str, tmp_path: Path) -> None:
    arrays = {"x_train": np.zeros((4, 16, 16), np.uint8)} | ({} if labels is None else {"y_train": labels})
    np.savez(path := tmp_path / "one.npz", **arrays)
    with pytest.raises(TrainingError, match=f"has {said}; .* or train a dcgan"):
        next(run(CGAN(src=str(path), **FROM_NOISE), tmp_path / "out"))
