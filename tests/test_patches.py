from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from runs import save_images
from torch import nn

from translate.train.damage import lowres
from translate.train.patches import SuperResolutionPatches


def test_low_and_high_patches_show_the_same_in_all_orientations(tmp_path: Path) -> None:
    """Of images that are just one patch: the eight orientations of the whole, in both alike."""
    folder = save_images(tmp_path / "hr", 2, (16, 16))
    patches = SuperResolutionPatches([folder], 8, 2)
    torch.manual_seed(0)
    low, high = patches.batch(150)
    assert low.shape == (150, 3, 8, 8)
    assert high.shape == (150, 3, 16, 16)
    assert 0 <= high.min() < high.max() <= 1

    def orientations(pixels: np.ndarray) -> list[bytes]:
        turned = [np.rot90(pixels, turn) for turn in range(4)]
        return [view.tobytes() for one in turned for view in (one, one[:, ::-1])]

    known = [
        pair for pixels, small in patches.images for pair in zip(orientations(small), orientations(pixels), strict=True)
    ]
    drawn = [
        tuple((image * 255).round().byte().permute(1, 2, 0).contiguous().numpy().tobytes() for image in pair)
        for pair in zip(low, high, strict=True)
    ]
    assert set(drawn) == set(known)
    assert len(set(known)) == 16


def test_low_patches_are_reductions_of_the_high_ones(tmp_path: Path) -> None:
    patches = SuperResolutionPatches([save_images(tmp_path / "hr", 2, (50, 43))], 8, 4)
    torch.manual_seed(0)
    low, high = patches.batch(10)
    averaged = nn.functional.avg_pool2d(high, 4)
    assert (averaged - low).abs().mean() < 0.01  # smooth images: off by one low pixel it is 0.05
    shifted = (averaged[..., 1:] - low[..., :-1]).abs().mean()
    assert shifted > 0.03


def test_low_images_are_the_benchmarks_bicubic_reduction(tmp_path: Path) -> None:
    """Pillow's, which has the same kernel, up to the rounding between its two passes."""
    folder = save_images(tmp_path / "hr", 2, (48, 40))
    patches = SuperResolutionPatches([folder], 8, 4)
    for path, (_, low) in zip(sorted(folder.iterdir()), patches.images, strict=True):
        with Image.open(path) as picture:
            expected = np.asarray(picture.resize((12, 10), Image.Resampling.BICUBIC))
        assert np.abs(low.astype(int) - expected).max() <= 1


def test_large_images_are_drawn_more_often(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "black").save(tmp_path / "0.png")
    Image.new("RGB", (48, 16), "white").save(tmp_path / "1.png")
    torch.manual_seed(0)
    low, _ = SuperResolutionPatches([tmp_path], 8, 2).batch(400)
    assert low.mean().item() == pytest.approx(0.75, abs=0.06)


def test_realistic_patches_are_poorer_each_in_its_own_way(tmp_path: Path) -> None:
    """Of one image that is just a patch, so that only the degradation differs; a share is a part of the whole."""
    folder = save_images(tmp_path / "hr", 2, (64, 64))
    patches = SuperResolutionPatches([folder], 16, 4, "realistic")
    torch.manual_seed(0)
    low, high = patches.batch(40)
    assert (low.shape, high.shape) == ((40, 3, 16, 16), (40, 3, 64, 64))
    assert 0 <= low.min() < low.max() <= 1
    clean = nn.functional.avg_pool2d(high, 4)
    error = (low - clean).square().mean((1, 2, 3)).sqrt()
    assert error.min() < 0.02, "some are hardly touched"
    assert error.max() > 0.05, "some are poor"
    assert len({image.numpy().tobytes() for image in low}) == 40
    bias = (low - clean).mean()
    assert abs(bias) < 0.01, "nothing gets brighter or darker on average"
    torch.manual_seed(0)
    some, _ = patches.batch(40, torch.tensor([1, 7]))
    assert torch.equal(some, low[[1, 7]])


def test_a_share_of_realistic_patches_is_clean(tmp_path: Path) -> None:
    """As bit-equal to the bicubic reduction as all are without it; the poor ones stay different."""
    folder = save_images(tmp_path / "hr", 2, (64, 64))
    torch.manual_seed(0)
    clean = {image.numpy().tobytes() for image in SuperResolutionPatches([folder], 16, 4).batch(150)[0]}
    low, high = SuperResolutionPatches([folder], 16, 4, "realistic", clean=0.25).batch(400)
    untouched = [image.numpy().tobytes() in clean for image in low]
    assert np.mean(untouched) == pytest.approx(0.25, abs=0.07)
    assert (nn.functional.avg_pool2d(high, 4) - low)[untouched].abs().mean() < 0.01, "the sharp one belongs to it"
    assert len({image.numpy().tobytes() for image, whole in zip(low, untouched, strict=True) if not whole}) > 290


def test_realistic_reductions_stay_in_place() -> None:
    """On average over many draws a step edge stays where it is, to a fifth of a small pixel."""
    edge = np.zeros((64, 64, 3), np.float32)
    edge[:, 32:] = 1
    drawn = [lowres.degrade(edge, 4, np.random.default_rng(seed)) for seed in range(100)]
    assert {small.shape for small in drawn} == {(16, 16, 3)}
    dark = [16 - float(small.mean()) * 16 for small in drawn]  # columns left of the edge
    assert abs(np.mean(dark) - 8) < 0.2
    rows = np.mean(drawn, axis=(0, 2, 3))
    assert np.ptp(rows) < 0.03, "the same from top to bottom"


@pytest.mark.parametrize("size", [(4, 4), (5, 31), (70, 8)])
def test_realistic_reductions_of_any_size(size: tuple[int, int]) -> None:
    x = np.random.default_rng(0).random((*size, 3), np.float32)
    before = x.copy()
    for seed in range(30):
        small = lowres.degrade(x, 4, np.random.default_rng(seed))
        assert (small.shape, small.dtype) == ((size[0] // 4, size[1] // 4, 3), np.float32)
        assert 0 <= small.min() <= small.max() <= 1
    assert (x == before).all()


@pytest.mark.parametrize("sigmas", [(2.0, 2.0), (2.0, 0.5)])
@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_the_kernel_of_the_blur(sigmas: tuple[float, float], angle: float) -> None:
    """Its covariance is that of the two deviations, turned."""
    kernel = lowres.gaussian(sigmas, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    y, x = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
    found = [[(kernel * a * b).sum() for a in (x, y)] for b in (x, y)]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = turn @ np.diag(np.square(sigmas)) @ turn.T
    assert np.abs(found - expected).max() < 0.12  # cut off at three deviations


def test_noise_has_no_bias_and_grows_with_the_strength() -> None:
    grey = np.full((32, 32, 3), 0.4, np.float32)
    weak, strong = (
        [lowres.noise(grey, np.random.default_rng(seed), strength) - 0.4 for seed in range(60)] for strength in (0, 1)
    )
    for drawn, largest in ((weak, 0.012), (strong, 0.085)):
        assert abs(np.mean(drawn)) < 0.002
        assert min(np.std(d) for d in drawn) > 0
        assert max(np.std(d) for d in drawn) < largest
    assert np.std(strong) > 3 * np.std(weak)
    same = sum(bool((d == d[..., :1]).all()) for d in strong)
    assert 10 < same < 40, "some is grey"
