"""How far one column is from what it was: distances, and the chance of them if nothing changed. Pure.

Bins are those of the reference: its deciles for PSI (empty shares count 1e-4), its 32-quantiles for the Jensen-Shannon
distance, where what lies outside the reference's range and what is missing have bins of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ground.core.later import numpy as np
from ...ground.stats.distance import (
    bin_shares,
    decile_edges,
    fine_edges,
    jensen_shannon,
    psi,
    wasserstein,
    wasserstein_points,
)
from ...ground.stats.interval import Floats
from ...ground.stats.quantiles import Distribution, Points, Sample
from ...ground.stats.two_sample import chi2, ks, ks_p_value, ks_points, pool_rare, rates_p_value
from .profile import Categories, buckets_of, hashed, seen_hashes

if TYPE_CHECKING:
    import numpy.typing as npt

FEWEST = 20
"""Values on each side, below which nothing is tested."""

_FULL = 0.95
"""Share of hashes seen, from which on they say nothing about new values."""

Counted = tuple[int, int]
"""Rows with a value, rows without."""


@dataclass(frozen=True, slots=True)
class Apart:
    """What `ColumnDrift` says of a column, but for the verdict, which needs all columns."""

    distance: float
    p_value: float
    psi: float | None = None
    ks: float | None = None
    wasserstein: float | None = None
    chi2: float | None = None
    new_values: float = 0.0
    note: str = ""


def numbers_apart(
    reference: npt.NDArray[Any] | Points, now: npt.NDArray[Any] | Points, before: Counted, after: Counted
) -> Apart:
    """Compare numbers: sorted values (exact) or points. Neither is empty."""
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the largest float: distances that are none
        return _numbers_apart(_distribution(reference), _distribution(now), before, after)


def _numbers_apart(old: Sample | Points, new: Sample | Points, before: Counted, after: Counted) -> Apart:
    if isinstance(old, Sample) and isinstance(new, Sample):
        largest = sure = ks(old.values, new.values)
        moved = wasserstein(old.values, new.values)
    elif isinstance(old, Points) and isinstance(new, Points):
        largest, sure = ks_points(old, new)
        moved = wasserstein_points(old, new)
    edges = fine_edges(old)
    deciles = decile_edges(old)
    scale = _scale(old)
    tested = min(before[0], after[0]) >= FEWEST
    p_value = ks_p_value(sure, before[0], after[0]) if tested else 1.0
    return Apart(
        _distance(bin_shares(old, edges), bin_shares(new, edges), before, after),
        _with_missing(p_value, before, after),
        psi=psi(bin_shares(old, deciles), bin_shares(new, deciles)),
        ks=largest,
        wasserstein=moved / scale if scale > 0 and math.isfinite(moved / scale) else None,
        note="" if tested else _few(before, after),
    )


def categories_apart(reference: Categories, now: Categories, before: Counted, after: Counted) -> Apart:
    """Compare categories: by value where all are known, else by a hash of the value, which favours none."""
    known, there = dict(reference.top), dict(now.top)
    if reference.rest or now.rest:
        first, second = buckets_of(reference).astype(np.float64), buckets_of(now).astype(np.float64)
    else:
        names = sorted(known.keys() | there.keys())
        first = np.array([known.get(name, 0) for name in names], dtype=np.float64)
        second = np.array([there.get(name, 0) for name in names], dtype=np.float64)
    tested = min(before[0], after[0]) >= FEWEST
    statistic, _, p_value = chi2(*pool_rare(first, second)) if tested else (None, 0, 1.0)
    shares = first / first.sum(), second / second.sum()
    new = min(1.0, _new_values(reference, now) / after[0])
    distance = _distance(*shares, before, after)
    if reference.rest:  # other values in the same bins are far away too
        distance = max(distance, _distance(np.array([1.0, 0]), np.array([1 - new, new]), before, after))
    return Apart(
        distance,
        _with_missing(p_value, before, after),
        psi=psi(*shares),
        chi2=statistic,
        new_values=new,
        note="" if tested else _few(before, after),
    )


def exploded(known: Categories, before: Counted, after: Counted, *, now: bool) -> Apart:
    """Compare categories with a column in which nearly every row has its own value: `now`, or in the reference.

    At most as many of its rows as there are categories can be of one of them.
    """
    many = after[0] if now else before[0]
    ours = min(many, len(known.top))
    known_only, mixed = [before[0] if now else after[0], 0], [ours, many - ours]
    table = np.array([known_only, mixed] if now else [mixed, known_only], dtype=np.float64)
    first, second = table
    shares = first / first.sum(), second / second.sum()
    statistic, _, p_value = chi2(first, second)
    return Apart(
        _distance(*shares, before, after),
        _with_missing(p_value, before, after),
        psi=psi(*shares),
        chi2=statistic,
        new_values=float(shares[1][1]),
    )


def missing_apart(before: Counted, after: Counted) -> Apart:
    """Compare only what is missing: one side has no values, or values that cannot be compared."""
    here, there = null_rate(before), null_rate(after)
    distance = jensen_shannon(np.array([here, 1 - here]), np.array([there, 1 - there]))
    p_value = _missing_p_value(before, after)
    return Apart(distance, p_value, note=_few(before, after) if min(sum(before), sum(after)) < FEWEST else "")


def _distribution(values: npt.NDArray[Any] | Points) -> Sample | Points:
    return values if isinstance(values, Points) else Sample(values)


def _scale(reference: Distribution) -> float:
    """Return the reference's interquartile range, or that of wider quantiles where half of the values are equal."""
    for tail in (0.25, 0.1, 0.01, 0.0):
        low, high = reference.quantile(np.array([tail, 1 - tail]))
        if high > low:
            return float(high - low)
    return 0.0


def _distance(first: Floats, second: Floats, before: Counted, after: Counted) -> float:
    """Return the Jensen-Shannon distance of bin shares, with what is missing as one more bin."""
    here, there = null_rate(before), null_rate(after)
    return jensen_shannon(np.append(first * (1 - here), here), np.append(second * (1 - there), there))


def _with_missing(p_value: float, before: Counted, after: Counted) -> float:
    """Return the p-value of values and missing values together: either may speak, so each gets half (Bonferroni).

    Given how many values are missing altogether, both tests hold; so where none is, the values have all of it.
    """
    if not before[1] and not after[1]:
        return p_value
    return min(1.0, 2 * min(p_value, _missing_p_value(before, after)))


def _missing_p_value(before: Counted, after: Counted) -> float:
    if min(sum(before), sum(after)) < FEWEST:
        return 1.0
    return rates_p_value(before[1], sum(before), after[1], sum(after))


def null_rate(counted: Counted) -> float:
    """Return the share of rows without a value."""
    return counted[1] / sum(counted) if sum(counted) else 0.0


def _new_values(reference: Categories, now: Categories) -> float:
    """Return how many rows have a category that the reference does not: at least, or by hashes, nearly."""
    there = dict(now.top)
    if not reference.rest:
        known = dict(reference.top)
        seen = sum(count for value, count in there.items() if value not in known)
        hidden = len(known.keys() - there.keys()) * min(there.values(), default=0)
        return seen + max(0, now.rest - hidden)
    hashes = seen_hashes(reference)
    filled = float(hashes.mean())
    if filled > _FULL:
        return 0.0
    others = seen_hashes(now)
    of_rest = now.rest * float((others & ~hashes).sum()) / float(others.sum())
    unseen = ~hashes[hashed(there)]
    return (float(np.array(list(there.values()))[unseen].sum()) + of_rest) / (1 - filled)


def _few(before: Counted, after: Counted) -> str:
    return f"not tested: {before[0]:,} values against {after[0]:,}; at least {FEWEST} are needed on each side"
