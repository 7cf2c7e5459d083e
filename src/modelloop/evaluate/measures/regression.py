"""Metrics of answers that are amounts."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...ground.core.errors import EvidenceMissing
from ...ground.core.later import numpy as np
from ...ground.stats.binomial import binomial_tail
from ...ground.stats.interval import Floats, Interval, bootstrap_interval, root_mean_interval
from ..measure import Measure, Rows
from ..records import Direction, Metric
from .binary import first_mean, ratio, squares

_UP, _DOWN = Direction.HIGHER, Direction.LOWER
R2_REPEATS = 500


def off(rows: Rows) -> Floats:
    """Return how far each answer is from the truth."""
    return np.abs(rows.score - rows.y)


def r2_of_means(means: Floats) -> Floats:
    """Return R2 from the means of (squared error, y, y squared), one per row."""
    spread = means[:, 2] - np.square(means[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = 1 - means[:, 0] / spread
    return found


def r2_columns(rows: Rows) -> Floats:
    """Return the columns whose means R2 is made of. Labels are centred first: nothing is lost to rounding then."""
    centred = rows.y - rows.y.mean()
    return np.column_stack([squares(rows), centred, np.square(centred)])


def root(means: Floats) -> Floats:
    """Return the root of the first mean."""
    found: Floats = np.sqrt(np.maximum(0.0, means[:, 0]))
    return found


def _rmse_alone(rows: Rows, confidence: float, _seed: int) -> tuple[float, Interval]:
    squared = squares(rows)
    return math.sqrt(float(squared.mean())), root_mean_interval(squared, confidence)


def _r2_alone(rows: Rows, confidence: float, seed: int) -> tuple[float, Interval]:
    columns = r2_columns(rows)
    value = float(r2_of_means(columns.mean(axis=0, keepdims=True))[0])
    return value, bootstrap_interval(columns, r2_of_means, seed=seed, confidence=confidence, repeats=R2_REPEATS)


def _varied(rows: Rows) -> None:
    if np.ptp(rows.y) == 0:
        raise EvidenceMissing(f"All {len(rows)} rows have the same label: there are no ups and downs to explain.")


def smape_parts(rows: Rows) -> Floats:
    """Return each row's distance over the mean size of truth and answer; both 0: 0."""
    size = (np.abs(rows.y) + np.abs(rows.score)) / 2
    return np.divide(off(rows), size, out=np.zeros(len(rows)), where=size > 0)


def _no_zero(rows: Rows) -> None:
    zeros = int((rows.y == 0).sum())
    if zeros:
        raise EvidenceMissing(
            f"The truth is 0 in {zeros} of {len(rows)} rows: a share of it has no meaning; take wape."
        )


def _some_size(rows: Rows) -> None:
    if not np.abs(rows.y).any():
        raise EvidenceMissing(f"The truth is 0 in all {len(rows)} rows: there is nothing to take a share of.")


def pinball_parts(rows: Rows) -> Floats:
    """Return each row's pinball loss at the quantile of the terms."""
    miss, quantile = rows.y - rows.score, rows.terms.quantile
    return np.maximum(quantile * miss, (quantile - 1) * miss)


def _poisson(rows: Rows) -> Floats:
    y, score = rows.y, rows.score
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(y > 0, y * np.log(y / score), 0.0)
    return 2 * (logs - y + score)


def _gamma(rows: Rows) -> Floats:
    return 2 * (np.log(rows.score / rows.y) + rows.y / rows.score - 1)


def _in_domain(name: str, *, zero: bool) -> Callable[[Rows], None]:
    def check(rows: Rows) -> None:
        wrong = int(((rows.score <= 0) | (rows.y < 0 if zero else rows.y <= 0)).sum())
        if wrong:
            truth = "0 or more" if zero else "above 0"
            raise EvidenceMissing(
                f"{name} needs answers above 0 and truth {truth}: {wrong} of {len(rows)} rows are not."
            )

    return check


def _counts(rows: Rows) -> None:
    wrong = int(((rows.score <= -1) | (rows.y <= -1)).sum())
    if wrong:
        raise EvidenceMissing(f"rmsle needs truth and answers above -1: {wrong} of {len(rows)} rows are not.")


def _log_squares(rows: Rows) -> Floats:
    found: Floats = np.square(np.log1p(rows.score) - np.log1p(rows.y))
    return found


def _median_alone(rows: Rows, confidence: float, _seed: int) -> tuple[float, Interval]:
    """Return the median distance; the interval between two order statistics needs no shape (binomial, conservative)."""
    ordered, weight = off(rows), rows.weights
    if weight is not None:
        return _weighted_median(ordered, weight), (-math.inf, math.inf)
    ordered = np.sort(ordered)
    if rows.clusters is not None:
        return float(np.median(ordered)), (-math.inf, math.inf)
    count, rest = len(ordered), (1 - confidence) / 2
    low, high = 0, count // 2
    while low < high:  # the highest rank whose chance of lying above the median is at most `rest`
        middle = (low + high + 1) // 2
        if binomial_tail(middle - 1, count) <= rest:
            low = middle
        else:
            high = middle - 1
    value = float(np.median(ordered))
    return value, (float(ordered[low - 1]), float(ordered[count - low])) if low else (-math.inf, math.inf)


def _weighted_median(values: Floats, weight: Floats) -> float:
    order = np.argsort(values, kind="stable")
    ordered, running = values[order], np.cumsum(weight[order])
    half = running[-1] / 2
    first = int(np.searchsorted(running, half))
    after = int(np.searchsorted(running, half, side="right"))
    return float((ordered[first] + ordered[min(after, len(ordered) - 1)]) / 2)


def _largest(rows: Rows, _confidence: float, _seed: int) -> tuple[float, Interval]:
    used = off(rows) if rows.weights is None else off(rows)[rows.weights > 0]
    return float(used.max()), (-math.inf, math.inf)


def _known(name: str, meaning: str, direction: Direction = _DOWN) -> Metric:
    return Metric(name, meaning, direction)


MAE = Measure(
    _known("mae", "How far the answer is from the truth, on average, in the label's own unit."),
    columns=lambda rows: off(rows)[:, None],
    of=first_mean,
)
RMSE = Measure(
    _known("rmse", "How far the answer is from the truth, in the label's own unit, where large misses weigh more."),
    columns=lambda rows: squares(rows)[:, None],
    of=root,
    alone=_rmse_alone,
    alone_by="delta method",
)
R2 = Measure(
    _known(
        "r2",
        "The share of the label's ups and downs that the answers explain; 0 is always answering the mean, 1 perfect.",
        _UP,
    ),
    columns=r2_columns,
    of=r2_of_means,
    alone=_r2_alone,
    alone_by=f"percentile bootstrap, {R2_REPEATS} samples",
    check=_varied,
    least=-math.inf,
    most=1.0,
    grouped=False,
)
SMAPE = Measure(
    _known("smape", "How far the answer is off as a share of the mean of truth and answer; from 0 to 2."),
    columns=lambda rows: smape_parts(rows)[:, None],
    of=first_mean,
    most=2.0,
)
WAPE = Measure(
    _known("wape", "All misses together as a share of all truth together; 0.1 is off by a tenth of the total."),
    columns=lambda rows: np.column_stack([off(rows), np.abs(rows.y)]),
    of=ratio,
    check=_some_size,
)
PINBALL = Measure(
    _known(
        "pinball",
        "How well the answer stands at the asked quantile: misses above and below it cost by its odds; 0 is perfect.",
    ),
    columns=lambda rows: pinball_parts(rows)[:, None],
    of=first_mean,
)
BIAS = Measure(
    _known(
        "bias",
        "By how much answers are too high (above 0) or too low (below 0) on average, in the label's own unit.",
        Direction.ZERO,
    ),
    columns=lambda rows: (rows.score - rows.y)[:, None],
    of=first_mean,
    least=-math.inf,
)
MAPE = Measure(
    _known("mape", "How far the answer is off as a share of the truth, on average; small truths weigh much."),
    columns=lambda rows: (off(rows) / np.abs(rows.y))[:, None],
    of=first_mean,
    check=_no_zero,
)
MEASURES = (
    MAE,
    RMSE,
    R2,
    Measure(
        _known("median_ae", "Half of the answers are at most this far from the truth, in the label's own unit."),
        alone=_median_alone,
        alone_by="order statistics",
    ),
    MAPE,
    SMAPE,
    WAPE,
    PINBALL,
    Measure(
        _known(
            "max_error", "The worst miss among these rows; more rows can only make it larger, so it has no interval."
        ),
        alone=_largest,
        alone_by="none",
    ),
    BIAS,
    Measure(
        _known("poisson_deviance", "How unlikely the counts are under the answers as their means; 0 is perfect."),
        columns=lambda rows: _poisson(rows)[:, None],
        of=first_mean,
        check=_in_domain("poisson_deviance", zero=True),
    ),
    Measure(
        _known("gamma_deviance", "How far amounts above 0 are from the answers as a ratio, in squares; 0 is perfect."),
        columns=lambda rows: _gamma(rows)[:, None],
        of=first_mean,
        check=_in_domain("gamma_deviance", zero=False),
    ),
    Measure(
        _known("rmsle", "How far the answer is off as a ratio, roughly, where large misses weigh more."),
        columns=lambda rows: _log_squares(rows)[:, None],
        of=root,
        check=_counts,
    ),
)
