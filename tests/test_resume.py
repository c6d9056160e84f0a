from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import first, losses, needs_features, results, run, same

from translate.errors import InputError, TrainingError
from translate.train.options import SRGAN, CycleGAN, Run
from translate.train.state import CHECKPOINT, read_checkpoint


def assert_cut_is_whole(config: Run, tmp_path: Path, cut: int) -> None:
    whole = list(run(config, tmp_path / "whole"))
    assert [(step.number, step.of) for step in whole] == [(number, 6) for number in range(1, 7)]
    begun = first(config, tmp_path / "cut", cut)
    torch.manual_seed(12345)  # whatever happened in between
    ended = list(run(config, tmp_path / "cut", resume=True))
    assert losses(begun + ended) == losses(whole)
    assert results(tmp_path / "cut") == results(tmp_path / "whole")
    assert same(*(read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("cut", "whole")))


def test_cyclegan_cut_and_resumed_is_the_whole_run(two: CycleGAN, tmp_path: Path) -> None:
    assert_cut_is_whole(two, tmp_path, 3)
    assert set(results(tmp_path / "cut")) == {"a2b.safetensors", "b2a.safetensors", "samples.png"}


@pytest.mark.parametrize("degradation", ["bicubic", "realistic"])
def test_srgan_cut_and_resumed_is_the_whole_run(one: SRGAN, tmp_path: Path, degradation: Any) -> None:
    assert_cut_is_whole(replace(one, degradation=degradation), tmp_path, 3)
    assert set(results(tmp_path / "cut")) == {"srresnet.safetensors", "samples.png"}


@needs_features
@pytest.mark.parametrize("cut", [3, 5])  # where the adversarial phase begins, and in the middle of it
def test_adversarial_srgan_cut_and_resumed_is_the_whole_run(one: SRGAN, tmp_path: Path, cut: int) -> None:
    assert_cut_is_whole(replace(one, gan_steps=3), tmp_path, cut)
    assert set(results(tmp_path / "cut")) == {"srresnet.safetensors", "srgan.safetensors", "samples.png"}


@needs_features
@pytest.mark.usefixtures("one_thread")
def test_a_projected_run_that_was_cut_is_the_whole_run(two: CycleGAN, tmp_path: Path) -> None:
    assert_cut_is_whole(replace(two, discriminator="projected"), tmp_path, 3)


@needs_features
@pytest.mark.usefixtures("one_thread")
def test_a_projected_srgan_with_a_grid_loss_resumes_exactly(one: SRGAN, tmp_path: Path) -> None:
    assert_cut_is_whole(replace(one, gan_steps=6, discriminator="projected", grid=1.0), tmp_path, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": 2, "diffaugment": True},
        {"gan": "wgan-gp"},
        {"gan": "hinge", "r1": 1.0, "diffaugment": True, "batch": 2},
    ],
    ids=lambda options: " ".join(options),
)
def test_options_of_the_adversary_resume_exactly(two: CycleGAN, tmp_path: Path, options: dict[str, Any]) -> None:
    assert_cut_is_whole(replace(two, **options), tmp_path, 3)


@needs_features
def test_accumulated_and_augmented_srgan_resumes_exactly(one: SRGAN, tmp_path: Path) -> None:
    assert_cut_is_whole(replace(one, gan_steps=4, accumulate=2, diffaugment=True, r1=1.0), tmp_path, 4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 8}, "width=4, not 8"),
        ({"lr": 1e-3}, "lr=0.0002, not 0.001"),
        ({"seed": 7}, "seed=0, not 7"),
        ({"load": (34, 36)}, r"load=\(34, 40\), not \(34, 36\)"),
    ],
)
def test_resuming_with_other_options_is_an_error(
    two: CycleGAN, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    first(two, tmp_path / "out", 1)
    with pytest.raises(InputError, match=message):
        next(run(replace(two, **changed), tmp_path / "out", resume=True))


def test_a_run_can_be_made_longer(one: SRGAN, tmp_path: Path) -> None:
    list(run(one, tmp_path / "out"))
    assert list(run(one, tmp_path / "out", resume=True)) == []
    longer = list(run(replace(one, steps=8), tmp_path / "out", resume=True))
    assert [(step.number, step.of) for step in longer] == [(7, 8), (8, 8)]


@pytest.mark.parametrize("content", [None, b"", b"PK\3\4 not one", b"x" * 1000])
@pytest.mark.parametrize("option", ["resume", "init"])
def test_missing_or_damaged_checkpoint_is_an_error(
    one: SRGAN, tmp_path: Path, content: bytes | None, option: str
) -> None:
    path = tmp_path / "out" / CHECKPOINT
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    error, said = (InputError, "does not exist") if content is None else (TrainingError, "cannot be read")
    with pytest.raises(error, match=rf"checkpoint\.pt {said}"):
        next(run(one, path.parent, **{option: path if option == "init" else True}))


@needs_features
def test_adversarial_steps_can_be_added_by_resuming(one: SRGAN, tmp_path: Path) -> None:
    first(one, tmp_path / "out", 1)
    rest = list(run(replace(one, gan_steps=2), tmp_path / "out", resume=True))
    assert ["judge" in step.losses for step in rest] == [False, False, False, True, True]


@needs_features
def test_adversarial_steps_are_not_followed_by_others(one: SRGAN, tmp_path: Path) -> None:
    config = replace(one, gan_steps=3)
    list(run(config, tmp_path / "out"))
    before = results(tmp_path / "out")
    for other in (replace(config, steps=12), replace(config, steps=12, gan_steps=0)):
        with pytest.raises(InputError, match=r"has 3 adversarial steps behind it, .* --steps 12 --gan-steps 9$"):
            next(iter(run(other, tmp_path / "out", resume=True)))
    assert results(tmp_path / "out") == before
    assert len(list(run(replace(config, steps=8, gan_steps=5), tmp_path / "out", resume=True))) == 2


def test_what_srgan_cannot_do_is_said_before_it_begins() -> None:
    for options, said in (
        ({"scale": 3}, "--scale is 3; it is 2, 4 or 8"),
        ({"steps": 5, "gan_steps": 6}, "--gan-steps 6 are more than --steps 5"),
        ({"clean": 0.3}, "--clean 0.3 is for --degradation realistic"),
        ({"gan_steps": 6, "discriminator": "unet", "patch": 31}, "--patch 31 × 4 must be a multiple of 8"),
    ):
        with pytest.raises(InputError, match=said):
            SRGAN(hr=("x",), **options)  # type: ignore[arg-type]
