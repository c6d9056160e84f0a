import pytest
import torch
from torch import Tensor

from translate.train.augment import DRAWS, diffaugment

STILL = [0.5, 0.5, 0.5, 0.5, 0.5]  # no colour is changed, nothing moves


def images(count: int = 1, height: int = 16, width: int = 24, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def draws(*values: float) -> Tensor:
    return torch.tensor([values])


def without_cut(colour_and_place: list[float], x: Tensor) -> Tensor:
    """Two opposite corners cut out in turn, and put together again: what the rest of it does."""
    first, last = (diffaugment(x, draws(*colour_and_place, corner, corner)) for corner in (0.0, 0.999))
    half = x.shape[3] // 2
    return torch.cat([last[..., :half], first[..., half:]], dim=3)


@pytest.mark.parametrize(
    ("which", "draw", "expected"),
    [
        (0, 0.9, lambda x: x + 0.4),
        (0, 0.0, lambda x: x - 0.5),
        (1, 0.0, lambda x: x.mean(1, keepdim=True).expand_as(x)),
        (1, 1.0, lambda x: 2 * x - x.mean(1, keepdim=True)),
        (2, 0.0, lambda x: x.mean() + (x - x.mean()) / 2),
        (2, 1.0, lambda x: x.mean() + (x - x.mean()) * 1.5),
        (3, 0.0, lambda x: torch.cat([x[:, :, 2:], torch.zeros(1, 3, 2, 24)], dim=2)),
        (3, 0.999, lambda x: torch.cat([torch.zeros(1, 3, 2, 24), x[:, :, :-2]], dim=2)),
        (4, 0.0, lambda x: torch.cat([x[..., 3:], torch.zeros(1, 3, 16, 3)], dim=3)),
        (4, 0.5, lambda x: x),
    ],
)
def test_each_number_by_hand(which: int, draw: float, expected: object) -> None:
    x, chosen = images(), list(STILL)
    chosen[which] = draw
    torch.testing.assert_close(without_cut(chosen, x), expected(x))  # type: ignore[operator]


def test_a_rectangle_of_half_the_sides_is_grey() -> None:
    x = images() + 3
    for row, column, top, left in ((0.5, 0.5, 4, 6), (0.25, 0.75, 0, 12)):
        cut = diffaugment(x, draws(*STILL, row, column)) == 0
        expected = torch.zeros_like(cut)
        expected[..., top : top + 8, left : left + 12] = True
        assert torch.equal(cut, expected)
    corner = diffaugment(x, draws(*STILL, 0.0, 0.0)) == 0
    assert corner[..., :4, :6].all()
    assert int(corner.sum()) == 3 * 4 * 6


def test_each_image_has_its_own_numbers() -> None:
    x, numbers = images(5), torch.rand(5, DRAWS, generator=torch.Generator().manual_seed(1))
    together = diffaugment(x, numbers)
    assert together.shape == x.shape
    assert together.is_contiguous(memory_format=torch.channels_last)
    alone = torch.cat([diffaugment(x[i : i + 1], numbers[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone)
    assert len({tuple(row) for row in diffaugment(x[:1].expand(5, -1, -1, -1), numbers).flatten(1).tolist()}) == 5


def test_other_value_ranges_see_the_same_picture() -> None:
    x, numbers = images(3), torch.rand(3, DRAWS, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(diffaugment((x + 1) / 2, numbers, (0, 1)), (diffaugment(x, numbers) + 1) / 2)


def test_gradients_reach_the_images() -> None:
    """It is linear in the image, so its gradient is a difference quotient, exactly."""
    x, numbers = images(2).requires_grad_(), torch.rand(2, DRAWS, generator=torch.Generator().manual_seed(1))
    weight = images(2, seed=5)
    y = diffaugment(x, numbers)
    (gradient,) = torch.autograd.grad((y * weight).sum(), x)
    direction = images(2, seed=6)
    change = ((diffaugment(x.detach() + direction, numbers) - y) * weight).sum()
    assert (gradient * direction).sum().item() == pytest.approx(change.item(), rel=1e-4)
