"""Sheets of sample images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from translate.train.sheet import save_sheet


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0)])
def test_a_row_for_each_batch_from_black_to_white(tmp_path: Path, low: float, high: float) -> None:
    """What lies beyond the range is cut off."""
    rows = [torch.tensor(levels).view(3, 1, 1, 1).expand(3, 3, 4, 5) for levels in ([0.0, 1, 0.5], [-0.5, 1.5, 0.2])]
    save_sheet(tmp_path / "sheet.png", [low + (high - low) * row for row in rows], (low, high))
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 4, 3 * 5, 3)
    expected = np.array([[0, 255, 128], [0, 255, 51]]).repeat(4, 0).repeat(5, 1)
    assert np.array_equal(sheet, np.repeat(expected[..., None], 3, 2))


def test_the_range_is_from_0_to_1_where_none_is_given(tmp_path: Path) -> None:
    save_sheet(tmp_path / "sheet.png", [torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 2, 2)])
    assert np.asarray(Image.open(tmp_path / "sheet.png"))[0, :, 0].tolist() == [0, 0, 255, 255]
