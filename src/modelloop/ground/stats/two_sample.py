"""Two samples, or two models on one: AUC by DeLong, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .interval import Floats, Interval, logit_interval, mean_interval, z_value


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


def _covariance(components: Floats) -> Floats:
    """Return the sample covariance of the rows; a single observation has no spread to tell of."""
    if components.shape[1] < 2:
        return np.zeros((len(components), len(components)))
    return np.atleast_2d(np.cov(components))
