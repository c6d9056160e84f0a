"""Measures of one picture, against known values, scikit-image and the published bicubic figures."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from translate import images
from translate.errors import ImageError
from translate.evaluate import bicubic
from translate.evaluate.appearance import colourfulness, edge_correlation, sharpness
from translate.evaluate.colour import ciede2000, delta_e, rgb_to_lab
from translate.evaluate.fidelity import compare, psnr, rgb_to_y, samples, ssim

DATA = Path(os.environ.get("TRANSLATE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    """Smooth random blobs with some grain, uint8 (96, 120, 3)."""
    blobs = cv2.resize(rng.uniform(0, 255, (12, 15, 3)), (120, 96), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(blobs + rng.normal(0, 4, blobs.shape), 0, 255), np.uint8)


@pytest.fixture
def noisy(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(picture + rng.normal(0, 25, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("colour", "luminance"),
    [((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81.481), ((0, 255, 0), 144.553), ((0, 0, 255), 40.966)],
)
def test_luminance_of_the_primaries(colour: tuple[int, int, int], luminance: float) -> None:
    x = np.full((2, 3, 3), colour, np.uint8)
    assert rgb_to_y(x) == pytest.approx(np.full((2, 3), luminance))
    assert np.array_equal(rgb_to_y(x, rounded=True), np.full((2, 3), round(luminance)))


def test_grey_pictures_are_their_own_luminance(picture: np.ndarray) -> None:
    assert np.array_equal(rgb_to_y(picture[..., 0]), picture[..., 0])


def test_psnr_of_a_known_error(picture: np.ndarray) -> None:
    """Ten grey levels are 10 · 219/255 levels of luminance; a border is not looked at."""
    picture = picture // 2
    worse = picture + np.uint8(10)
    assert compare(picture, worse, "y", 4)["psnr"] == pytest.approx(20 * np.log10(255 / (10 * 219 / 255)))
    assert compare(picture, worse, "rgb", 0)["psnr"] == pytest.approx(20 * np.log10(25.5))
    framed = picture.copy()
    framed[:4] = framed[-4:] = framed[:, :4] = framed[:, -4:] = 255
    assert compare(picture, framed, "y", 4) == {"psnr": float("inf"), "ssim": pytest.approx(1)}
    assert compare(picture, framed, "y", 3)["psnr"] < 60


@pytest.mark.parametrize("channel", ["y", "y8", "rgb"])
def test_psnr_and_ssim_equal_scikit_image(picture: np.ndarray, noisy: np.ndarray, channel: str) -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is the reference")
    a, b = samples(picture, channel, 4), samples(noisy, channel, 4)  # type: ignore[arg-type]
    how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = metrics.structural_similarity(a, b, data_range=255, channel_axis=-1 if channel == "rgb" else None, **how)
    assert 0.2 < expected < 0.9
    assert ssim(a, b) == pytest.approx(expected, abs=1e-9)
    assert psnr(a, b) == pytest.approx(metrics.peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)


def test_a_picture_smaller_than_the_window_of_ssim_is_refused(picture: np.ndarray) -> None:
    assert compare(picture[:11, :11], picture[:11, :11], "y", 0)["ssim"] == pytest.approx(1)
    with pytest.raises(ImageError, match="12 × 11 pixels, 1 left out at each edge"):
        compare(picture[:11, :12], picture[:11, :12], "y", 1)


def test_colour_difference_equals_scikit_image(picture: np.ndarray, rng: np.random.Generator) -> None:
    """Random colours, greys and pure hues; the mean of a picture in strips is the mean of its pixels."""
    color = pytest.importorskip("skimage.color", reason="scikit-image is the reference")
    greys = np.repeat(rng.integers(0, 256, (6, 120, 1)), 3, axis=2)
    corners = rng.integers(0, 2, (30, 120, 3)) * 255
    other = np.concatenate([rng.integers(0, 256, (60, 120, 3)), corners, greys]).astype(np.uint8)
    lab, lab_other = rgb_to_lab(picture), rgb_to_lab(other)
    assert lab == pytest.approx(color.rgb2lab(picture), abs=1e-3)
    expected = color.deltaE_ciede2000(lab, lab_other)
    assert ciede2000(lab, lab_other) == pytest.approx(expected, abs=1e-9)
    assert ciede2000(lab_other, lab) == pytest.approx(expected, abs=1e-9)
    assert delta_e(picture, other) == pytest.approx(expected.mean(), abs=1e-3)
    assert delta_e(other, other) == 0


def test_colour_difference_in_strips(monkeypatch: pytest.MonkeyPatch, picture: np.ndarray, noisy: np.ndarray) -> None:
    whole = delta_e(picture, noisy)
    monkeypatch.setattr("translate.evaluate.colour._STRIP", 1000)
    assert delta_e(picture, noisy) == pytest.approx(whole)


# From table 1 of Sharma, Wu & Dalal: hues across zero and near grey, where other implementations go wrong.
@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1, 2), (50, 0, 0), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (58, 24, 15), 19.4535),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_colour_difference_of_published_pairs(one: tuple[float], other: tuple[float], expected: float) -> None:
    assert float(ciede2000(np.array(one, float), np.array(other, float))) == pytest.approx(expected, abs=5e-5)


def test_sharpness_equals_scikit_image(picture: np.ndarray, noisy: np.ndarray) -> None:
    measure = pytest.importorskip("skimage.measure", reason="scikit-image is the reference")
    for x in (picture, noisy):
        assert sharpness(x) == pytest.approx(1 - measure.blur_effect(rgb_to_y(x) / 255), abs=1e-6)


def test_sharpness_falls_with_blur_and_not_with_contrast(picture: np.ndarray) -> None:
    blurred = [cv2.GaussianBlur(picture, (0, 0), sigma) for sigma in (1, 2, 4)]
    figures = [sharpness(x) for x in (picture, *blurred)]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > 1.4 * figures[-1]
    assert sharpness(picture / 2) == pytest.approx(sharpness(picture))
    assert sharpness(np.full_like(picture, 7)) == 0


def test_edges_of_the_same_picture_correlate(picture: np.ndarray) -> None:
    assert edge_correlation(picture, picture) == pytest.approx(1)
    assert edge_correlation(picture, picture // 3) == pytest.approx(1, abs=0.02)  # darker, with the same edges


def test_edges_of_another_picture_do_not_correlate(picture: np.ndarray, rng: np.random.Generator) -> None:
    other = cv2.resize(rng.uniform(0, 255, (12, 15, 3)), (120, 96), interpolation=cv2.INTER_CUBIC)
    assert abs(edge_correlation(picture, other)) < 0.2
    assert 0.2 < edge_correlation(picture, (picture + other) / 2) < 0.95
    assert edge_correlation(picture, np.full_like(picture, 7)) == 0


def test_colourfulness() -> None:
    """Grey has none; half red and half cyan has opponents of ±255 and ±127.5 around zero; red alone no spread."""
    assert colourfulness(np.full((4, 4, 3), 99, np.uint8)) == 0
    halves = np.zeros((4, 4, 3), np.uint8)
    halves[:2, :, 0] = 255
    halves[2:, :, 1:] = 255
    assert colourfulness(halves) == pytest.approx(np.hypot(255, 127.5))
    assert colourfulness(halves[:2]) == pytest.approx(0.3 * np.hypot(255, 127.5))


# Bicubic


def test_bicubic_of_slopes_and_constants() -> None:
    """What is flat stays flat, edge included; a slope is met again in the middle, half-way between the pixels."""
    flat = np.full((8, 12, 3), 200, np.uint8)
    assert np.array_equal(bicubic.enlarge(flat, 3), np.full((24, 36, 3), 200, np.uint8))
    assert np.array_equal(bicubic.reduce(flat, 4), np.full((2, 3, 3), 200, np.uint8))
    slope = np.tile(np.arange(20.0), (20, 1))
    expected = (np.arange(40) + 0.5) / 2 - 0.5
    assert bicubic.enlarge(slope, 2)[20, 6:-6] == pytest.approx(expected[6:-6])
    assert bicubic.reduce(slope, 2)[5, 2:-2] == pytest.approx(np.arange(4, 16, 2) + 0.5)
    with pytest.raises(ValueError, match="no multiples of 3"):
        bicubic.reduce(slope, 3)


def test_bicubic_of_integers_is_rounded_and_kept_in_range() -> None:
    step = np.zeros((6, 6), np.uint16)
    step[:, 3:] = 65535
    assert bicubic.enlarge(step.astype(float), 2).max() > 65535
    enlarged = bicubic.enlarge(step, 2)
    assert (enlarged.dtype, enlarged.min(), enlarged.max()) == (np.uint16, 0, 65535)


def benchmark(name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Originals and their reductions; a grey picture has two axes."""
    folder = DATA / "sr_bench" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; TRANSLATE_DATA names the folder that holds sr_bench/")
    pairs = []
    for path in sorted((folder / "HR").glob("*.png")):
        both = [images.read(folder / size / path.name) for size in ("HR", "LRx4")]
        high, low = (picture.pixels[..., 0] if both[0].grey else picture.pixels for picture in both)
        pairs.append((high[: low.shape[0] * 4, : low.shape[1] * 4], low))
    return pairs


@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_bicubic_reduction_is_that_of_the_benchmarks_to_the_bit(name: str) -> None:
    for high, low in benchmark(name):
        assert np.array_equal(bicubic.reduce(high, 4), low)


@pytest.mark.parametrize(
    ("name", "in_srgan", "elsewhere", "similarity"),
    [("Set5", 28.43, 28.42, 0.8104), ("Set14", 25.99, 26.00, 0.7019)],
)
def test_bicubic_scores_what_is_published(name: str, in_srgan: float, elsewhere: float, similarity: float) -> None:
    """Ledig et al. 2017 start from the files, Dong et al. 2014 and many since from the luminance, not rounded."""
    files, luminance = [], []
    for high, low in benchmark(name):
        files.append(compare(high, bicubic.enlarge(low, 4), "y", 4)["psnr"])
        y = rgb_to_y(high, rounded=True)
        again = np.clip(np.round(bicubic.enlarge(bicubic.reduce(y, 4), 4)), 0, 255)
        luminance.append(compare(y, again, "y", 4))
    assert np.mean(files) == pytest.approx(in_srgan, abs=0.01)
    assert np.mean([figures["psnr"] for figures in luminance]) == pytest.approx(elsewhere, abs=0.01)
    assert np.mean([figures["ssim"] for figures in luminance]) == pytest.approx(similarity, abs=1e-4)
