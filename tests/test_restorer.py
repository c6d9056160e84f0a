import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from translate.images import Picture
from translate.models import ARCHITECTURES, Model
from translate.models.restorer import THUMBNAIL, Restorer, Tones, corrected, filled
from translate.tiles import in_strips
from translate.train.restore import _dice_loss, _psnr_loss
from translate.translator import Translator


def restorer() -> Restorer:
    """One that has learnt nothing, but changes pictures."""
    torch.manual_seed(0)
    network = Restorer(4).eval().requires_grad_(False)
    network.head.weight.normal_(0, 0.3)
    network.tones.last.weight.normal_(0, 0.02)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def model(network: Restorer) -> Model:
    (architecture,) = (kind for kind in ARCHITECTURES if kind.name == "Restorer")
    return architecture.model(network)


def pixels(height: int, width: int) -> Tensor:
    torch.manual_seed(2)
    slope = torch.linspace(0, 0.5, height).view(-1, 1) + torch.linspace(0, 0.3, width)
    return slope + torch.rand(1, 3, height, width) * 0.2


def test_a_new_network_keeps_the_tones() -> None:
    x = pixels(16, 24)
    assert torch.equal(Restorer(4, repairs=False, cleans=False)(x), x)


def test_repairs_and_cleaning_can_be_switched_off() -> None:
    network, x = restorer(), pixels(32, 48)
    tone, changes = network.look(x)
    paint, destroyed, lacking = torch.split(changes, [3, 1, 3], 1)
    assert 0 < destroyed.min() < destroyed.max() < 1
    painted = x * (1 - destroyed) + paint * destroyed
    assert lacking.abs().max() > 1e-3
    torch.testing.assert_close(lacking, network.denoiser(painted, destroyed), rtol=0, atol=1e-5)
    torch.testing.assert_close(network(x), corrected(painted + lacking, tone), rtol=0, atol=1e-5)
    network.cleans = False
    torch.testing.assert_close(network(x), corrected(painted, tone), rtol=0, atol=1e-5)
    network.repairs = False
    assert torch.equal(network(x), corrected(x, tone))
    network.cleans = True
    expected = corrected(x + network.denoiser(x, torch.zeros(1, 1, 32, 48)), tone)
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-5)


def test_grain_is_looked_at_from_further_away_too() -> None:
    denoiser, sound = restorer().denoiser.double(), torch.zeros(1, 1, 8, 96, dtype=torch.float64)
    for weight in denoiser.parameters():
        weight.normal_(0, 0.1)
    x = torch.rand(1, 3, 8, 96, dtype=torch.float64)
    other = x.clone()
    other[..., :8] = 0
    changed = (denoiser(x, sound) - denoiser(other, sound)).abs().amax((0, 1, 2))
    assert changed[40] > 0  # 20 pixels is as far as the convolutions at half the size see
    assert changed[64:].max() == 0


def test_a_scratch_is_filled_with_what_is_beside_it() -> None:
    scene = torch.linspace(0, 1, 64).view(1, 1, 64, 1).expand(1, 3, 64, 80)
    destroyed = torch.zeros(1, 1, 64, 80)
    destroyed[..., 30:33] = 1.0
    destroyed[:, :, 50:60, 50:60] = 1.0
    scratched = torch.where(destroyed > 0, torch.ones(()), scene)
    assert (filled(scratched, destroyed) - scene).abs().mean() < 0.01
    assert (filled(scratched, destroyed) - scene).abs().max() < 0.1
    sound = filled(scratched, torch.zeros_like(destroyed))
    torch.testing.assert_close(sound, scratched, rtol=0, atol=1e-4)


def test_the_blurred_rim_of_a_mark_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    network, scores = restorer(), torch.full((1, 1, 16, 16), -30.0)
    scores[..., 5, 9] = 30.0
    monkeypatch.setattr(network, "decoded", lambda x: scores)
    _, paint = network.look(pixels(16, 16))
    expected = torch.zeros(1, 16, 16)
    expected[:, 4:7, 8:11] = 1
    torch.testing.assert_close(paint[:, 3], expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 31)])
def test_nothing_but_holes_stays(size: tuple[int, int]) -> None:
    x = torch.full((2, 3, *size), 0.3)
    torch.testing.assert_close(filled(x, torch.ones(2, 1, *size)), x)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 31), (500, 790)])
def test_any_size(size: tuple[int, int]) -> None:
    y = restorer()(pixels(*size))
    assert y.shape[2:] == size
    assert y.isfinite().all()


def test_thin_marks_count_in_the_loss() -> None:
    true = torch.zeros(2, 1, 32, 32)
    true[0, :, :, 7] = 1.0
    assert _dice_loss(true, true).item() == pytest.approx(0)
    assert _dice_loss(torch.zeros_like(true), true).item() == pytest.approx((1 - 1 / 33) / 2)
    both = _dice_loss(true.flip(0), true).item()
    assert both == pytest.approx(1 - 1 / 33)


def test_the_loss_of_tones_is_psnr() -> None:
    error = torch.stack([torch.full((3, 4, 4), 0.1), torch.zeros(3, 4, 4)])
    assert _psnr_loss(error).item() == pytest.approx((10 * np.log10(0.0101) - 40) / 2, abs=1e-3)


def test_tones_come_from_which_colours_there_are_and_not_from_where() -> None:
    tones, x, seen = restorer().tones, torch.rand(1, 3, 64, 64), torch.randn(1, 224)
    elsewhere = x.flatten(2)[..., torch.randperm(64 * 64)].view_as(x)
    torch.testing.assert_close(tones(elsewhere, seen), tones(x, seen), rtol=0, atol=1e-6)
    assert (tones(x.flip(1), seen) - tones(x, seen)).abs().max() > 1e-3  # red for blue
    assert (tones(x * 0.8 + 0.2, seen) - tones(x, seen)).abs().max() > 1e-3  # a black that has faded


def test_tones_come_from_what_there_is_in_the_picture_too() -> None:
    network, x = restorer(), pixels(64, 48)
    thumbnail, seen = F.adaptive_avg_pool2d(x, THUMBNAIL), network.features(x)
    assert seen.shape == (1, network.tones.seen.in_features)
    assert torch.equal(network.look(x)[0], network.tones(thumbnail, seen))
    others = torch.cat([pixels(40, 40), pixels(40, 40).flip(1), torch.rand(6, 3, 40, 40)])
    network.measure(others)
    torch.testing.assert_close(network.features(others).mean(0), torch.zeros(224), rtol=0, atol=1e-3)
    assert 0 < network.features(others).std(0).mean() < 1
    assert (network.tones(thumbnail, seen) - network.tones(thumbnail, -seen)).abs().max() > 1e-3


def test_tones_learn_to_undo_a_fading() -> None:
    torch.manual_seed(0)
    tones, good = Tones(1, 32), torch.rand(8, 3, 64, 64) * torch.rand(8, 3, 1, 1)
    black, white = torch.rand(2, 8, 1, 1, 1) * torch.tensor([0.3, -0.3]).view(2, 1, 1, 1, 1)
    faded = black + (1 + white - black) * good
    optimiser = torch.optim.Adam(tones.parameters(), 3e-3)

    def loss() -> Tensor:
        return (corrected(faded, tones(faded, torch.zeros(8, 1))) - good).abs().mean()

    before = loss().item()
    for _ in range(60):
        optimiser.zero_grad()
        now = loss()
        now.backward()
        optimiser.step()
    assert loss().item() < before / 3


@pytest.mark.parametrize(("height", "width", "rows"), [(900, 820, 64), (390, 800, 1), (90, 70, 40)])
def test_strips_are_exact(height: int, width: int, rows: int) -> None:
    network, x = restorer(), pixels(height, width)
    whole, given = network(x), 0
    for top, left, part in in_strips(network, lambda t, b, l, r: x[:, :, t:b, l:r], height, width, rows=rows):  # noqa: E741
        assert (top, left) == (given, 0)
        torch.testing.assert_close(part, whole[:, :, top : top + part.shape[2]], rtol=0, atol=1e-5)
        given += part.shape[2]
    assert given == height


def test_a_picture_in_parts_is_that_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    picture = Picture(rng.integers(0, 256, (801, 789, 3), dtype=np.uint8))
    whole, parts = (
        Translator(model(restorer()), "cpu", "fp32", tile)([picture])[0][0].pixels.astype(int) for tile in ("off", 64)
    )
    assert np.abs(whole - parts).max() <= 1
    assert np.abs(whole - picture.pixels).max() > 5
