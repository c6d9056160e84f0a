"""Pictures to learn from, with labels and without: folders and arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from runs import blobs

from translate.errors import InputError, TrainingError
from translate.train import files
from translate.train.labelled import Pictures, holds_test

Photo = Callable[..., Path]


def test_an_npz(npz: str) -> None:
    pictures = Pictures(Path(npz))
    assert pictures.pixels.shape == (24, 1, 16, 16)
    assert (pictures.classes, pictures.labels.tolist()) == (("0", "1"), [0, 1] * 12)
    assert (pictures.pixels[:, 0].numpy() == blobs(24)["x_train"]).all()
    x, labels = pictures.batch(50)
    assert -1 <= x.min() < -0.9
    assert 0.5 < x.max() <= 1
    assert ((x[:, 0, 8:].amax((1, 2)) > 0.2) == (labels == 1)).all()


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", "..", ""])
def test_a_class_that_no_file_can_be_named_after(tmp_path: Path, name: str) -> None:
    np.savez(tmp_path / "a.npz", x_train=blobs(4)["x_train"], y_train=np.array([name, "b", name, "b"]))
    with pytest.raises(TrainingError, match="no file can be named after the class"):
        Pictures(tmp_path / "a.npz")


def test_a_share_of_a_batch_is_part_of_the_whole(npz: str) -> None:
    pictures = Pictures(Path(npz), mirror=True)
    torch.manual_seed(0)
    whole, labels = pictures.batch(8)
    torch.manual_seed(0)
    part, some = pictures.batch(8, slice(2, 5))
    assert torch.equal(part, whole[2:5])
    assert torch.equal(some, labels[2:5])


def test_half_are_mirrored_left_to_right(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 6, 6), dtype=np.uint8)
    np.savez(path := tmp_path / "x.npz", x=x, y=[0, 1])
    torch.manual_seed(0)
    for mirror in (True, False):
        drawn, labels = Pictures(path, mirror=mirror).batch(100)
        levels = ((drawn[:, 0] + 1) * 127.5).round().byte().numpy()
        straight = [np.array_equal(one, x[label]) for one, label in zip(levels, labels, strict=True)]
        turned = [np.array_equal(one, x[label][:, ::-1]) for one, label in zip(levels, labels, strict=True)]
        assert all(a != b for a, b in zip(straight, turned, strict=True))
        assert (35 < sum(turned) < 65) if mirror else all(straight)


@pytest.mark.parametrize("size", [8, 4])
def test_the_middle_square_of_a_picture_that_is_none(tmp_path: Path, size: int) -> None:
    """Every column, or row, has a level of its own."""
    wide = np.tile(np.arange(76, 76 + 3 * 24, 3, dtype=np.uint8), (8, 1))
    Image.fromarray(wide).save(tmp_path / "a.png")
    Image.fromarray(wide.T).save(tmp_path / "b.png")
    middle = torch.from_numpy(wide[:, 8:16].reshape(8, size, -1).mean(2)[:size])
    across, down = Pictures(tmp_path, size).pixels[:, 0]
    torch.testing.assert_close(across.double(), middle, rtol=0, atol=0.5)
    assert torch.equal(down, across.T)


def test_pictures_that_are_set_apart_for_tests(tmp_path: Path, npz: str) -> None:
    arrays = blobs(24)
    test = {"x_test": arrays["x_train"][:5] // 2, "y_test": np.array([1, 1, 0, 1, 0])}
    np.savez(path := tmp_path / "both.npz", **arrays, **test)
    assert (holds_test(path), holds_test(Path(npz)), holds_test(tmp_path)) == (True, False, False)
    apart, others = Pictures(path, test=True), Pictures(path)
    assert np.array_equal(apart.pixels[:, 0], test["x_test"])
    assert apart.labels.tolist() == [1, 1, 0, 1, 0]
    assert np.array_equal(others.pixels[:, 0], arrays["x_train"])
    assert others.labels.tolist() == [0, 1] * 12


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
    with pytest.raises(InputError, match="neither a folder nor"):
        Pictures(tmp_path / "nothing")


def test_pictures_that_do_not_fit_into_memory(tmp_path: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        photo(tmp_path / "set" / f"{name}.png", 20, 20)
    monkeypatch.setattr(files, "memory", lambda: 2000)
    with pytest.raises(TrainingError, match=r"set: 2 pictures do not fit into memory; choose a smaller --size"):
        Pictures(tmp_path / "set")
    assert Pictures(tmp_path / "set", 16).size == 16
