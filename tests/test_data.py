import logging
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from runs import save_images
from torch import nn

from translate.errors import TrainingError
from translate.train import data
from translate.train.options import SRGAN, CycleGAN


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
