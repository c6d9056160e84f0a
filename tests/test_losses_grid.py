"""The loss against the grid that an upsampler leaves: levels, and contrast, that repeat with its period."""

import pytest
import torch
from torch import Tensor

from translate.train.losses import grid

PERIOD = 4


def phase(row: int, column: int) -> Tensor:
    """1 at every pixel of one phase, (64, 64)."""
    mask = torch.zeros(64, 64)
    mask[row::PERIOD, column::PERIOD] = 1
    return mask


def signs() -> Tensor:
    """Plus and minus by turns, from one period to the next: the mean of every phase is 0."""
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    return 1.0 - 2 * ((rows // PERIOD + columns // PERIOD) % 2)


def test_a_contrast_that_repeats_is_seen_where_no_level_does() -> None:
    real = torch.full((1, 3, 64, 64), 0.5)
    at_one = real + 0.2 * signs() * phase(0, 1)
    twice = real + 0.4 * signs() * phase(0, 1)
    everywhere = real + 0.05 * signs()
    # At the pixel itself 0.2·24/25, at its eight neighbours 0.2/25, and 0 where two cancel: 0.016 in the mean.
    deviations = 0.192 - 0.016 + 8 * (0.016 - 0.008) + 7 * 0.016
    assert grid(at_one, real, PERIOD).item() == pytest.approx(deviations / 16, rel=0.01)
    assert grid(twice, real, PERIOD).item() == pytest.approx(2 * grid(at_one, real, PERIOD).item())
    assert grid(everywhere, real, PERIOD) < grid(at_one, real, PERIOD) / 3
    assert grid(at_one, at_one, PERIOD) == 0


def test_a_level_that_repeats_is_seen() -> None:
    """One phase in sixteen is 0.16 too bright, which is 0.15 above the mean of all; the others are 0.01 below."""
    real = torch.zeros(1, 3, 64, 64)
    levels = 0.15 + 15 * 0.01
    # At the pixel 0.16·24/25, at its eight neighbours 0.16/25, twice that between two, and four times between four.
    contrasts = torch.tensor([0.1536] + [0.0064] * 8 + [0.0128] * 6 + [0.0256])
    expected = (levels + (contrasts - contrasts.mean()).abs().sum().item()) / 16
    assert grid(real + 0.16 * phase(2, 3), real, PERIOD).item() == pytest.approx(expected, rel=0.01)
