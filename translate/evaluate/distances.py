"""How alike two sets of pictures are: plain functions on their features, (N, D) and (M, D), one row a picture.

A distance is named after the network that the features come from; only on Inception's are they called FID and KID.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from translate.evaluate.intervals import Measured, group_bounds, jackknife, share

Floats = NDArray[Any]  # of any precision; computed in float64
NEIGHBOURS = 3
_ROWS = 1024  # at a time, of a table of distances


def frechet_distance(a: Floats, b: Floats) -> float:
    """Fréchet distance of two clouds of features (N, D) and (M, D), each taken as a Gaussian; 0 or more, squared units.

    |μa - μb|² + tr(Ca + Cb - 2 (Ca Cb)^½), Dowson & Landau 1982; called FID only on Inception features (Heusel et al.,
    NeurIPS 2017, section 2). With C = XᵀX, the last trace is the sum of the singular values of Xa Xbᵀ: exact for
    singular covariances too. Biased upwards for few samples: compare at equal N and M.
    """
    _check(a, b, 2)
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    spread_a, spread_b = (a - mean_a) / np.sqrt(len(a) - 1), (b - mean_b) / np.sqrt(len(b) - 1)
    shared = np.linalg.svd(_short(spread_a) @ _short(spread_b).T, compute_uv=False).sum()
    distance = np.sum((mean_a - mean_b) ** 2) + np.sum(spread_a**2) + np.sum(spread_b**2) - 2 * shared
    return max(float(distance), 0.0)  # rounding can leave a negative trifle


def frechet_interval(a: Floats, b: Floats) -> Measured:
    """`frechet_distance` with its jackknife interval; three rows of each at least."""
    _check(a, b, 3)
    parts_a, parts_b = ([x[begin:end] for begin, end in group_bounds(len(x))] for x in (a, b))
    return jackknife(
        lambda kept_a, kept_b: frechet_distance(
            np.concatenate([parts_a[g] for g in kept_a]), np.concatenate([parts_b[g] for g in kept_b])
        ),
        len(parts_a),
        len(parts_b),
    )


def kernel_distance(a: Floats, b: Floats) -> Measured:
    """Squared maximum mean discrepancy of features (N, D) and (M, D) with its jackknife interval; three rows at least.

    Without bias, so it is about 0, and can be below, for two sets of one kind. The kernel is (x·y/D + 1)³; called KID
    only on Inception features (Bińkowski et al., ICLR 2018, section 4).
    """
    _check(a, b, 3)
    bounds_a, bounds_b = group_bounds(len(a)), group_bounds(len(b))
    sums_aa, sums_bb, sums_ab = (
        _kernel_sums(a, bounds_a, a, bounds_a),
        _kernel_sums(b, bounds_b, b, bounds_b),
        _kernel_sums(a, bounds_a, b, bounds_b),
    )
    sizes_a, sizes_b = (np.array([end - begin for begin, end in bounds]) for bounds in (bounds_a, bounds_b))

    def estimate(kept_a: list[int], kept_b: list[int]) -> float:
        n, m = sizes_a[kept_a].sum(), sizes_b[kept_b].sum()
        within_a = sums_aa[np.ix_(kept_a, kept_a)].sum() / (n * (n - 1))
        within_b = sums_bb[np.ix_(kept_b, kept_b)].sum() / (m * (m - 1))
        return float(within_a + within_b - 2 * sums_ab[np.ix_(kept_a, kept_b)].sum() / (n * m))

    return jackknife(estimate, len(bounds_a), len(bounds_b))


def precision_recall(real: Floats, fake: Floats, neighbours: int = NEIGHBOURS) -> tuple[Measured, Measured]:
    """The share of fakes that could be real, and the share of real pictures that the fakes reach.

    A picture belongs to a set where it lies no farther from one of its pictures than that one's `neighbours`-th nearest
    in the set (Kynkäänniemi et al., NeurIPS 2019, section 2). The intervals are those of shares, and take the other set
    as given.
    """
    _check(real, fake, neighbours + 1)
    return _inside(fake, real, neighbours), _inside(real, fake, neighbours)


def _inside(x: Floats, of: Floats, neighbours: int) -> Measured:
    radii = np.concatenate(
        [
            np.partition(_distances(of[row : row + _ROWS], of), neighbours, axis=1)[:, neighbours]  # itself is one
            for row in range(0, len(of), _ROWS)
        ]
    )
    hits = sum(
        int((_distances(x[row : row + _ROWS], of) <= radii).any(axis=1).sum()) for row in range(0, len(x), _ROWS)
    )
    return share(hits, len(x))


def _distances(x: Floats, y: Floats) -> Floats:
    """Squared Euclidean distances (N, M)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    squares: Floats = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squares, 0)


def _kernel_sums(a: Floats, bounds_a: list[tuple[int, int]], b: Floats, bounds_b: list[tuple[int, int]]) -> Floats:
    """The kernel summed over each pair of groups; within one set, a picture is not paired with itself."""
    sums = np.zeros((len(bounds_a), len(bounds_b)))
    for i, (begin, end) in enumerate(bounds_a):
        rows = a[begin:end].astype(np.float64)
        for j, (first, last) in enumerate(bounds_b):
            kernel = (rows @ b[first:last].astype(np.float64).T / a.shape[1] + 1) ** 3
            sums[i, j] = kernel.sum() - (np.trace(kernel) if a is b and i == j else 0)
    return sums


def _short(x: Floats) -> Floats:
    """(N, D) as (at most D, D) with the same XᵀX."""
    return x if len(x) <= x.shape[1] else np.asarray(np.linalg.qr(x, mode="r"))


def _check(a: Floats, b: Floats, rows: int) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < rows:
        raise ValueError(f"features must be (N, D) and (M, D) with {rows} rows or more, not {a.shape} and {b.shape}")
