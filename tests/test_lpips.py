"""LPIPS by hand on cases where the answer is known, and where the network comes from."""

import numpy as np
import pytest
import torch
from torch import Tensor

from translate.errors import ImageError
from translate.evaluate.lpips import LPIPS, compare

RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


@pytest.fixture
def network(seeded: None) -> LPIPS:
    return LPIPS().eval().requires_grad_(False)


def plain(colour: tuple[float, float, float], size: int = 40) -> Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, size, size)


@pytest.fixture
def of_colours(network: LPIPS) -> LPIPS:
    """Sees one thing: channel 0 of the first layer is red, and channel 1 is green; their weights are 3 and 5."""
    for conv in network.convs:
        conv.weight.zero_()
        conv.bias.zero_()
    network.convs[0].weight[0, 0, 5, 5] = network.convs[0].weight[1, 1, 5, 5] = 1
    network.weights[0][:2] = torch.tensor([3.0, 5.0])
    return network


def test_equal_pictures_have_none(network: LPIPS) -> None:
    x = torch.rand(2, 3, 48, 64)
    assert network(x, x).tolist() == [0, 0]
    assert (network(x, x.flip(3)) > 0).all()


def test_directions_count_and_lengths_do_not(of_colours: LPIPS) -> None:
    """Unit vectors: red against green differs by 1 in both channels, and a darker red from red by nothing."""
    assert of_colours(plain(RED), plain(GREEN)).item() == pytest.approx(3 + 5)
    assert of_colours(plain(RED), plain((0.6, 0.0, 0.0))).item() == pytest.approx(0, abs=1e-9)
    assert of_colours(plain(RED), plain((0.0, 0.0, 0.0))).item() == pytest.approx(3)
    yellow = 3 * (1 - 0.5**0.5) ** 2 + 5 * 0.5  # nearly: the channels are scaled differently
    assert of_colours(plain(RED), plain((1.0, 1.0, 0.0))).item() == pytest.approx(yellow, rel=0.1)


@pytest.mark.parametrize(("channel", "mean"), [(0, 0.485), (1, 0.456)])
def test_colours_are_measured_from_the_means_of_imagenet(of_colours: LPIPS, channel: int, mean: float) -> None:
    """What is below the mean is negative, which the first layer cuts off."""
    above, below = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    above[channel], below[channel] = mean + 1e-3, mean - 1e-3
    assert of_colours(plain(tuple(above)), plain(tuple(below))).item() == pytest.approx((3, 5)[channel])


def test_numbers_are_the_mean_over_the_pixels(of_colours: LPIPS) -> None:
    """A 31 × 31 picture has 7 × 7 pixels in the first layer: one row of them differs."""
    x = plain(RED, 31).clone()
    y = x.clone()
    y[..., :7, :] = plain(GREEN, 31)[..., :7, :]  # its first row sees row 3, the second row 7
    assert of_colours(x, y).item() == pytest.approx(8 / 7)


def test_small_pictures_are_refused(network: LPIPS) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (31, 40, 3), np.uint8) for _ in range(2))
    assert compare(network, a, b) > 0
    assert compare(network, a.astype(np.float32), a) == 0
    with pytest.raises(ImageError, match="40 × 30 pixels are less than the 31 × 31 of LPIPS"):
        compare(network, a[1:], b[1:])
