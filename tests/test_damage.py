from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from translate.train import damage as aged
from translate.train.damage import damage, film, marks, tone
from translate.train.damage.fields import Plane, Rgb

STRENGTH = 0.8


def worn(x: Tensor, seeds: Tensor | None = None) -> Tensor:
    return damage(x, seeds)[0]


@pytest.fixture
def photographs() -> Tensor:
    """Soft colour shapes (6, 3, 48, 64) in the middle of the range."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(6, 3, 6, 8, generator=generator)
    return 0.2 + 0.6 * torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bilinear")


@pytest.fixture
def photograph(photographs: Tensor) -> Rgb:
    return np.ascontiguousarray(photographs[0].permute(1, 2, 0).numpy())


def saturation(x: Rgb) -> float:
    return float((x.max(axis=2) - x.min(axis=2)).mean())


def detail(x: Rgb) -> float:
    return float((np.diff(x, axis=1) ** 2).mean())


def test_keeps_shape_and_range(photographs: Tensor) -> None:
    for seed in range(8):
        torch.manual_seed(seed)
        damaged, _, mask = damage(photographs.to(memory_format=torch.channels_last))
        assert damaged.shape == photographs.shape
        assert mask.shape == (6, 1, 48, 64)
        for x in (damaged, mask):
            assert x.dtype == torch.float32
            assert x.isfinite().all()
            assert x.min() >= 0
            assert x.max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (33, 17)])
def test_takes_any_size(size: tuple[int, int]) -> None:
    x = torch.full((40, 3, *size), 0.5)
    assert worn(x, torch.arange(len(x))).shape == x.shape


def test_leaves_the_photographs_alone(photographs: Tensor) -> None:
    before = photographs.clone()
    worn(photographs.to(memory_format=torch.channels_last))
    x = photographs.contiguous(memory_format=torch.channels_last)
    worn(x)
    assert torch.equal(photographs, before)
    assert torch.equal(x, before)


def test_the_global_seed_decides(photographs: Tensor) -> None:
    torch.manual_seed(5)
    first, second = worn(photographs), worn(photographs)
    np.random.default_rng().random()
    torch.manual_seed(5)
    assert torch.equal(worn(photographs), first)
    assert torch.equal(worn(photographs), second)
    assert not torch.equal(first, second)


def test_given_seeds_leave_the_global_generator_alone(photographs: Tensor) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = worn(photographs, torch.arange(len(photographs)) + 7)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(worn(photographs, torch.arange(len(photographs)) + 7), first)


def test_some_are_left_as_they_were() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 8, 8).expand(1500, 3, 8, 8)
    damaged, _, mask = damage(x)
    same = (damaged == x).flatten(1).all(dim=1)
    assert 0.03 < same.float().mean() < 0.08
    assert mask[same].max() == 0


def test_light_damage_is_light(photographs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aged, "UNTOUCHED", 0)
    errors = []
    for share in (1, 0):
        monkeypatch.setattr(aged, "LIGHT", share)
        damaged = worn(photographs.repeat(10, 1, 1, 1), torch.arange(10 * len(photographs)))
        errors.append((damaged - photographs.repeat(10, 1, 1, 1)).abs().mean())
    assert errors[0] < 0.6 * errors[1]


def test_what_has_changed_in_tone_alone_is_told_apart(photographs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without film, marks and paper it is the damaged picture; with nothing else it is the photograph."""
    x, seeds = photographs.repeat(4, 1, 1, 1), torch.arange(4 * len(photographs))
    kept = {name: getattr(aged, name) for name in ("EXPOSED", "FADED", "MARKED", "AGED")}
    for name, changes in kept.items():
        monkeypatch.setattr(aged, name, tuple(one for one in changes if one[0].__module__ == tone.__name__))
    damaged, toned, _ = damage(x, seeds)
    assert torch.equal(damaged, toned)
    assert (toned - x).abs().mean() > 0.03
    for name, changes in kept.items():
        monkeypatch.setattr(aged, name, tuple(one for one in changes if one[0].__module__ != tone.__name__))
    damaged, toned, _ = damage(x, seeds)
    assert torch.equal(toned, x)
    assert (damaged - x).abs().mean() > 0.01


def test_the_mask_shows_where_the_picture_is_lost(photographs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing but marks, a picture without shade from folds differs where the mask is set and nowhere else."""
    for name in ("EXPOSED", "FADED", "AGED"):
        monkeypatch.setattr(aged, name, ())
    monkeypatch.setattr(aged, "MARKED", ((marks.scratches, 1), (marks.dust, 1), (marks.tears, 0.5)))
    x = photographs.repeat(4, 1, 1, 1)
    damaged, _, mask = damage(x, torch.arange(len(x)))
    changed = (damaged - x).abs().amax(dim=1, keepdim=True)
    assert changed[mask == 0].max() == 0
    assert changed[mask > 0.9].mean() > 0.2
    assert 0.01 < (mask > 0.5).float().mean() < 0.5


@pytest.mark.parametrize("mark", [marks.scratches, marks.dust, marks.folds, marks.tears])
def test_each_mark_covers_the_picture(mark: Callable[..., tuple[Rgb, Plane]], photograph: Rgb) -> None:
    shares = []
    for seed in range(20):
        marked, lost = mark(photograph, np.random.default_rng(seed), STRENGTH)
        assert lost.shape == (48, 64)
        assert lost.min() >= 0
        assert lost.max() <= 1
        gone = lost > 0.95
        assert (marked[gone].std(axis=-1) < 0.03).all(), "what is lost is grey: paper, dirt or the scanner's lid"
        shares.append((lost > 0.3).mean())
    assert 0 < np.mean(shares) < 0.35


def test_folds_cross_the_picture(photograph: Rgb) -> None:
    _, lost = marks.folds(photograph, np.random.default_rng(1), STRENGTH)
    rows, columns = np.nonzero(lost > 0.1)
    assert max(np.ptp(rows), np.ptp(columns)) > 24


@pytest.mark.parametrize(
    "change",
    [change for group in (aged.EXPOSED, aged.FADED, aged.AGED) for change, _ in group],
    ids=lambda change: change.__name__,
)
def test_each_change_grows_with_its_strength(change: Callable[..., Rgb], photograph: Rgb) -> None:
    if change is tone.silver:
        photograph = np.repeat(photograph.mean(axis=2, keepdims=True), 3, axis=2)
    before = photograph.copy()
    light, heavy = (
        np.mean([np.abs(change(photograph, np.random.default_rng(s), k) - before).mean() for s in range(20)])
        for k in (0.1, 1)
    )
    assert 0.0005 < light < heavy < 0.35
    assert np.array_equal(photograph, before)


@pytest.mark.parametrize("seed", range(5))
def test_changes_do_what_they_are_named_for(seed: int, photograph: Rgb) -> None:
    def after(change: Callable[..., Rgb], x: Rgb = photograph) -> Rgb:
        return change(x, np.random.default_rng(seed), STRENGTH)

    contrasty = (photograph > 0.5).astype(np.float32)
    assert np.ptp(after(tone.fade, contrasty)) < 1
    assert after(tone.silver) is photograph
    red, green, blue = after(tone.yellowing).mean(axis=(0, 1)) / photograph.mean(axis=(0, 1))
    assert blue < green < red
    sharp = np.tile(contrasty[:, ::2], (1, 2, 1))
    assert detail(after(film.defocus, sharp)) < detail(sharp)
    assert detail(after(film.soften, sharp)) < detail(sharp)
    for grainy in (film.grain, film.noise, film.weave):
        assert detail(after(grainy)) > detail(photograph)


def test_grain_is_correlated_and_strongest_in_the_mid_tones() -> None:
    def grain(level: float) -> Rgb:
        flat = np.full((128, 128, 3), level, np.float32)
        return film.grain(flat, np.random.default_rng(0), STRENGTH) - flat

    middle = grain(0.5)
    assert middle.std() > 2 * grain(0.02).std()
    assert np.corrcoef(middle[:, 1:, 0].ravel(), middle[:, :-1, 0].ravel())[0, 1] > 0.05


def test_the_dyes_fade_at_different_paces() -> None:
    """Grey gets a cast, and white stays white: without dye there is nothing to fade."""
    white, middle = (np.full((4, 4, 3), level, np.float32) for level in (1, 0.3))
    assert np.allclose(tone.dyes(white, np.random.default_rng(0), STRENGTH), 1, atol=1e-6)
    assert np.ptp(tone.dyes(middle, np.random.default_rng(0), STRENGTH)[0, 0]) > 0.03
