import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from runs import needs_features, save_images

from translate.errors import TrainingError
from translate.train import data, files, pairs
from translate.train.files import load_folders
from translate.train.options import SRGAN, CycleGAN
from translate.train.patches import SuperResolutionPatches


def test_broken_and_small_images_are_named_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = save_images(tmp_path / "hr", 2)
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "folder.jpg").mkdir()
    Image.new("RGB", (31, 100)).save(folder / "narrow.png")
    with caplog.at_level(logging.WARNING):
        patches = SuperResolutionPatches([folder], 8, 4)
    assert len(patches.images) == 2
    named = {record.getMessage().split(":")[0].rpartition("skipped ")[2] for record in caplog.records}
    assert named == {str(folder / name) for name in ("cut.png", "folder.jpg", "narrow.png")}
    assert "narrow.png: is 31×100, and a patch takes 32×32" in caplog.text


def test_images_are_found_in_sorted_order_below_the_folder(tmp_path: Path) -> None:
    """Made in an order that a file system gives back neither forwards nor backwards as the sorted one."""
    names = ["b/3.png", "a.PNG", "b/0.jpg", "d/e/f.png", "b/4.png", "b/1.png", "c.bmp", "b/2.png"]
    for level, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * level,) * 3).save(tmp_path / name)
    found = load_folders([tmp_path], lambda pixels: pixels)
    assert [names[round(pixels.mean() / 10)] for pixels in found] == sorted(names)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    for name, level in (("0", 0), ("1", 100), ("2", 255)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((8, 8, 3), level * 257, np.uint16))
    found = load_folders([tmp_path], lambda pixels: pixels)
    assert [pixels.dtype for pixels in found] == [np.uint8] * 3
    assert [int(pixels.max()) for pixels in found] == [0, 100, 255]


@pytest.mark.parametrize(("size", "load"), [(32, (30, 40)), (32, (40, 36))])
def test_crops_larger_than_the_images_are_an_error(two: CycleGAN, size: int, load: tuple[int, int]) -> None:
    with pytest.raises(TrainingError, match=f"crops of {size} do not fit"):
        data.Crops.of_folders([Path(two.a)], size, load)


def test_crops_come_from_torch_s_random_numbers_alone(two: CycleGAN, one: SRGAN) -> None:
    crops = data.Crops.of_folders([Path(two.a)], 32, (34, 40))
    patches = SuperResolutionPatches([Path(one.hr[0])], 8, 4)
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
    batch = data.Crops.of_folders([tmp_path], 10, (12, 12)).batch(200)
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
    batch = data.Crops.of_folders([tmp_path], 8, (8, 12)).batch(20)
    assert set(batch.unique().tolist()) == {-1.0, 1.0}


# What fits into memory


def batches(folder: Path) -> list[torch.Tensor]:
    """Of everything that draws from images: crops, enlarging, pairs of two folders, side by side, and made."""
    torch.manual_seed(5)
    made = pairs.MadePairs(data.Crops.of_folders([folder], 32, (34, 40)), lambda pixels, seed: pixels)
    return [
        data.Crops.of_folders([folder], 32, (34, 40)).batch(6),
        *SuperResolutionPatches([folder], 8, 4).batch(6),
        *SuperResolutionPatches([folder], 8, 4, "realistic").batch(6),
        *pairs.of_two_folders(folder, folder.with_name("b"), 16, (18, 20)).batch(6),
        *pairs.side_by_side(folder, "AtoB", 16, (18, 20)).batch(6),
        *made.batch(6),
    ]


@pytest.mark.parametrize("room", [0, 15_000])
def test_what_does_not_fit_into_memory_is_read_when_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, room: int
) -> None:
    """The same batches, with none or some of the images in memory."""
    folder = save_images(tmp_path / "a", 4)
    save_images(tmp_path / "b", 4, seed=1)
    (folder / "broken.png").write_bytes(b"no image")
    (tmp_path / "b" / "broken.png").write_bytes(b"no image")
    expected = batches(folder)
    monkeypatch.setattr(files, "memory", lambda: room)
    with caplog.at_level(logging.INFO):
        found = batches(folder)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    kept = room // (48 * 40 * 3)
    assert f"4 images in {folder}, {kept} of them (0.0 of 0.0 MB) kept in memory, the others read" in caplog.text


def test_an_image_in_memory_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_images(tmp_path / "a", 3)
    read: list[str] = []

    def images(room: int) -> files.Images[files.Pixels]:
        def reading(path: Path) -> files.Pixels:
            read.append(path.name)
            return files.read_rgb(path)

        monkeypatch.setattr(files, "memory", lambda: room)
        read.clear()
        return files.Images(files.files_in(folder), reading, "a")

    whole, some = images(10**6), images(12_000)
    assert (whole.all_kept, some.all_kept) == (True, False)
    assert read == ["0.png", "1.png", "2.png"]
    assert all((a == b).all() for a, b in zip(whole, some, strict=True))
    assert read == ["0.png", "1.png", "2.png", "2.png"], "only the third did not fit"


@pytest.mark.parametrize("what", ["gone", "broken", "another size"])
def test_an_image_that_changes_during_the_run_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = save_images(tmp_path / "a", 2)
    monkeypatch.setattr(files, "memory", lambda: 0)
    crops = data.Crops.of_folders([folder], 16, (16, 20))
    for path in folder.iterdir():
        path.unlink()
        if what == "broken":
            path.write_bytes(b"no image")
        elif what == "another size":
            Image.new("RGB", (30, 20)).save(path)
    with pytest.raises(TrainingError, match=r"\d\.png (has changed since|was whole when) the run began") as caught:
        crops.batch(1)
    assert "\n" not in str(caught.value)


def test_a_dry_run_says_what_is_kept(run: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = save_images(tmp_path / "hr", 2, (400, 300))
    tiny = ["--patch", 8, "--width", 4, "--blocks", 1, "--batch", 2, "--device", "cpu"]
    ran = run("train", "srgan", "--hr", folder, "--out", tmp_path / "out", "--dry-run", *tiny)
    assert (ran.code, "s for each of the first steps" in ran.out) == (0, True)
    assert f"2 images in {folder}, 0.8 MB kept in memory" in caplog.text  # 2 · 400 · 300 · 3 · (1 + 1/16)
    assert not (tmp_path / "out").exists()


@needs_features
def test_a_dry_run_measures_adversarial_steps_too(run: Callable[..., Any], tmp_path: Path) -> None:
    folder = save_images(tmp_path / "hr", 2, (400, 300))
    tiny = ["--patch", 8, "--width", 4, "--blocks", 1, "--batch", 2, "--device", "cpu", "--discriminator-width", 4]
    steps = ["--steps", 700, "--gan-steps", 200, "--discriminator", "unet"]
    ran = run("train", "srgan", "--hr", folder, "--out", tmp_path / "out", "--dry-run", *tiny, *steps)
    assert [line.split("so ")[1].split(" like")[0] for line in ran.lines if "so " in line] == ["500", "200"]


def test_resuming_says_where_the_run_is(
    run: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, out = save_images(tmp_path / "hr", 2), tmp_path / "out"
    tiny = ["--hr", folder, "--out", out, "--patch", 8, "--width", 4, "--blocks", 1, "--batch", 2, "--device", "cpu"]
    for more in ([], ["--dry-run"]):
        ran = run("train", "srgan", *tiny, "--resume", *more)
        assert (ran.code, f"{out} holds no run to go on with" in ran.err, out.exists()) == (2, True, False)
    assert run("train", "srgan", *tiny, "--steps", 2).code == 0
    before = (out / "checkpoint.pt").read_bytes()
    ran = run("train", "srgan", *tiny, "--steps", 3)
    assert (ran.code, f"{out} holds a run already; go on with --resume" in ran.err) == (2, True)
    assert (out / "checkpoint.pt").read_bytes() == before
    for steps, said in ((2, "is at step 2 of 2 already; raise --steps to go on"), (3, "goes on after step 2 of 3")):
        assert run("train", "srgan", *tiny, "--resume", "--steps", steps).code == 0
        assert f"{out} {said}" in caplog.text


def test_scalars_are_there_when_the_run_ends(run: Callable[..., Any], tmp_path: Path) -> None:
    event_files = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder, out = save_images(tmp_path / "hr", 2), tmp_path / "out"
    tiny = ["--patch", 8, "--width", 4, "--blocks", 1, "--batch", 2, "--device", "cpu", "--steps", 3]
    assert run("train", "srgan", "--hr", folder, "--out", out, "--tensorboard", *tiny).code == 0
    events = event_files.EventAccumulator(str(out)).Reload()
    assert [event.step for event in events.Scalars("pixel")] == [1, 2, 3]
    fails = ("train", "srgan", "--hr", tmp_path / "no", "--out", tmp_path / "none", "--tensorboard", *tiny)
    assert run(*fails).code == 2
    assert not (tmp_path / "none").exists()


def test_memory_is_shared_by_the_processes_of_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "available_bytes", lambda: 8000)
    assert files.memory() == 4000
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert files.memory() == 1000
    monkeypatch.setattr(files, "available_bytes", lambda: None)
    assert files.memory() == files.UNKNOWN
