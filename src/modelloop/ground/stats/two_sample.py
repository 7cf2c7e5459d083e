"""Two samples, or two models on one: AUC by DeLong, paired differences, tests that two samples are alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.later import numpy as np
from .interval import Floats, Interval, logit_interval, mean_interval, z_value
from .quantiles import Points
from .special import chi2_tail, fisher_tail, kolmogorov_tail, normal_tail

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Aucs:
    """AUC of several scores on the same rows, and how they vary together."""

    values: Floats
    covariance: Floats
    positives: int
    negatives: int


def delong(positive: npt.NDArray[np.bool_], scores: Sequence[Floats]) -> Aucs:
    """Return the AUC of each score and their covariance; ties count half. Both classes must be there.

    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845: the covariance of the structural components
    V10 (one per positive: share of negatives it beats) and V01. Computed from mid-ranks in O(n log n) as in Sun and Xu
    (2014), IEEE Signal Processing Letters 21, 1389-1393.
    """
    m = int(positive.sum())
    n = len(positive) - m
    beats = np.empty((len(scores), m))
    beaten = np.empty((len(scores), n))
    for row, score in enumerate(scores):
        ranks = mid_ranks(score)
        beats[row] = (ranks[positive] - mid_ranks(score[positive])) / n
        beaten[row] = 1 - (ranks[~positive] - mid_ranks(score[~positive])) / m
    covariance = _covariance(beats) / m + _covariance(beaten) / n
    return Aucs(beats.mean(axis=1), covariance, m, n)


def auc(label: npt.NDArray[Any], score: Floats) -> float:
    """Return the chance that a positive case (label above 1/2) has a higher score than a negative one; ties count half.

    Mann and Whitney (1947): the sum of the positives' ranks. NaN where there is only one class.
    """
    positive = np.asarray(label) > 0.5
    m = int(positive.sum())
    n = len(positive) - m
    if not m or not n:
        return math.nan
    return float((mid_ranks(np.asarray(score, dtype=np.float64))[positive].sum() - m * (m + 1) / 2) / (m * n))


def auc_interval(positive: npt.NDArray[np.bool_], score: Floats, confidence: float = 0.95) -> tuple[float, Interval]:
    """Return AUC and its interval: DeLong's variance on the log-odds scale.

    Where the classes are parted completely DeLong's variance is zero, which is no evidence of certainty. Then min(m, n)
    disjoint pairs of a positive and a negative were all in order; that has the probability AUC^min(m, n), and the bound
    is the AUC at which it is what the confidence leaves over.
    """
    found = delong(positive, [score])
    value, variance = float(found.values[0]), float(found.covariance[0, 0])
    if 0 < value < 1:
        return value, logit_interval(value, variance, confidence)
    bound = ((1 - confidence) / 2) ** (1 / min(found.positives, found.negatives))
    return value, (bound, 1.0) if value == 1 else (0.0, 1 - bound)


def auc_difference(
    positive: npt.NDArray[np.bool_], first: Floats, second: Floats, confidence: float = 0.95
) -> tuple[tuple[float, float], Interval]:
    """Return both AUCs on the same rows and the interval of first - second, with DeLong's covariance."""
    found = delong(positive, [first, second])
    ours, theirs = float(found.values[0]), float(found.values[1])
    cov = found.covariance
    variance = max(0.0, float(cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]))
    reach = z_value(confidence) * math.sqrt(variance)
    return (ours, theirs), (max(-1.0, ours - theirs - reach), min(1.0, ours - theirs + reach))


def mean_difference(first: Floats, second: Floats, confidence: float = 0.95) -> tuple[tuple[float, float], Interval]:
    """Return both means and the normal interval of the mean of first - second, row by row."""
    return (float(first.mean()), float(second.mean())), mean_interval(first - second, confidence)


def mid_ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values share the middle of theirs."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.concatenate((starts[1:], [len(values)]))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks


_CUTS = 16_384
"""Quantiles at which two long samples are compared first; only bins that can hold the largest difference are read."""
_COUNTED = 1_000_000
"""Sizes of two samples, multiplied, up to which the chance of a largest difference is counted out."""
_EXPECTED = 5.0
"""Least expected count of a cell (Cochran 1954): below it the chi-square distribution is not to be trusted."""
_LARGE = 1e200
"""Counts of paths are brought down to shares before they get larger."""


def ks(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Return the largest difference of the distribution functions of two sorted samples; exact, ties included.

    Long samples are cut at quantiles of the first. Within a bin the difference is at most what the functions are at its
    ends, so nearly all bins are ruled out unread.
    """
    n, m = len(first), len(second)
    if n < 4 * _CUTS or m < _CUTS:
        return _ks_at(first, second, np.concatenate((first, second)))
    cuts = np.unique(first[np.linspace(0, n - 1, _CUTS).astype(np.int64)])
    x = np.concatenate(([0], np.searchsorted(first, cuts, side="right"), [n]))
    y = np.concatenate(([0], np.searchsorted(second, cuts, side="right"), [m]))
    best = float(np.abs(x / n - y / m).max())
    bound = np.maximum(x[1:] / n - y[:-1] / m, y[1:] / m - x[:-1] / n)
    for place in np.argsort(-bound):
        if bound[place] <= best:
            break
        mine, theirs = first[x[place] : x[place + 1]], second[y[place] : y[place + 1]]
        if place < len(cuts):  # what equals the cut is known already
            mine = mine[: np.searchsorted(mine, cuts[place])]
            theirs = theirs[: np.searchsorted(theirs, cuts[place])]
        inside = np.concatenate((mine, theirs))
        up = (x[place] + np.searchsorted(mine, inside, side="right")) / n
        off = np.abs(up - (y[place] + np.searchsorted(theirs, inside, side="right")) / m)
        best = max(best, float(off.max(initial=0.0)))
    return best


def ks_points(first: Points, second: Points) -> tuple[float, float]:
    """Return the largest difference of two distribution functions known at points, and what it is at least."""
    grid = np.union1d(first.values, second.values)
    at, below = first.at(grid) - second.at(grid), first.below(grid) - second.below(grid)
    low, high = first.bounds(grid)
    other_low, other_high = second.bounds(grid)
    sure = max(0.0, float((low - other_high).max()), float((other_low - high).max()))
    return max(float(np.abs(at).max()), float(np.abs(below).max())), sure


def ks_p_value(statistic: float, n: int, m: int) -> float:
    """Return the chance of so large a difference if both samples come from one distribution.

    Up to n m of a million by counting (as `scipy.stats.ks_2samp(method="exact")`), beyond by Kolmogorov's limit,
    1 - K(D sqrt(nm / (n + m))) (as `scipy.special.kolmogorov`). With ties the true chance is smaller: the test errs on
    the side of silence.
    """
    if n * m <= _COUNTED:
        return _paths_outside(n, m, math.ceil(statistic * n * m - 1e-6))
    return min(1.0, kolmogorov_tail(statistic * math.sqrt(n * m / (n + m))))


def chi2(first: Floats, second: Floats) -> tuple[float, int, float]:
    """Return Pearson's statistic of two rows of counts, its degrees of freedom and p-value; no Yates correction.

    Categories that neither has do not count. As `scipy.stats.chi2_contingency(table, correction=False)`.
    """
    table = np.vstack((first, second)).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    freedom = table.shape[1] - 1
    if freedom < 1 or (table.sum(axis=1) == 0).any():
        return 0.0, 0, 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, freedom, chi2_tail(statistic, freedom)


def pool_rare(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return the counts with categories expected less than five times in either sample as one, the last."""
    total = first + second
    least = min(first.sum(), second.sum()) / max(1.0, total.sum()) * total
    rare = least < _EXPECTED
    if not rare.any():
        return first, second
    pooled = [np.append(counts[~rare], counts[rare].sum()) for counts in (first, second)]
    return pooled[0], pooled[1]


def rates_p_value(first: int, of_first: int, second: int, of_second: int) -> float:
    """Return the two-sided p-value that two rates are equal.

    The pooled normal test (equal to chi-square of the 2 x 2 table), or Fisher's exact test where a cell is expected
    less than five times.
    """
    marked, everyone = first + second, of_first + of_second
    if not of_first or not of_second or marked in (0, everyone):
        return 1.0
    if min(of_first, of_second) * min(marked, everyone - marked) / everyone < _EXPECTED:
        return fisher_tail(first, of_first, second, of_second)
    rate = marked / everyone
    spread = math.sqrt(rate * (1 - rate) * (1 / of_first + 1 / of_second))
    return normal_tail((first / of_first - second / of_second) / spread)


def _paths_outside(n: int, m: int, reach: int) -> float:
    """Return the share of the ways to mix two samples in which |i m - j n| somewhere is `reach` or more.

    Each way is a path through a grid; those that stay inside are counted row by row (Hodges 1958), as shares of all
    paths, so that nothing overflows.
    """
    if reach <= 0:
        return 1.0
    n, m = min(n, m), max(n, m)
    high = min(m, (reach - 1) // n)
    row, low, scale, inside = np.ones(high + 1), 0, 0.0, 1.0
    for i in range(1, n + 1):
        start, end = max(0, (i * m - reach) // n + 1), min(m, (i * m + reach - 1) // n)
        if end < start:
            return 1.0
        wider = np.zeros(end - start + 1)
        kept = row[start - low :][: len(wider)]
        wider[: len(kept)] = kept
        row, low = wider.cumsum(), start
        inside = float(row[-1])
        if inside == 0.0:
            return 1.0
        if inside > _LARGE:
            scale += math.log(inside)
            row /= inside
            inside = 1.0
    scale += math.log(inside)
    every = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
    return min(1.0, max(0.0, -math.expm1(scale - every)))


def _ks_at(first: npt.NDArray[Any], second: npt.NDArray[Any], places: npt.NDArray[Any]) -> float:
    x = np.searchsorted(first, places, side="right") / len(first)
    y = np.searchsorted(second, places, side="right") / len(second)
    return float(np.abs(x - y).max())


def _covariance(components: Floats) -> Floats:
    """Return the sample covariance of the rows; a single observation has no spread to tell of."""
    if components.shape[1] < 2:
        return np.zeros((len(components), len(components)))
    return np.atleast_2d(np.cov(components))
