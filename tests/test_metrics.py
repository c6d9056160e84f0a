import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from translate.train.metrics import (
    colourfulness,
    edge_correlation,
    frechet_distance,
    psnr_y,
    rgb_to_y,
    ssim_y,
)

DATA = Path(os.environ.get("TRANSLATE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    """Smooth random blobs with some grain, uint8 (96, 120, 3)."""
    blobs = cv2.resize(rng.uniform(0, 255, (12, 15, 3)), (120, 96), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(blobs + rng.normal(0, 4, blobs.shape), 0, 255), np.uint8)


@pytest.mark.parametrize(
    ("colour", "luminance"),
    [((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81.481), ((0, 255, 0), 144.553), ((0, 0, 255), 40.966)],
)
def test_luminance_of_the_primaries(colour: tuple[int, int, int], luminance: float) -> None:
    assert rgb_to_y(np.full((2, 3, 3), colour, np.uint8)) == pytest.approx(np.full((2, 3), luminance))


def test_grey_pictures_are_their_own_luminance(picture: np.ndarray) -> None:
    assert np.array_equal(rgb_to_y(picture[..., 0]), picture[..., 0])


def test_psnr_of_a_known_error(picture: np.ndarray) -> None:
    """Ten grey levels are 10 · 219/255 levels of luminance; a border is not looked at."""
    picture = picture // 2
    worse = picture + np.uint8(10)
    assert psnr_y(picture, worse) == pytest.approx(20 * np.log10(255 / (10 * 219 / 255)))
    framed = picture.copy()
    framed[:4] = framed[-4:] = framed[:, :4] = framed[:, -4:] = 255
    assert psnr_y(picture, framed, border=4) == float("inf")
    assert psnr_y(picture, framed, border=3) < 60


def test_ssim_equals_scikit_image(picture: np.ndarray, rng: np.random.Generator) -> None:
    skimage_metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is the reference")
    noisy = np.clip(picture + rng.normal(0, 25, picture.shape), 0, 255).astype(np.uint8)
    expected = skimage_metrics.structural_similarity(
        rgb_to_y(picture)[4:-4, 4:-4],
        rgb_to_y(noisy)[4:-4, 4:-4],
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert 0.2 < expected < 0.9
    assert ssim_y(picture, noisy) == pytest.approx(expected, abs=1e-7)
    assert ssim_y(picture, picture) == pytest.approx(1)


def test_edges_survive_brightness_and_contrast(picture: np.ndarray) -> None:
    assert edge_correlation(picture, 20 + 0.5 * picture) == pytest.approx(1)
    assert edge_correlation(picture, 255 - picture) == pytest.approx(1)


def test_edges_of_another_picture_do_not_correlate(picture: np.ndarray, rng: np.random.Generator) -> None:
    other = cv2.resize(rng.uniform(0, 255, (12, 15, 3)), (120, 96), interpolation=cv2.INTER_CUBIC)
    assert abs(edge_correlation(picture, other)) < 0.2
    assert 0.2 < edge_correlation(picture, (picture + other) / 2) < 0.95
    assert edge_correlation(picture, np.full_like(picture, 7)) == 0


def test_frechet_distance_equals_the_formula(rng: np.random.Generator) -> None:
    linalg = pytest.importorskip("scipy.linalg", reason="scipy's matrix square root is the reference")
    a = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    b = rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 1
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * linalg.sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


def test_frechet_distance_with_fewer_samples_than_features(rng: np.random.Generator) -> None:
    """The same cloud, moved: only the means differ, by 3 in each of 50 features."""
    a = rng.normal(size=(10, 50))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 3) == pytest.approx(9 * 50)


@pytest.mark.parametrize(("a", "b"), [((5, 4), (5, 3)), ((1, 4), (5, 4)), ((4,), (4,))])
def test_frechet_distance_refuses_other_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="features must be"):
        frechet_distance(np.zeros(a), np.zeros(b))


def test_colourfulness() -> None:
    """Grey has none; half red and half cyan has opponents of ±255 and ±127.5 around zero; red alone no spread."""
    assert colourfulness(np.full((4, 4, 3), 99, np.uint8)) == 0
    halves = np.zeros((4, 4, 3), np.uint8)
    halves[:2, :, 0] = 255
    halves[2:, :, 1:] = 255
    assert colourfulness(halves) == pytest.approx(np.hypot(255, 127.5))
    assert colourfulness(halves[:2]) == pytest.approx(0.3 * np.hypot(255, 127.5))


@pytest.mark.parametrize(("name", "expected"), [("Set5", 28.43), ("Set14", 25.99)])
def test_bicubic_scores_what_is_published(name: str, expected: float) -> None:
    folder = DATA / "sr_bench" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; TRANSLATE_DATA names the folder that holds sr_bench/")
    figures = []
    for path in sorted((folder / "LRx4").glob("*.png")):
        with Image.open(path) as low, Image.open(folder / "HR" / path.name) as high:
            upscaled = np.asarray(low.resize((low.width * 4, low.height * 4), Image.Resampling.BICUBIC))
            figures.append(psnr_y(upscaled, np.asarray(high)[: upscaled.shape[0], : upscaled.shape[1]]))
    assert np.mean(figures) == pytest.approx(expected, abs=0.01)
