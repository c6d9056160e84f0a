"""Measures of sets of pictures: known values, limits, symmetry, and intervals that hold what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translate.evaluate import intervals
from translate.evaluate.distances import frechet_distance, frechet_interval, kernel_distance, precision_recall
from translate.evaluate.judge import Judge


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_frechet_distance_equals_the_formula(rng: np.random.Generator) -> None:
    linalg = pytest.importorskip("scipy.linalg", reason="scipy's matrix square root is the reference")
    a = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    b = rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 1
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * linalg.sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)
    few = slice(0, 5)  # fewer than features: no square root of a singular matrix is needed
    assert frechet_distance(a[few], b) == pytest.approx(frechet_distance(b, a[few]))


def test_frechet_distance_with_fewer_samples_than_features(rng: np.random.Generator) -> None:
    """The same cloud, moved: only the means differ, by 3 in each of 50 features."""
    a = rng.normal(size=(10, 50))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 3) == pytest.approx(9 * 50)


def test_frechet_distance_of_known_gaussians(rng: np.random.Generator) -> None:
    """Independent features of deviations 1 and 2, means 0.5 apart: 8 · (0.5² + (2 - 1)²)."""
    a, b = rng.normal(size=(20000, 8)), rng.normal(0.5, 2, size=(20000, 8))
    assert frechet_distance(a, b) == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize(("a", "b"), [((5, 4), (5, 3)), ((1, 4), (5, 4)), ((4,), (4,))])
def test_distances_refuse_other_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    for measure in (frechet_distance, frechet_interval, kernel_distance, precision_recall):
        with pytest.raises(ValueError, match="features must be"):
            measure(np.zeros(a), np.zeros(b))  # type: ignore[operator]


def kernel_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    within_a = [kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j]
    within_b = [kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j]
    return float(np.mean(within_a) + np.mean(within_b) - 2 * np.mean([kernel(x, y) for x in a for y in b]))


@given(st.integers(3, 45), st.integers(3, 45), st.integers(0, 1000))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_kernel_distance_is_the_definition_and_symmetric(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 4)), rng.normal(1, 2, size=(m, 4))
    measured = kernel_distance(a, b)
    assert measured.value == pytest.approx(kernel_by_hand(a, b))
    assert kernel_distance(b, a).value == pytest.approx(measured.value)
    assert measured.low is not None
    assert measured.high is not None
    assert measured.low <= measured.value <= measured.high


def test_kernel_distance_has_no_bias_for_few(rng: np.random.Generator) -> None:
    """Two sets of one kind: about zero in the mean, below it as often as above, where Fréchet's is far from it."""
    pairs = [(rng.normal(size=(8, 5)), rng.normal(size=(8, 5))) for _ in range(200)]
    values = np.array([kernel_distance(a, b).value for a, b in pairs])
    assert abs(values.mean()) < 3 * values.std() / 200**0.5
    assert 0.3 < (values < 0).mean() < 0.7
    assert np.mean([frechet_distance(a, b) for a, b in pairs[:50]]) > 2


def test_intervals_hold_the_figure_of_other_pictures(rng: np.random.Generator) -> None:
    """Of 40 measurements, the intervals of most hold the mean of all, and not by being endless."""
    for measure in (frechet_interval, kernel_distance):
        sets = [(rng.normal(size=(40, 6)), rng.normal(0.3, 1.2, size=(50, 6))) for _ in range(40)]
        figures = [measure(a, b) for a, b in sets]
        values = np.array([figure.value for figure in figures])
        ends = np.array([(figure.low, figure.high) for figure in figures])
        assert np.mean((ends[:, 0] <= values.mean()) & (values.mean() <= ends[:, 1])) > 0.85
        assert np.mean(ends[:, 1] - ends[:, 0]) < 6.5 * values.std()  # 3.9 were it known


def test_more_rows_than_groups_are_all_used_once() -> None:
    for count in (1, 7, 20, 21, 399):
        bounds = intervals.group_bounds(count)
        assert [row for begin, end in bounds for row in range(begin, end)] == list(range(count))
        assert len(bounds) == min(count, 20)
        assert {end - begin for begin, end in bounds} <= {count // len(bounds), count // len(bounds) + 1}


def test_mean_has_students_interval() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy's quantiles are the reference")
    for count in (4, 5, 14, 200):
        values = np.random.default_rng(count).normal(30, 3, count)
        measured = intervals.mean(values.tolist())
        low, high = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
        assert measured.value == pytest.approx(values.mean())
        assert (measured.low, measured.high) == (pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05))
    assert intervals.mean([1.0, 2.0]) == intervals.Measured(1.5)
    assert intervals.mean([1.0, 2.0, float("inf")]) == intervals.Measured(float("inf"))


@pytest.mark.parametrize(("hits", "of"), [(0, 30), (26, 30), (30, 30), (1, 2)])
def test_share_has_wilsons_interval(hits: int, of: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy's interval is the reference")
    measured, expected = intervals.share(hits, of), stats.binomtest(hits, of).proportion_ci(method="wilson")
    assert measured.value == hits / of
    assert (measured.low, measured.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_precision_and_recall_of_equal_apart_and_narrow_sets(rng: np.random.Generator) -> None:
    real = rng.normal(size=(300, 4))
    assert [figure.value for figure in precision_recall(real, real)] == [1, 1]
    assert [figure.value for figure in precision_recall(real, real + 50)] == [0, 0]
    precision, recall = precision_recall(real, 0.1 * rng.normal(size=(300, 4)))  # all good, and all alike
    assert precision.value > 0.95
    assert recall.value < 0.2
    swapped = precision_recall(0.1 * rng.normal(size=(300, 4)), real)
    assert swapped[0].value < 0.2
    assert swapped[1].value > 0.95


def test_precision_counts_neighbours_by_hand() -> None:
    """On a line: the radii of 0, 1, 2, 10 with one neighbour are 1, 1, 1, 8."""
    real = np.array([[0.0], [1], [2], [10]])
    fake = np.array([[-0.9], [-1.1], [3.1], [17.9], [18.1]])
    precision, _ = precision_recall(real, fake, neighbours=1)
    assert precision.value == pytest.approx(3 / 5)  # 3.1 is within 8 of 10


def test_precision_in_blocks_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    real, fake = rng.normal(size=(50, 3)), rng.normal(0.5, 1, size=(40, 3))
    whole = precision_recall(real, fake)
    monkeypatch.setattr("translate.evaluate.distances._ROWS", 7)
    assert precision_recall(real, fake) == whole


def test_judge_finds_the_optimum_of_a_logistic_regression(rng: np.random.Generator) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is the reference")
    kinds = [rng.normal(centre, 1, size=(60, 5)).astype(np.float32) for centre in (-0.4, 0.1, 0.6)]
    features, labels = np.concatenate(kinds), np.repeat([0, 1, 2], 60)
    standard = (features - features.mean(0)) / features.std(0, ddof=1)
    reference = linear_model.LogisticRegression(C=1 / (2 * 0.02 * len(labels)), tol=1e-8, max_iter=1000)
    expected = reference.fit(standard, labels).predict_proba(standard)
    found = Judge(kinds).probabilities(features)
    assert found == pytest.approx(expected, abs=1e-3)
    assert found.sum(axis=1) == pytest.approx(1)


def test_judge_tells_kinds_that_it_has_not_seen_apart(rng: np.random.Generator) -> None:
    def draw(centre: float) -> np.ndarray:
        return rng.normal(centre, 1, size=(50, 20)).astype(np.float32)

    judge = Judge([draw(0), draw(2)])
    assert (judge.probabilities(draw(0))[:, 1] < 0.5).mean() > 0.98
    assert (judge.probabilities(draw(2))[:, 1] > 0.5).mean() > 0.98
