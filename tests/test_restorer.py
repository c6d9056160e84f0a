from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from translate.images import Picture
from translate.models import ARCHITECTURES, Model
from translate.models.restorer import Restorer, Tones, corrected, halo, thumbnail, thumbnail_of_rows
from translate.tiles import in_tiles
from translate.translator import Translator


def restorer() -> Restorer:
    """One that has learnt nothing, but changes pictures."""
    torch.manual_seed(0)
    network = Restorer(4).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def model(network: Restorer) -> Model:
    (architecture,) = (kind for kind in ARCHITECTURES if kind.name == "Restorer")
    return architecture.model(network)


def pixels(height: int, width: int) -> Tensor:
    torch.manual_seed(2)
    slope = torch.linspace(0, 0.5, height).view(-1, 1) + torch.linspace(0, 0.3, width)
    return slope + torch.rand(1, 3, height, width) * 0.2


def test_a_new_network_changes_nothing() -> None:
    x = pixels(16, 24)
    assert torch.equal(Restorer(4)(x), x)


def test_repairs_can_be_switched_off() -> None:
    network, x = restorer(), pixels(16, 24)
    toned, destroyed, painted = network.parts(x)
    assert 0 < destroyed.min() < destroyed.max() < 1
    torch.testing.assert_close(network(x), toned * (1 - destroyed) + painted * destroyed, rtol=0, atol=1e-5)
    network.repairs = False
    assert torch.equal(network(x), toned)


@pytest.mark.parametrize("size", [(64, 64), (8, 200), (130, 71), (65, 8)])
def test_the_thumbnail_of_a_picture_that_comes_in_rows(size: tuple[int, int]) -> None:
    x = pixels(*size)
    rows = thumbnail_of_rows(lambda top, bottom: x[:, :, top:bottom], size[0])
    torch.testing.assert_close(rows, thumbnail(x), rtol=0, atol=1e-6)


def test_the_glance_at_the_whole_counts() -> None:
    network, x = restorer(), pixels(256, 256)
    darker = x.clone()
    darker[..., 240:] = 0
    assert not torch.allclose(network(x)[..., :100], network(darker)[..., :100])
    film = network.glance(thumbnail(x))
    torch.testing.assert_close(network(x, film)[..., :100], network(darker, film)[..., :100])


def test_tones_come_from_which_colours_there_are_and_not_from_where() -> None:
    tones, x = restorer().tones, torch.rand(1, 3, 64, 64)
    elsewhere = x.flatten(2)[..., torch.randperm(64 * 64)].view_as(x)
    torch.testing.assert_close(tones(elsewhere), tones(x), rtol=0, atol=1e-6)
    assert (tones(x.flip(1)) - tones(x)).abs().max() > 1e-3  # red for blue
    assert (tones(x * 0.8 + 0.2) - tones(x)).abs().max() > 1e-3  # a black that has faded


def test_tones_learn_to_undo_a_fading() -> None:
    torch.manual_seed(0)
    tones, good = Tones(32), torch.rand(8, 3, 64, 64) * torch.rand(8, 3, 1, 1)
    black, white = torch.rand(2, 8, 1, 1, 1) * torch.tensor([0.3, -0.3]).view(2, 1, 1, 1, 1)
    faded = black + (1 + white - black) * good
    optimiser = torch.optim.Adam(tones.parameters(), 3e-3)

    def loss() -> Tensor:
        return (corrected(faded, tones(faded)) - good).abs().mean()

    before = loss().item()
    for _ in range(60):
        optimiser.zero_grad()
        now = loss()
        now.backward()
        optimiser.step()
    assert loss().item() < before / 3


def test_tiles_are_exact_and_a_smaller_halo_would_be_seen() -> None:
    network, x = restorer(), pixels(24, 480)
    whole, film = network(x), network.glance(thumbnail(x))

    def source(top: int, bottom: int, left: int, right: int) -> Tensor:
        return x[:, :, top:bottom, left:right]

    def tiled(reach: int) -> Tensor:
        result = torch.empty_like(whole)
        tiles = in_tiles(partial(network, film=film), source, 24, 480, side=64, halo=reach, multiple=8)
        for top, left, part in tiles:
            result[:, :, top : top + part.shape[2], left : left + part.shape[3]] = part
        return result

    torch.testing.assert_close(tiled(halo(network)), whole, rtol=0, atol=1e-5)
    assert (tiled(halo(network) // 2) - whole).abs().max() > 1e-5


def test_a_picture_in_parts_is_that_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    picture = Picture(rng.integers(0, 256, (301, 259, 3), dtype=np.uint8))
    whole, parts = (
        Translator(model(restorer()), "cpu", "fp32", tile)([picture])[0][0].pixels.astype(int) for tile in ("off", 64)
    )
    assert np.abs(whole - parts).max() <= 1
    assert np.abs(whole - picture.pixels).max() > 5
