"""Figures with an interval that holds what more pictures of the same kind would give, 95 times of 100.

Nothing here is random: the same pictures give the same interval.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Z = 1.959964  # of the normal distribution
GROUPS = 20


@dataclass(frozen=True)
class Measured:
    """A figure with the ends of its 95 % interval, None where too little was there to tell."""

    value: float
    low: float | None = None
    high: float | None = None


def mean(values: Sequence[float]) -> Measured:
    """The mean of independent values, with Student's interval; without one for fewer than three, or infinite ones."""
    value = float(np.mean(values))
    if len(values) < 3 or not math.isfinite(value):
        return Measured(value)
    return _around(value, float(np.var(values, ddof=1)) / len(values), len(values) - 1)


def share(hits: int, of: int) -> Measured:
    """A share of independent pictures in [0, 1], with Wilson's interval (JASA 1927)."""
    value, weight = hits / of, Z**2 / of
    centre = (value + weight / 2) / (1 + weight)
    half = Z * math.sqrt(value * (1 - value) / of + weight / (4 * of)) / (1 + weight)
    return Measured(value, max(centre - half, 0.0), min(centre + half, 1.0))


def group_bounds(count: int) -> list[tuple[int, int]]:
    """The (begin, end) of at most 20 runs of rows, of sizes that differ by one at most."""
    edges = np.linspace(0, count, min(count, GROUPS) + 1).round().astype(int).tolist()
    return list(pairwise(edges))


def jackknife(estimate: Callable[[list[int], list[int]], float], groups_a: int, groups_b: int) -> Measured:
    """What `estimate` gives for two sets of pictures, with a jackknife interval (Tukey 1958).

    Each group of each set is left out once: how much that matters says how much the figure depends on chance. A bias
    that comes from few pictures stays in the figure and in its interval.

    Args:
        estimate: takes the numbers of the groups of each set that are to be used.
        groups_a: how many there are in the first set.
        groups_b: in the second.
    """
    all_a, all_b = list(range(groups_a)), list(range(groups_b))
    value = estimate(all_a, all_b)
    without_a = [estimate([g for g in all_a if g != left_out], all_b) for left_out in all_a]
    without_b = [estimate(all_a, [g for g in all_b if g != left_out]) for left_out in all_b]
    variance = sum((len(rest) - 1) * float(np.var(rest)) for rest in (without_a, without_b))
    return _around(value, variance, min(groups_a, groups_b) - 1)


def _around(value: float, variance: float, freedom: int) -> Measured:
    half = _student(freedom) * math.sqrt(variance)
    return Measured(value, value - half, value + half)


def _student(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t: its expansion round the normal one (Abramowitz & Stegun 26.7.5)."""
    terms = (
        (Z**3 + Z) / 4,
        (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96,
        (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384,
        (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / 92160,
    )
    return Z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))
