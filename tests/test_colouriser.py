import importlib

import pytest
import torch
from torch import Tensor

from translate.models.colouriser import GRID, Colouriser, agreed, grid, guided_upsample, luma

color = importlib.import_module("kornia.color")


@pytest.fixture(scope="module")
def network() -> Colouriser:
    """One that has learnt nothing, but says something."""
    torch.manual_seed(0)
    network = Colouriser(8).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(0, 0.05) if parameter.dim() > 1 else parameter.normal_(0, 0.5)
    network.temperature.fill_(0.1)
    return network


def photograph(height: int = 70, width: int = 51) -> Tensor:
    torch.manual_seed(1)
    return torch.nn.functional.interpolate(torch.rand(1, 3, 9, 7), (height, width), mode="bicubic").clamp(0, 1)


def test_the_grid_is_that_of_colours_which_srgb_has() -> None:
    colours = grid()
    assert colours.shape == (222, 2)
    assert (colours % GRID == 0).all()
    assert [0.0, 0.0] in colours.tolist()
    red = color.rgb_to_lab(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1))[0, 1:, 0, 0]
    assert (colours - red).norm(dim=1).min() < 1.5 * GRID
    assert (colours - torch.tensor([0.0, -90.0])).norm(dim=1).min() > GRID, "no such blue"


def test_the_grey_stays_and_colours_of_the_input_do_not_count(network: Colouriser) -> None:
    x = photograph() * 0.5 + 0.25
    grey = luma(x).expand(-1, 3, -1, -1)
    coloured = network(x)
    assert coloured.shape == x.shape
    assert coloured.dtype == torch.float32
    torch.testing.assert_close(coloured, network(grey), rtol=0, atol=2e-3)
    assert color.rgb_to_lab(coloured)[:, 1:].abs().mean() > 3, "it has colours"
    unclipped = ((coloured > 0) & (coloured < 1)).all(1, keepdim=True)
    assert unclipped.float().mean() > 0.5
    torch.testing.assert_close(luma(coloured)[unclipped], luma(x)[unclipped], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 31), (300, 280), (600, 90)])
def test_any_size(network: Colouriser, size: tuple[int, int]) -> None:
    y = network(photograph(*size))
    assert y.shape[2:] == size
    assert y.isfinite().all()
    assert y.min() >= 0
    assert y.max() <= 1


def test_temperature_goes_from_the_mean_to_the_likeliest_colour(network: Colouriser) -> None:
    scores = torch.zeros(1, len(network.bins), 1, 1)
    scores[0, 7] = 3.0
    shares = scores.softmax(1)[0, :, 0, 0]
    for temperature, expected in ((1.0, shares @ network.bins), (0.01, network.bins[7])):
        network.temperature.fill_(temperature)
        torch.testing.assert_close(network.mean_colour(scores)[0, :, 0, 0], expected, rtol=0, atol=1e-3)
    network.temperature.fill_(0.1)


def test_colours_follow_the_edges_of_the_lightness() -> None:
    full = torch.zeros(1, 1, 64, 64)
    full[..., 29:] = 80.0  # an edge that is no multiple of the colours' pixel
    ab = torch.nn.functional.adaptive_avg_pool2d(full / 4, 16).repeat(1, 2, 1, 1)
    sharp = guided_upsample(ab, full, full)
    plain = torch.nn.functional.interpolate(ab, (64, 64), mode="bilinear")
    truth = full / 4
    assert (sharp - truth).abs().mean() < 0.25 * (plain - truth).abs().mean()


def test_plain_colours_stay_plain() -> None:
    ab = torch.full((1, 2, 8, 8), 12.5)
    torch.testing.assert_close(guided_upsample(ab, torch.rand(1, 1, 32, 32) * 100, torch.rand(1, 1, 50, 40) * 100),
                               torch.full((1, 2, 50, 40), 12.5), rtol=0, atol=1e-3)  # fmt: skip


def test_places_that_look_alike_agree_on_their_colour() -> None:
    """Two walls of the same look at both ends of a picture, and a lawn between them."""
    seen = torch.zeros(1, 2, 8, 24)
    seen[:, 0, :, :8] = seen[:, 0, :, 16:] = seen[:, 1, :, 8:16] = 1.0
    scores = torch.zeros(1, 3, 16, 48)
    scores[:, 0, :, :16], scores[:, 1, :, 32:], scores[:, 2, :, 16:32] = 6.0, 4.0, 5.0
    left, lawn, right = (agreed(scores, seen)[0, :, 5:11, at : at + 6].mean((1, 2)) for at in (5, 21, 37))
    assert left[0] < 5
    assert left[1] > 0.8
    assert right[0] > 1
    assert (left - right).abs().max() < 4
    torch.testing.assert_close(lawn, torch.tensor([0.0, 0.0, 5.0]), rtol=0, atol=0.1)


@pytest.mark.parametrize("size", [(8, 8), (64, 96), (8, 6400)])
def test_where_all_agree_nothing_changes(size: tuple[int, int]) -> None:
    scores = torch.rand(1, 5, 1, 1).expand(-1, -1, *size)
    torch.testing.assert_close(agreed(scores, torch.rand(1, 3, 9, 40)), scores, rtol=0, atol=1e-4)
    one = torch.rand(1, 5, *size)
    torch.testing.assert_close(agreed(one, torch.ones(1, 3, 9, 40)).mean((2, 3)), one.mean((2, 3)), rtol=0, atol=0.05)


def test_a_mirror_image_gets_the_same_colours(network: Colouriser) -> None:
    torch.manual_seed(2)
    lightness = torch.rand(1, 1, 64, 96) * 100
    one, other = (network.mean_colour(network.classify(network.look(x))) for x in (lightness, lightness.flip(3)))
    assert (one - other.flip(3)).abs().max() > 0.1, "without the mirror image they are others"
    turned = network.colours(*[lightness.flip(3)] * 2).flip(3)
    torch.testing.assert_close(turned, network.colours(lightness, lightness), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "looked_at"), [((600, 800), [(256, 352), (192, 256)]), ((100, 40), [(96, 32), (96, 32)])]
)
def test_it_looks_from_near_and_from_far(
    network: Colouriser, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], looked_at: list[tuple[int, int]]
) -> None:
    sizes, look = [], network.look

    def looking(lightness: Tensor) -> list[Tensor]:
        sizes.append(tuple(lightness.shape[2:]))
        return look(lightness)

    monkeypatch.setattr(network, "look", looking)
    assert network(torch.rand(1, 3, *size)).shape[2:] == size
    assert sizes == looked_at


def test_the_decoder_is_told_what_the_whole_picture_shows(network: Colouriser) -> None:
    told, lightness = [], torch.rand(1, 1, 64, 96) * 100
    with network.context.register_forward_hook(lambda _, given, __: told.append(given[0])):
        scores = network.classify(network.look(lightness))
    [deepest] = network.encoder((lightness / 100).expand(-1, 3, -1, -1), [4])
    torch.testing.assert_close(told[0], deepest.mean((2, 3)))
    with network.context.register_forward_hook(lambda _, __, found: found + 1):
        assert (network.classify(network.look(lightness)) - scores).abs().max() > 1e-4
