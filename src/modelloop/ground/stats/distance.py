"""How far two distributions lie apart."""

from __future__ import annotations

import numpy as np

from .interval import Floats


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
