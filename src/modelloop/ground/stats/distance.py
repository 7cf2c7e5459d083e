"""How far two distributions lie apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..core.later import numpy as np
from .interval import Floats
from .quantiles import Distribution, Points

if TYPE_CHECKING:
    import numpy.typing as npt

_BLOCK = 65_536


def psi(expected: Floats, actual: Floats, *, epsilon: float = 1e-4) -> float:
    """Return the population stability index of two sets of bin shares: sum of (a - e) ln(a / e).

    It is the symmetrised Kullback-Leibler divergence (Jeffreys 1946). An empty bin counts as `epsilon`. The
    rule of thumb of credit scoring: below 0.1 no change to speak of, above 0.25 a different population.
    """
    e = np.maximum(expected, epsilon)
    a = np.maximum(actual, epsilon)
    return float(((a - e) * np.log(a / e)).sum())


def bin_counts(values: Floats, edges: Floats) -> Floats:
    """Return how many values lie in each of len(edges) + 1 bins; an edge belongs to the bin below it. No NaN."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1).astype(np.float64)


def even_groups(shares: Floats, groups: int) -> list[tuple[int, int]]:
    """Return at most `groups` runs [start, end) of neighbouring bins with shares as even as the bins allow."""
    total = shares.sum()
    if total <= 0:
        return [(0, len(shares))]
    reached = np.cumsum(shares) / total
    cuts = {int(np.argmin(np.abs(reached - goal / groups))) + 1 for goal in range(1, groups)}
    ends = [*sorted(cut for cut in cuts if cut < len(shares)), len(shares)]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def jensen_shannon(first: Floats, second: Floats) -> float:
    """Return the Jensen-Shannon distance of two sets of shares: 0 for equal ones, 1 for nothing in common.

    The root of the divergence to base 2 (Lin 1991; a metric by Endres and Schindelin 2003), as
    `scipy.spatial.distance.jensenshannon(first, second, base=2)` has it. Some tools use base e: theirs times 1.2011.
    """
    p, q = first / first.sum(), second / second.sum()
    middle = (p + q) / 2
    return math.sqrt(max(0.0, (_relative(p, middle) + _relative(q, middle)) / 2))


def wasserstein(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Return the 1-Wasserstein distance of two sorted samples: how far a value must be moved on average; exact.

    The integral of the difference of the quantile functions, which are steps: at each share where either steps. Taken
    in blocks that stay in the processor's cache.
    """
    n, m = len(first), len(second)
    if n == m:
        places = range(0, n, _BLOCK)
        return sum(_moved(first[at : at + _BLOCK], second[at : at + _BLOCK]) for at in places) / n
    total, start, other, reached = 0.0, 0, 0, 0
    while start < n:
        end = min(n, start + _BLOCK)
        until = end * m // n  # all of them at the end
        steps = np.concatenate((np.arange(start + 1, end + 1) * m, np.arange(other + 1, until + 1) * n))
        steps.sort(kind="stable")  # two ascending runs: merged in one pass
        weight = np.diff(steps, prepend=reached)
        steps -= 1
        total += _moved(first[steps // m], second[steps // n], weight)
        start, other, reached = end, until, end * m
    return total / (n * m)


def _moved(first: npt.NDArray[Any], second: npt.NDArray[Any], weight: npt.NDArray[np.int64] | int = 1) -> float:
    return float((np.abs(first.astype(np.float64) - second.astype(np.float64)) * weight).sum())


def wasserstein_points(first: Points, second: Points) -> float:
    """Return the 1-Wasserstein distance of two distributions known at points; exact where they are.

    The integral of the difference of the distribution functions, straight lines between points.
    """
    grid = np.union1d(first.values, second.values)
    start = (first.at(grid) - second.at(grid))[:-1]
    end = (first.below(grid) - second.below(grid))[1:]
    crossing = start * end < 0
    size = np.abs(start) + np.abs(end)
    area = np.where(crossing, (start**2 + end**2) / np.where(crossing, 2 * size, 1.0), size / 2)
    return float((area * np.diff(grid)).sum())


def decile_edges(reference: Distribution) -> Floats:
    """Return the nine deciles of the reference, where they differ: the bins of PSI."""
    return np.unique(reference.quantile(np.arange(1, 10) / 10))


def fine_edges(reference: Distribution, bins: int = 32) -> Floats:
    """Return quantiles of the reference for a Jensen-Shannon distance; what lies outside of it has bins of its own."""
    inside = reference.quantile(np.arange(1, bins + 1) / bins)
    lowest = reference.quantile(np.zeros(1))
    return np.unique(np.concatenate((np.nextafter(lowest, -np.inf), inside)))


def bin_shares(distribution: Distribution, edges: Floats) -> Floats:
    """Return the shares in len(edges) + 1 bins; an edge belongs to the bin below it."""
    return np.diff(distribution.at(edges), prepend=0.0, append=1.0)


def _relative(p: Floats, q: Floats) -> float:
    """Return the Kullback-Leibler divergence in bits; q is above 0 wherever p is."""
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
