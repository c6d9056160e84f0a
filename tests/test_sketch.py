import numpy as np
import pytest
import torch

from translate.errors import TrainingError
from translate.train.sketch import DETECTORS, Pixels, sketch


@pytest.fixture
def disc() -> Pixels:
    """A dark red disc of radius 20 on a light green ground, (64, 80, 3), a little blurred by its noise."""
    y, x = np.ogrid[:64, :80]
    inside = np.hypot(y - 32, x - 40)[..., None] < 20
    noise = np.random.default_rng(0).integers(-3, 4, (64, 80, 3))
    return (np.where(inside, (120, 30, 40), (190, 220, 170)) + noise).astype(np.uint8)


def rings() -> tuple[np.ndarray, np.ndarray]:
    """Where the disc's border is, and where nothing is."""
    y, x = np.ogrid[:64, :80]
    from_border = np.abs(np.hypot(y - 32, x - 40) - 20)
    return from_border < 2.5, from_border > 8


@pytest.mark.parametrize("kind", DETECTORS)
def test_draws_the_outline_and_nothing_else(kind: str, disc: Pixels) -> None:
    drawn = sketch(disc, kind)
    border, empty = rings()
    assert drawn.shape == disc.shape
    assert drawn.dtype == np.uint8
    assert (drawn == drawn[..., :1]).all()
    assert drawn[border].mean() < 215
    assert drawn[empty].mean() > 245


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_kind_is_always_the_same(kind: str, disc: Pixels) -> None:
    state = torch.get_rng_state()
    before = disc.copy()
    assert np.array_equal(sketch(disc, kind), sketch(disc, kind))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(disc, before)


def test_kinds_differ(disc: Pixels) -> None:
    assert len({sketch(disc, kind).tobytes() for kind in DETECTORS}) == len(DETECTORS)


def test_an_unknown_kind_is_named(disc: Pixels) -> None:
    with pytest.raises(TrainingError, match=r"'chalk'; there are canny, "):
        sketch(disc, "chalk")


def test_the_global_seed_decides(disc: Pixels) -> None:
    torch.manual_seed(4)
    first = [sketch(disc) for _ in range(6)]
    torch.manual_seed(4)
    assert all(np.array_equal(sketch(disc), drawn) for drawn in first)
    assert len({drawn.tobytes() for drawn in first}) == 6


def test_random_sketches_are_dark_lines_on_light_paper(disc: Pixels) -> None:
    torch.manual_seed(0)
    border, empty = rings()
    papers = []
    for _ in range(40):
        drawn = sketch(disc)
        papers.append(int(np.median(drawn[empty])))
        assert papers[-1] > 195
        assert drawn[border].mean() < papers[-1] - 5
    assert min(papers) < 225
    assert max(papers) == 255


@pytest.mark.parametrize("size", [(1, 1), (3, 200)])
def test_takes_any_size(size: tuple[int, int]) -> None:
    blank = np.full((*size, 3), 90, np.uint8)
    for kind in (*DETECTORS, *[None] * 20):
        assert sketch(blank, kind).shape == blank.shape
