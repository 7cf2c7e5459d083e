"""How much each row moves an estimate (its influence), and the standard error that follows, also for rows in clusters.

An estimate is about its true value plus the mean of the rows' influences. Differences of two estimates on the same rows
have the difference of influences; rows that belong together are summed first. One rule for all metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ..core.later import numpy as np
from .interval import Floats

if TYPE_CHECKING:
    import numpy.typing as npt

Codes: TypeAlias = "npt.NDArray[np.int64]"
OfMeans: TypeAlias = "Callable[[Floats], Floats]"
"""From column means, one estimate's a row, to the estimates."""

_STEP = 1e-5


def of_means(columns: Floats, function: OfMeans, weights: Floats | None = None) -> tuple[float, Floats]:
    """Return a function of the (weighted) column means, and each row's influence on it (delta method)."""
    rows = len(columns)
    weight = np.ones(rows) if weights is None else weights
    total = float(weight.sum())
    means = columns.mean(axis=0) if weights is None else weight @ columns / total
    value = float(function(means[None])[0])
    if not math.isfinite(value):
        return value, np.zeros(rows)
    return value, (columns - means) @ gradient(function, means[None])[0] * weight * (rows / total)


def gradient(function: OfMeans, means: Floats) -> Floats:
    """Return the slope of the function in each mean, by central differences; one row an estimate."""
    slopes = np.empty_like(means)
    for column in range(means.shape[1]):
        step = np.maximum(_STEP * np.abs(means[:, column]), 1e-9)
        above, below = means.copy(), means.copy()
        above[:, column] += step
        below[:, column] -= step
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes[:, column] = (function(above) - function(below)) / (2 * step)
    return slopes


def standard_error(influence: Floats, clusters: Codes | None = None) -> float:
    """Return the standard error of an estimate; infinite where a single row or cluster is all there is.

    Clusters are codes 0, 1, ...: rows of one are summed first, so they count as one piece of evidence (Liang and Zeger
    1986, with the usual G / (G - 1)).
    """
    rows = len(influence)
    if clusters is None:
        return float(influence.std(ddof=1)) / math.sqrt(rows) if rows > 1 else math.inf
    sums = np.bincount(clusters, weights=influence)
    units = int((np.bincount(clusters) > 0).sum())
    if units < 2:
        return math.inf
    centred = sums - influence.mean() * np.bincount(clusters, minlength=len(sums))
    return math.sqrt(units / (units - 1) * float(np.square(centred).sum())) / rows


def auc_influence(
    positive: npt.NDArray[np.bool_], score: Floats, weights: Floats | None = None
) -> tuple[float, Floats]:
    """Return AUC and each row's influence: DeLong's structural components, with weights. Ties count half."""
    rows = len(score)
    weight = np.ones(rows) if weights is None else weights
    places = np.unique(score, return_inverse=True)[1].reshape(-1)
    size = int(places.max()) + 1
    ours = np.bincount(places, weights=weight * positive, minlength=size)
    theirs = np.bincount(places, weights=weight * ~positive, minlength=size)
    all_ours, all_theirs = float(ours.sum()), float(theirs.sum())
    beats = (np.cumsum(theirs) - theirs / 2) / all_theirs
    beaten = 1 - (np.cumsum(ours) - ours / 2) / all_ours
    value = float(ours @ beats) / all_ours
    part = np.where(positive, (beats[places] - value) / all_ours, (beaten[places] - value) / all_theirs)
    return value, rows * weight * part


def average_precision_influence(
    positive: npt.NDArray[np.bool_], score: Floats, weights: Floats | None = None
) -> tuple[float, Floats]:
    """Return average precision (the step sum, rows with one score together) and each row's influence on it.

    A row changes its own term and the precision at all positives below it (infinitesimal jackknife).
    """
    rows = len(score)
    weight = np.ones(rows) if weights is None else weights
    places = np.unique(-score, return_inverse=True)[1].reshape(-1)
    hits = np.bincount(places, weights=weight * positive)
    everyone = np.bincount(places, weights=weight)
    seen = np.cumsum(everyone)
    precision = np.divide(np.cumsum(hits), seen, out=np.zeros_like(seen), where=seen > 0)
    positives = float(hits.sum())
    value = float(hits @ precision) / positives
    share = np.divide(hits, seen, out=np.zeros_like(seen), where=seen > 0)
    below = np.cumsum(share[::-1])[::-1]
    below_weighted = np.cumsum((share * precision)[::-1])[::-1]
    own = positive * (precision[places] - value)
    others = positive * below[places] - below_weighted[places]
    return value, rows * weight / positives * (own + others)
