"""Two models on the same rows: the difference with its interval, which the rows' own difficulty does not blur."""

from __future__ import annotations

import math

from ..ground.core.errors import EvidenceMissing
from ..ground.core.later import numpy as np
from ..ground.stats.interval import Interval, bootstrap_interval
from ..ground.stats.two_sample import auc_difference, mean_difference
from .metrics import Floats, checked, r2_columns, r2_of_means, row_losses
from .records import Comparison

REPEATS = 500


def compare(
    metric: str, y: Floats, challenger: Floats, champion: Floats, confidence: float = 0.95, *, seed: int = 0
) -> Comparison:
    """Return challenger minus champion in units of the metric, with the interval of that difference.

    AUC: DeLong's covariance; means of row losses: the paired mean; RMSE and R2: paired bootstrap (`seed`). Raises as
    `metrics.compute` does, and EvidenceMissing where the rows are too few to tell.
    """
    y, challenger = checked(metric, y, challenger)
    _, champion = checked(metric, y, champion)
    if len(y) < 2:
        raise EvidenceMissing("A single row cannot tell two models apart.")
    ours, theirs = row_losses(metric, y, challenger), row_losses(metric, y, champion)
    if metric == "auc":
        method, found = "DeLong", auc_difference(y > 0.5, challenger, champion, confidence)
    elif ours is not None and theirs is not None:
        method, found = "paired mean", mean_difference(ours, theirs, confidence)
    else:
        method, found = "paired bootstrap", _resampled(metric, y, (challenger, champion), confidence, seed)
    (value, other), (low, high) = found
    if not (math.isfinite(low) and math.isfinite(high)):
        raise EvidenceMissing(f"{len(y)} rows are too few to compare {metric} on.")
    return Comparison(metric, value, other, value - other, low, high, len(y), method, confidence)


def _resampled(
    metric: str, y: Floats, scores: tuple[Floats, Floats], confidence: float, seed: int
) -> tuple[tuple[float, float], Interval]:
    of_means = r2_of_means if metric == "r2" else _rmse_of_means
    columns = np.column_stack([r2_columns(y, score) for score in scores])

    def both(means: Floats) -> tuple[Floats, Floats]:
        return of_means(means[:, :3]), of_means(means[:, 3:])

    def difference(means: Floats) -> Floats:
        first, second = both(means)
        return first - second

    first, second = both(columns.mean(axis=0, keepdims=True))
    interval = bootstrap_interval(columns, difference, seed=seed, confidence=confidence, repeats=REPEATS)
    return (float(first[0]), float(second[0])), interval


def _rmse_of_means(means: Floats) -> Floats:
    found: Floats = np.sqrt(means[:, 0])
    return found
