import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from runs import Options, first, losses, needs_features, results, run, same, save_images
from torch import Tensor

from translate import checkpoints
from translate.errors import TrainingError
from translate.models.cyclegan import ResnetGenerator
from translate.models.patchgan import PatchDiscriminator
from translate.train import data
from translate.train.losses import photorealism
from translate.train.options import SRGAN, CycleGAN
from translate.train.state import CHECKPOINT, read_checkpoint


def assert_cut_is_whole(config: Options, tmp_path: Path, cut: int) -> None:
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


def test_srgan_cut_and_resumed_is_the_whole_run(one: SRGAN, tmp_path: Path) -> None:
    assert_cut_is_whole(one, tmp_path, 3)
    assert set(results(tmp_path / "cut")) == {"srresnet.safetensors", "samples.png"}


@needs_features
@pytest.mark.parametrize("cut", [3, 5])  # where the adversarial phase begins, and in the middle of it
def test_adversarial_srgan_cut_and_resumed_is_the_whole_run(one: SRGAN, tmp_path: Path, cut: int) -> None:
    assert_cut_is_whole(replace(one, gan_steps=3), tmp_path, cut)
    assert set(results(tmp_path / "cut")) == {"srresnet.safetensors", "srgan.safetensors", "samples.png"}


@needs_features
def test_adversarial_phase_is_the_last_gan_steps(one: SRGAN, tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = run(replace(one, gan_steps=2), out)
    before = [next(steps) for _ in range(4)]
    assert [set(step.losses) for step in before] == [{"pixel"}] * 4
    assert [step.saved for step in before] == [False, False, False, True]
    assert set(results(out)) == {"srresnet.safetensors", "samples.png"}
    fidelity = results(out)["srresnet.safetensors"]
    assert [set(step.losses) for step in steps] == [{"pixel", "feature", "gan", "judge"}] * 2
    after = results(out)
    assert after["srresnet.safetensors"] == fidelity
    assert after["srgan.safetensors"] != fidelity


def test_cyclegan_has_the_losses_that_are_asked_for(two: CycleGAN, tmp_path: Path) -> None:
    always = {"gan_a2b", "gan_b2a", "cycle", "judge_a", "judge_b"}
    assert set(next(run(two, tmp_path / "all")).losses) == always | {"identity", "photorealism"}
    assert set(next(run(replace(two, identity=0, photorealism=0), tmp_path / "few")).losses) == always


@pytest.mark.parametrize("gan", ["nonsaturating", "hinge", "wgan-gp"])
def test_cyclegan_takes_every_adversarial_loss(two: CycleGAN, tmp_path: Path, gan: Any) -> None:
    steps = list(run(replace(two, gan=gan, label_smoothing=0.1, r1=0.1), tmp_path / "out"))
    assert {"penalty_a", "penalty_b"} < set(steps[-1].losses)
    assert all(math.isfinite(value) for step in steps for value in step.losses.values())


def test_cyclegan_losses_by_hand(two: CycleGAN, tmp_path: Path) -> None:
    """With a learning rate of zero, and images that have only one crop, which is its own mirror image."""
    crops = []
    for name, seed in (("one a", 3), ("one b", 4)):
        (tmp_path / name).mkdir()
        half = np.random.default_rng(seed).integers(0, 256, (32, 16, 3), dtype=np.uint8)
        pixels = np.concatenate([half, half[:, ::-1]], axis=1)
        for copy in "01":
            Image.fromarray(pixels).save(tmp_path / name / f"{copy}.png")
        crops.append(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1)
    config = replace(two, a=str(tmp_path / "one a"), b=str(tmp_path / "one b"), load=(32, 32), lr=0, steps=1)
    [step] = run(config, tmp_path / "out")

    saved = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    a2b, b2a, judge_a, judge_b = ResnetGenerator(4, 1), ResnetGenerator(4, 1), *(PatchDiscriminator(3, 4) for _ in "ab")
    for name, network in (("a2b", a2b), ("b2a", b2a), ("judge_a", judge_a), ("judge_b", judge_b)):
        network.load_state_dict(saved[name])
    a, b = crops
    fake_b, fake_a = a2b(a), b2a(b)

    def apart(x: Tensor, y: Tensor) -> Tensor:
        return (x - y).abs().mean()

    expected = {
        "gan_a2b": (judge_b(fake_b) - 1).square().mean(),
        "gan_b2a": (judge_a(fake_a) - 1).square().mean(),
        "cycle": 10 * (apart(b2a(fake_b), a) + apart(a2b(fake_a), b)),
        "identity": 10 * 0.5 * (apart(b2a(a), a) + apart(a2b(b), b)),
        "photorealism": photorealism(a, fake_b) + photorealism(b, fake_a),
        "judge_a": ((judge_a(a) - 1).square().mean() + judge_a(fake_a).square().mean()) / 2,
        "judge_b": ((judge_b(b) - 1).square().mean() + judge_b(fake_b).square().mean()) / 2,
    }
    assert step.losses == pytest.approx({name: loss.item() for name, loss in expected.items()}, rel=1e-4)


def test_cyclegan_moves_every_weight_at_the_learning_rate_of_the_paper(two: CycleGAN, tmp_path: Path) -> None:
    """Constant over the first half, and then falling to zero."""
    steps = run(two, tmp_path / "out", minutes=0)
    states = [read_checkpoint(tmp_path / "out" / CHECKPOINT) for _ in steps]
    for optimiser in ("optimise_g", "optimise_d"):
        rates = [state[optimiser]["param_groups"][0]["lr"] / 2e-4 for state in states]
        assert rates == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])
    for network in ("a2b", "b2a", "judge_a", "judge_b"):
        before, after = states[0][network], states[-1][network]
        assert [key for key in before if (before[key] == after[key]).any()] == []


def test_srgan_learns(one: SRGAN, tmp_path: Path) -> None:
    config = replace(one, steps=100, batch=4, patch=10, lr=1e-2)
    pixels = [step.losses["pixel"] for step in run(config, tmp_path / "out")]
    assert sum(pixels[-20:]) < 0.8 * sum(pixels[:20])


def test_same_seed_same_run(one: SRGAN, tmp_path: Path) -> None:
    again, other = one, replace(one, seed=1)
    runs = [losses(list(run(config, tmp_path / str(i)))) for i, config in enumerate((one, again, other))]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


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
    with pytest.raises(TrainingError, match=message):
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
    with pytest.raises(TrainingError, match=r"checkpoint\.pt (does not exist|cannot be read)"):
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
def test_a_projected_run_that_was_cut_is_the_whole_run(two: CycleGAN, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with several, the sums of this run differ in the last bit after a resume
    try:
        assert_cut_is_whole(replace(two, discriminator="projected"), tmp_path, 3)
    finally:
        torch.set_num_threads(threads)


def test_generators_with_a_skip_start_at_the_colours_of_the_other_domain(two: CycleGAN, tmp_path: Path) -> None:
    for path in Path(two.b).iterdir():  # b is darker
        with Image.open(path) as image:
            image.point(lambda value: value // 3).save(path)
    config = replace(two, skip=True, lr=0, steps=1, ema=0.0)
    [step] = run(config, tmp_path / "out")
    [plain] = run(replace(config, skip=False), tmp_path / "plain")
    assert step.losses["cycle"] < plain.losses["cycle"] / 2  # the two are nearly each other's inverse
    a2b = checkpoints.load(tmp_path / "out" / "a2b.safetensors").network
    a, b = (data.Crops(Path(folder), 32, (34, 40)).batch(50) for folder in (two.a, two.b))
    with torch.no_grad():
        assert abs(a2b(a).mean() - b.mean()) < 0.1
    assert a.mean() - b.mean() > 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda a, b: (a, a), "the same folder is given twice"),
        (lambda a, b: (a, f"{a}/../a"), "the same folder is given twice"),
        (lambda a, b: (a, f"{b}/missing"), "missing is no folder"),
        (lambda a, b: (f"{a}/0.png", b), "0.png is no folder"),
    ],
)
def test_wrong_folders_are_errors(
    two: CycleGAN, one: SRGAN, tmp_path: Path, make: Callable[[str, str], tuple[str, str]], message: str
) -> None:
    a, b = make(two.a, two.b)
    with pytest.raises(TrainingError, match=message):
        next(run(replace(two, a=a, b=b), tmp_path / "out"))
    with pytest.raises(TrainingError, match=message):
        next(run(replace(one, hr=(a, b)), tmp_path / "out"))


def test_too_few_images_are_an_error(two: CycleGAN, one: SRGAN, tmp_path: Path) -> None:
    few = save_images(tmp_path / "few", 1)
    (few / "notes.txt").write_text("no image")
    with pytest.raises(TrainingError, match="few: 1 usable images; at least 2 are needed"):
        next(run(replace(two, b=str(few)), tmp_path / "out"))
    with pytest.raises(TrainingError, match="few: 1 usable images; at least 2 are needed"):
        next(run(replace(one, hr=(str(few),)), tmp_path / "out"))
