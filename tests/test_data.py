import logging
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from runs import save_images

from translate.errors import TrainingError
from translate.train import data
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
    assert len(patches.high) == 2
    named = {record.getMessage().split(":")[0].rpartition("skipped ")[2] for record in caplog.records}
    assert named == {str(folder / name) for name in ("cut.png", "folder.jpg", "narrow.png")}
    assert "it is too small" in caplog.text


def test_images_are_found_in_sorted_order_below_the_folder(tmp_path: Path) -> None:
    """Made in an order that a file system gives back neither forwards nor backwards as the sorted one."""
    names = ["b/3.png", "a.PNG", "b/0.jpg", "d/e/f.png", "b/4.png", "b/1.png", "c.bmp", "b/2.png"]
    for level, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * level,) * 3).save(tmp_path / name)
    found = data.load_folders([tmp_path], lambda pixels: pixels)
    assert [names[round(pixels.mean() / 10)] for pixels in found] == sorted(names)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    for name, level in (("0", 0), ("1", 100), ("2", 255)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((8, 8, 3), level * 257, np.uint16))
    found = data.load_folders([tmp_path], lambda pixels: pixels)
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
