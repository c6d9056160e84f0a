import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from runs import losses, needs_features, results, run, same, save_images, tiny_pix2pix
from torch import Tensor

from translate import checkpoints
from translate.errors import InputError, TrainingError
from translate.models.cyclegan import ResnetGenerator
from translate.models.patchgan import PatchDiscriminator
from translate.train import data, srgan
from translate.train.losses import photorealism
from translate.train.options import SRGAN, CycleGAN, Run
from translate.train.state import CHECKPOINT, read_checkpoint


@needs_features
def test_adversarial_phase_is_the_last_gan_steps(one: SRGAN, tmp_path: Path) -> None:
    out = tmp_path / "out"
    steps = run(replace(one, gan_steps=2), out)
    before = [next(steps) for _ in range(4)]
    assert [set(step.losses) for step in before] == [{"pixel"}] * 4
    assert [step.saved for step in before] == [False, False, False, True]
    assert set(results(out)) == {"srresnet.safetensors", "samples.png"}
    fidelity = results(out)["srresnet.safetensors"]
    assert [set(step.losses) for step in steps] == [{"pixel", "feature", "grid", "gan", "judge"}] * 2
    after = results(out)
    assert after["srresnet.safetensors"] == fidelity
    assert after["srgan.safetensors"] != fidelity


def assert_counts(config: Run, weight: str, value: float, out: Path) -> None:
    """Another weight, and another network after two steps."""
    ends = []
    for number, chosen in enumerate((config, replace(config, **{weight: value}))):
        list(run(replace(chosen, steps=2), out / str(number)))
        ends.append(read_checkpoint(out / str(number) / CHECKPOINT)["generator"])
    assert not same(*ends)


@needs_features
@pytest.mark.parametrize("weight", ["pixel", "feature", "grid", "adversarial"])
def test_every_weight_of_srgan_counts(one: SRGAN, tmp_path: Path, weight: str) -> None:
    assert_counts(replace(one, gan_steps=2), weight, 5.0, tmp_path)


@needs_features
@pytest.mark.parametrize("weight", ["l1", "feature", "outline", "adversarial"])
def test_every_weight_of_pix2pix_counts(tmp_path: Path, weight: str) -> None:
    config = replace(tiny_pix2pix(save_images(tmp_path / "photos", 2)), l1=1.0, feature=1.0, outline=1.0)
    assert_counts(config, weight, 5.0, tmp_path)


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


@needs_features
@pytest.mark.parametrize(("discriminator", "ends"), [("projected", (-1.0, 1.0)), ("unet", (0.0, 1.0))])
def test_the_judge_of_srgan_sees_the_range_that_it_takes(
    one: SRGAN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, discriminator: Any, ends: tuple[float, float]
) -> None:
    seen: list[Tensor] = []
    kind = {"projected": srgan.ProjectedDiscriminator, "unet": srgan.UNetDiscriminator}[discriminator]
    forward = kind.forward

    def recorded(self: Any, images: Tensor) -> Any:
        seen.append(images.detach())
        return forward(self, images)

    for number, colour in enumerate(("black", "white")):
        Image.new("RGB", (48, 48), colour).save(tmp_path / "hr" / f"{number}.png")
    (tmp_path / "hr" / "2.png").unlink()
    monkeypatch.setattr(kind, "forward", recorded)
    list(run(replace(one, steps=1, gan_steps=1, batch=8, discriminator=discriminator), tmp_path / "out"))
    _, real, _ = seen  # the fakes, the originals, the fakes again
    assert {round(float(image.mean()), 3) for image in real} == set(ends)


def test_srgan_learns(one: SRGAN, tmp_path: Path) -> None:
    config = replace(one, steps=100, batch=4, patch=10, lr=1e-2)
    pixels = [step.losses["pixel"] for step in run(config, tmp_path / "out")]
    assert sum(pixels[-20:]) < 0.8 * sum(pixels[:20])


def test_srgan_squares_the_distance_if_asked_to(one: SRGAN, tmp_path: Path) -> None:
    configs = {name: replace(one, distance=name) for name in ("l1", "l2")}
    l1, l2 = (next(run(config, tmp_path / name)).losses["pixel"] for name, config in configs.items())
    assert l1**2 <= l2 < l1 / 2  # of the same pictures, by the same network


def test_same_seed_same_run(one: SRGAN, tmp_path: Path) -> None:
    again, other = one, replace(one, seed=1)
    runs = [losses(list(run(config, tmp_path / str(i)))) for i, config in enumerate((one, again, other))]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_generators_with_a_skip_start_at_the_colours_of_the_other_domain(two: CycleGAN, tmp_path: Path) -> None:
    for path in Path(two.b).iterdir():  # b is darker
        with Image.open(path) as image:
            image.point(lambda value: value // 3).save(path)
    config = replace(two, skip=True, lr=0, steps=1, ema=0.0)
    [step] = run(config, tmp_path / "out")
    [plain] = run(replace(config, skip=False), tmp_path / "plain")
    assert step.losses["cycle"] < plain.losses["cycle"] / 2  # the two are nearly each other's inverse
    a2b = checkpoints.load(tmp_path / "out" / "a2b.safetensors").network
    a, b = (data.Crops.of_folders([Path(folder)], 32, (34, 40)).batch(50) for folder in (two.a, two.b))
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
    with pytest.raises(InputError, match=message):
        next(run(replace(two, a=a, b=b), tmp_path / "out"))
    with pytest.raises(InputError, match=message):
        next(run(replace(one, hr=(a, b)), tmp_path / "out"))


def test_a_folder_without_images_is_an_error(two: CycleGAN, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    (empty / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="empty holds no images"):
        next(run(replace(two, b=str(empty)), tmp_path / "out"))


def test_too_few_images_are_an_error(two: CycleGAN, one: SRGAN, tmp_path: Path) -> None:
    few = save_images(tmp_path / "few", 1)
    (few / "notes.txt").write_text("no image")
    with pytest.raises(TrainingError, match="few: 1 usable images; at least 2 are needed"):
        next(run(replace(two, b=str(few)), tmp_path / "out"))
    with pytest.raises(TrainingError, match="few: 1 usable images; at least 2 are needed"):
        next(run(replace(one, hr=(str(few),)), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_what_the_judges_see_is_moved_and_of_one_size() -> None:
    x = torch.arange(20 * 24.0).view(1, 1, 20, 24)
    assert torch.equal(srgan.cropped(x, [3, 5]), x[..., 3 : 3 + 12, 5 : 5 + 16])
