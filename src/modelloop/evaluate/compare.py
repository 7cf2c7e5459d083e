"""Two models on the same rows: the difference with its interval, which the rows' own difficulty does not blur."""

from __future__ import annotations

import math

import numpy as np

from ..ground.core.errors import EvidenceMissing
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
    `metrics.compute` does, and EvidenceMissing for fewer than two rows.
    """
    y, challenger = checked(metric, y, challenger)
    _, champion = checked(metric, y, champion)
    if len(y) < 2:
        raise EvidenceMissing("A single row cannot tell two models apart.")
    if metric == "auc":
        return _auc(y, challenger, champion, confidence)
    ours, theirs = row_losses(metric, y, challenger), row_losses(metric, y, champion)
    if ours is not None and theirs is not None:
        _, interval = mean_difference(ours, theirs, confidence)
        return _result(metric, (float(ours.mean()), float(theirs.mean())), interval, "paired mean", (len(y), confidence))
    both = r2_columns(y, challenger), r2_columns(y, champion)
    of_means = r2_of_means if metric == "r2" else _rmse_of_means
    columns = np.column_stack(both)

    def difference(means: Floats) -> Floats:
        return of_means(means[:, :3]) - of_means(means[:, 3:])

    first, second = (float(of_means(part.mean(axis=0, keepdims=True))[0]) for part in both)
    interval = bootstrap_interval(columns, difference, seed=seed, confidence=confidence, repeats=REPEATS)
    return _result(metric, (first, second), interval, "paired bootstrap", (len(y), confidence))


def _auc(y: Floats, challenger: Floats, champion: Floats, confidence: float) -> Comparison:
    positive = y > 0.5
    ours, theirs = delong_values(positive, challenger, champion)
    _, interval = auc_difference(positive, challenger, champion, confidence)
    return _result("auc", (ours, theirs), interval, "DeLong", (len(y), confidence))
