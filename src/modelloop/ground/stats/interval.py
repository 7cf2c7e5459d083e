"""Intervals for a number of rows fixed beforehand (for streams that are looked at again and again: `sequential`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

from ..core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


Floats: TypeAlias = "npt.NDArray[np.float64]"
Interval = tuple[float, float]


def z_value(confidence: float) -> float:
    """Return how many standard errors a two-sided normal interval reaches."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def mean_interval(values: Floats, confidence: float = 0.95) -> Interval:
    """Return the normal interval of the mean (central limit theorem); one row gives (-inf, inf)."""
    centre = float(values.mean())
    reach = z_value(confidence) * _standard_error(values)
    return centre - reach, centre + reach


def root_mean_interval(squares: Floats, confidence: float = 0.95) -> Interval:
    """Return the interval of the root of the mean, for RMSE, from the squared errors.

    Delta method: se(sqrt(m)) = se(m) / (2 sqrt(m)). Below zero there is nothing.
    """
    root = math.sqrt(float(squares.mean()))
    if root == 0.0:
        return 0.0, 0.0 if len(squares) > 1 else math.inf
    reach = z_value(confidence) * _standard_error(squares) / (2 * root)
    return max(0.0, root - reach), root + reach


def logit_interval(share: float, variance: float, confidence: float = 0.95) -> Interval:
    """Return the interval of a number between 0 and 1, from its variance, made on the log-odds scale.

    Pepe (2003), The Statistical Evaluation of Medical Tests for Classification and Prediction: it stays between 0 and
    1 and holds its coverage near the ends, where the plain one does not.
    """
    odds = math.log(share / (1 - share))
    reach = z_value(confidence) * math.sqrt(variance) / (share * (1 - share))
    return _expit(odds - reach), _expit(odds + reach)


def resampled_means(columns: Floats, *, seed: int, repeats: int = 1000) -> Floats:
    """Return the column means of `repeats` bootstrap samples of the rows (Efron 1979), repeats x columns.

    Whatever is a function of means (R2, RMSE) is bootstrapped from these, without visiting the rows again.
    """
    random = np.random.default_rng(seed)
    rows = len(columns)
    means = np.empty((repeats, columns.shape[1]))
    for repeat in range(repeats):
        counts = np.bincount(random.integers(0, rows, rows), minlength=rows)
        means[repeat] = counts @ columns
    return means / rows


def bootstrap_interval(
    columns: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    seed: int,
    confidence: float = 0.95,
    repeats: int = 1000,
) -> Interval:
    """Return the percentile interval of a function of column means; `statistic` takes them row by row."""
    found = statistic(resampled_means(columns, seed=seed, repeats=repeats))
    found = found[np.isfinite(found)]
    if not len(found):
        return -math.inf, math.inf
    low, high = np.quantile(found, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def _standard_error(values: Floats) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def _expit(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))
