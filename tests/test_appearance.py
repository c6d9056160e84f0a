"""Whether the edges of one picture are in another, of plain patterns."""

import numpy as np
import pytest

from translate.evaluate.appearance import edge_correlation


def stripes(axis: int, shift: int = 0) -> np.ndarray:
    """Black and white, each 8 pixels wide; 0 is for horizontal ones."""
    level = ((np.indices((64, 64))[axis] + shift) // 8 % 2) * 200.0
    return np.repeat(level[..., None], 3, axis=2)


@pytest.mark.parametrize("axis", [0, 1], ids=["horizontal", "vertical"])
def test_edges_of_every_direction_count(axis: int) -> None:
    plain = np.full((64, 64, 3), 90.0)
    assert edge_correlation(stripes(axis), stripes(axis)) == pytest.approx(1)
    assert edge_correlation(stripes(axis), 255 - stripes(axis)) == pytest.approx(1)
    assert edge_correlation(stripes(axis), plain) == edge_correlation(plain, stripes(axis)) == 0
    assert abs(edge_correlation(stripes(axis), stripes(1 - axis))) < 0.05


def test_a_pixel_of_shift_and_grain_count_little() -> None:
    """The fixed values are those of a Gaussian with σ 1.5, which smooths before."""
    grain = (np.indices((64, 64)).sum(0) % 2 * 60.0)[..., None]
    for shift, value in ((1, 0.740), (2, 0.071)):
        assert edge_correlation(stripes(0), stripes(0, shift)) == pytest.approx(value, abs=1e-3)
    assert edge_correlation(stripes(0), stripes(0) + grain) == pytest.approx(1, abs=1e-3)
