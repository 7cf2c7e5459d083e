"""The expected calibration error, and an interval that knows its bias. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ...ground.core.later import numpy as np
from ...ground.stats.influence import Codes
from ...ground.stats.interval import Floats, Interval
from ..measure import Rows

_DRAWS = 2000
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of similar probabilities: the share of rows, the mean probability, what happened, and how sure that is."""

    share: Floats
    rows: Floats
    predicted: Floats
    happened: Floats
    error: Floats
    """Standard error of what happened minus what was predicted."""
    low: Floats
    high: Floats
    """The smallest and largest probability of the group."""


def groups_of(rows: Rows) -> Groups:
    """Return groups of about equally many rows; equal probabilities are never parted."""
    weight, codes = _grouped(rows)
    mass, predicted, happened = _means(rows, weight, codes)
    gaps = (rows.y - rows.score - (happened - predicted)[codes]) * weight
    count = np.bincount(codes).astype(np.float64)
    if rows.clusters is None:
        spread = np.bincount(codes, weights=np.square(gaps)) * count / np.maximum(1, count - 1)
    else:
        spread = _clustered(codes, rows.clusters, gaps, len(mass))
    # a group in which all is alike is no proof of certainty: at least the spread of one row that is not
    least = happened * (1 - happened)
    smooth = (happened * count + 0.5) / (count + 1)
    floor = np.where(least > 0, 0.0, smooth * (1 - smooth) / count)
    order = np.lexsort((rows.score, codes))
    starts = np.searchsorted(codes[order], np.arange(len(mass)))
    ends = np.append(starts[1:], len(codes)) - 1
    score = rows.score[order]
    error = np.sqrt(np.maximum(spread / np.square(mass), floor))
    return Groups(mass / mass.sum(), count, predicted, happened, error, score[starts], score[ends])


def ece(rows: Rows) -> float:
    """Return the error: the mean gap between what groups of rows were told and what happened, without its sign."""
    mass, predicted, happened = _means(rows, *_grouped(rows))
    return _away(mass / mass.sum(), happened - predicted)


def ece_interval(rows: Rows, confidence: float, seed: int) -> tuple[float, Interval]:
    """Return the error and its interval.

    The error of a sample is above zero even where there is none, so its own bootstrap would be wrong. Here the pattern
    of gaps is scaled to an error e, sampling error is added, and the interval holds each e under which the error seen
    is no surprise on either side (test inversion): 0 is in it where calibration is not contradicted.
    """
    found = groups_of(rows)
    gap = found.happened - found.predicted
    value = _away(found.share, gap)
    pattern = gap / value if value > 1e-12 else np.ones(len(gap))
    noise = np.random.default_rng(seed).normal(size=(_DRAWS, len(gap))) * found.error
    rest = (1 - confidence) / 2

    def seen(error: float, share: float) -> float:
        return float(np.quantile(np.abs(error * pattern + noise) @ found.share, share))

    low = _least(lambda error: seen(error, 1 - rest) >= value)
    high = _least(lambda error: seen(error, rest) >= value)
    return value, (min(low, value), max(value, high))


def expected_by_chance(found: Groups) -> float:
    """Return the error that a perfectly calibrated model would show on as many rows."""
    return float(found.share @ found.error) * math.sqrt(2 / math.pi)


def debiased(found: Groups) -> float:
    """Return the root of the mean squared gap, with what sampling adds taken away (Kumar, Liang, Ma 2019)."""
    squared = np.square(found.happened - found.predicted) - np.square(found.error)
    return math.sqrt(max(0.0, float(found.share @ squared)))


def _away(share: Floats, gap: Floats) -> float:
    return float(share @ np.abs(gap))


def _grouped(rows: Rows) -> tuple[Floats, Codes]:
    """Return the weight and the group of each row."""
    weight = np.ones(len(rows)) if rows.weights is None else rows.weights
    return weight, _codes(rows.score, weight, rows.terms.bins)


def _means(rows: Rows, weight: Floats, codes: Codes) -> tuple[Floats, Floats, Floats]:
    """Return the groups' weight, mean probability and mean label."""
    mass = np.bincount(codes, weights=weight).astype(np.float64)
    predicted: Floats = np.bincount(codes, weights=weight * rows.score) / mass
    happened: Floats = np.bincount(codes, weights=weight * rows.y) / mass
    return mass, predicted, happened


def _least(holds: Callable[[float], bool]) -> float:
    """Return the smallest number from 0 to 1 at which it holds."""
    low, high = 0.0, 1.0
    if holds(0.0):
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _codes(score: Floats, weight: Floats, bins: int) -> Codes:
    """Return the group of each row: cut at quantiles, each cut once."""
    order = np.argsort(score, kind="stable")
    ordered, running = score[order], np.cumsum(weight[order])
    cuts = np.searchsorted(running, running[-1] * np.arange(1, bins) / bins)
    edges = np.unique(ordered[np.minimum(cuts, len(score) - 1)])
    return np.unique(np.searchsorted(edges, score, side="right"), return_inverse=True)[1].reshape(-1)


def _clustered(codes: Codes, clusters: Codes, gaps: Floats, groups: int) -> Floats:
    both = np.unique(codes * (int(clusters.max()) + 1) + clusters, return_inverse=True)
    sums = np.bincount(both[1].reshape(-1), weights=gaps)
    owner = (both[0] // (int(clusters.max()) + 1)).astype(np.int64)
    units = np.bincount(owner, minlength=groups)
    return np.bincount(owner, weights=np.square(sums), minlength=groups) * units / np.maximum(1, units - 1)
