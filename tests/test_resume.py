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


def test_init_takes_the_cyclegan_networks_over(two: CycleGAN, tmp_path: Path) -> None:
    """With a learning rate of zero the networks stay as they came, and the averages move by the first decay, 2/11."""
    first(two, tmp_path / "from", 2)
    [step] = run(replace(two, lr=0, steps=1, seed=5), tmp_path / "out", init=tmp_path / "from" / CHECKPOINT)
    assert (step.number, step.of) == (1, 1)
    old, new = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("from", "out"))
    assert all(same(old[name], new[name]) for name in ("a2b", "b2a", "judge_a", "judge_b"))
    for name in ("a2b", "b2a"):
        for key, averaged in new[f"ema_{name}"]["network"].items():
            expected = old[f"ema_{name}"]["network"][key] * (2 / 11) + old[name][key] * (9 / 11)
            torch.testing.assert_close(averaged, expected, rtol=0, atol=1e-6)
    assert new["ema_a2b"]["updates"] == 1


def test_init_takes_the_averaged_srgan_generator_over(one: SRGAN, tmp_path: Path) -> None:
    first(one, tmp_path / "from", 2)
    list(run(replace(one, lr=0, steps=1, seed=5), tmp_path / "out", init=tmp_path / "from" / CHECKPOINT))
    old, new = (read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("from", "out"))
    assert same(old["ema"]["network"], new["generator"])
    assert not same(old["generator"], new["generator"])
    assert new["ema"]["updates"] == 1
    torch.testing.assert_close(new["ema"]["network"], new["generator"], rtol=0, atol=1e-6)


def test_init_takes_the_srgan_discriminator_over_where_there_is_one(one: SRGAN, tmp_path: Path) -> None:
    adversarial = replace(one, steps=1, gan_steps=1)
    list(run(adversarial, tmp_path / "from"))
    still = replace(adversarial, lr=0, gan_lr=0, seed=5)
    list(run(still, tmp_path / "out", init=tmp_path / "from" / CHECKPOINT))
    old, new = (read_checkpoint(tmp_path / name / CHECKPOINT)["judge"] for name in ("from", "out"))
    parameters = [
        key for key in old if not key.endswith(("_u", "_v"))
    ]  # the spectral norm's vectors move by themselves
    assert same({key: old[key] for key in parameters}, {key: new[key] for key in parameters})


def test_init_from_another_network_is_an_error(one: SRGAN, two: CycleGAN, tmp_path: Path) -> None:
    first(one, tmp_path / "one", 1)
    first(two, tmp_path / "two", 1)
    for config, source, message in (
        (replace(one, width=8), "one", "other layers"),
        (replace(two, blocks=2), "two", "other layers"),
        (one, "two", "holds no ema"),
        (two, "one", "holds no a2b"),
    ):
        with pytest.raises(TrainingError, match=message):
            next(run(config, tmp_path / "out", init=tmp_path / source / CHECKPOINT))


@needs_features
def test_adversarial_steps_cannot_be_added_by_resuming(one: SRGAN, tmp_path: Path) -> None:
    first(one, tmp_path / "out", 1)
    with pytest.raises(TrainingError, match="holds no judge"):
        next(run(replace(one, gan_steps=2), tmp_path / "out", resume=True))


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
