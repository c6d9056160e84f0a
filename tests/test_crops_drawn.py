"""How large the training images are that crops are cut from, and how they get smaller."""

import numpy as np
import torch

from translate.train.data import Crops, shrink


def test_every_side_between_both_ends_is_drawn() -> None:
    """Of an image whose red says how far down a pixel is: the smaller it was made, the steeper a crop of it."""
    down = np.repeat(np.linspace(0, 255, 64)[:, None, None], 64, axis=1).repeat(3, axis=2).astype(np.uint8)
    crops = Crops([down, down], 32, (32, 64))  # type: ignore[arg-type]
    torch.manual_seed(0)
    batch = (crops.batch(400)[:, 0, :, 0] + 1) * 127.5
    sides = 31 * 255 / (batch[:, -1] - batch[:, 0])
    assert sides.min() < 33
    assert sides.max() > 62
    assert len(set(sides.round().tolist())) > 25  # of 33
    shares = torch.histc(sides, 4, 31, 65) / len(sides)
    assert (shares > 0.15).all()


def test_an_image_of_one_side_is_not_resized() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    torch.manual_seed(0)
    for crop in Crops([noise, noise], 32, (32, 32)).draw(4):  # type: ignore[arg-type]
        assert (crop == noise).all() or (crop == noise[:, ::-1]).all()


def test_shrinking_averages_areas() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
    for channels in (3, 6):
        image = np.repeat(board[..., None], channels, axis=2).astype(np.uint8)
        half = shrink(image, 32)
        assert half.shape == (32, 32, channels)
        assert np.abs(half.astype(float) - 127.5).max() <= 1
        third = shrink(image, 24).astype(float)  # of the same mean, and not black and white
        assert abs(third.mean() - 127.5) < 2
        assert 60 < third.min() < third.max() < 195
