"""Metrics by name, each with one sentence of meaning, a direction, and an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.interval import Interval, bootstrap_interval, mean_interval, root_mean_interval
from ..ground.stats.two_sample import auc_interval
from .records import Direction, Metric, Score

if TYPE_CHECKING:
    import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float64]"

_KNOWN = (
    Metric(
        "auc",
        "The chance that of one positive and one negative case, picked blindly, the positive has the higher score; "
        "0.5 is guessing, 1 is perfect.",
        Direction.HIGHER,
    ),
    Metric(
        "log_loss",
        "How surprised the probabilities are by the truth, on average; 0 is perfect, being sure and wrong costs most.",
        Direction.LOWER,
    ),
    Metric(
        "brier",
        "The squared distance between the probability and what happened (0 or 1), on average; 0 is perfect.",
        Direction.LOWER,
    ),
    Metric("mae", "How far the answer is from the truth, on average, in the label's own unit.", Direction.LOWER),
    Metric(
        "rmse",
        "How far the answer is from the truth, in the label's own unit, where large misses weigh more.",
        Direction.LOWER,
    ),
    Metric(
        "r2",
        "The share of the label's ups and downs that the answers explain; 0 is always answering the mean, 1 perfect.",
        Direction.HIGHER,
    ),
)
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _KNOWN})

_SURE = 1e-7
"""No probability counts as surer in log loss: scores are single precision, and one wrong certainty is not infinite."""


def compute(metric: str, y: Floats, score: Floats, confidence: float = 0.95, *, seed: int = 0) -> Score:
    """Return the metric with its interval at the given confidence.

    AUC: DeLong on the log-odds scale; means: normal; RMSE: delta method; R2: bootstrap (`seed`). Raises EvidenceMissing
    where the rows cannot tell (none, a single class for AUC, a constant label for R2), InvalidInput for numbers that
    are not finite.
    """
    y, score = checked(metric, y, score)
    value, (low, high) = _INTERVALS[metric](y, score, confidence, seed)
    finite = math.isfinite(low) and math.isfinite(high)
    return Score(metric, value, low if finite else None, high if finite else None, len(y), confidence)


def unknown(metric: str, rows: int, confidence: float = 0.95) -> Score:
    """Return the score of rows that cannot tell."""
    return Score(metric, None, None, None, rows, confidence)


def row_losses(metric: str, y: Floats, score: Floats) -> Floats | None:
    """Return the loss of each row, where the metric is their mean; else None."""
    if metric == "log_loss":
        probability = np.clip(score, _SURE, 1 - _SURE)
        return -(y * np.log(probability) + (1 - y) * np.log1p(-probability))
    if metric == "brier":
        return np.square(score - y)
    return np.abs(score - y) if metric == "mae" else None


def checked(metric: str, y: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Return both as float64, or raise: InvalidInput for what is not usable, EvidenceMissing for what cannot tell."""
    if metric not in METRICS:
        raise InvalidInput(f"There is no metric {metric!r}.", hint=f"There are {', '.join(METRICS)}.")
    y, score = np.asarray(y, dtype=np.float64), np.asarray(score, dtype=np.float64)
    if y.ndim != 1 or y.shape != score.shape:
        raise InvalidInput(f"There are labels {y.shape} and scores {score.shape}.", hint="One of each per row.")
    wrong = int((~np.isfinite(y) | ~np.isfinite(score)).sum())
    if wrong:
        raise InvalidInput(
            f"{wrong} of {len(y)} rows have a label or a score that is not a finite number.",
            hint="Drop rows without truth; look at what the model answers for the others.",
        )
    if not len(y):
        raise EvidenceMissing(f"There are no rows to compute {metric} on.")
    if metric == "auc" and (y > 0.5).all() | (y <= 0.5).all():
        raise EvidenceMissing(f"All {len(y)} rows have the same label: AUC needs both classes.")
    if metric == "r2" and np.ptp(y) == 0:
        raise EvidenceMissing(f"All {len(y)} rows have the same label: there are no ups and downs to explain.")
    return y, score


def r2_of_means(means: Floats) -> Floats:
    """Return R2 from the means of (squared error, y, y squared), one per row."""
    spread = means[:, 2] - np.square(means[:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = 1 - means[:, 0] / spread
    return found


def r2_columns(y: Floats, score: Floats) -> Floats:
    """Return the columns whose means R2 is made of. Labels are centred first: nothing is lost to rounding then."""
    centred = y - y.mean()
    return np.column_stack([np.square(score - y), centred, np.square(centred)])


def _auc(y: Floats, score: Floats, confidence: float, seed: int) -> tuple[float, Interval]:  # noqa: ARG001
    return auc_interval(y > 0.5, score, confidence)


def _rmse(y: Floats, score: Floats, confidence: float, seed: int) -> tuple[float, Interval]:  # noqa: ARG001
    squares = np.square(score - y)
    return math.sqrt(float(squares.mean())), root_mean_interval(squares, confidence)


def _r2(y: Floats, score: Floats, confidence: float, seed: int) -> tuple[float, Interval]:
    columns = r2_columns(y, score)
    value = float(r2_of_means(columns.mean(axis=0, keepdims=True))[0])
    return value, bootstrap_interval(columns, r2_of_means, seed=seed, confidence=confidence, repeats=500)


def _mean_of(metric: str) -> Callable[[Floats, Floats, float, int], tuple[float, Interval]]:
    def interval(y: Floats, score: Floats, confidence: float, seed: int) -> tuple[float, Interval]:  # noqa: ARG001
        losses = row_losses(metric, y, score)
        assert losses is not None
        low, high = mean_interval(losses, confidence)
        return float(losses.mean()), (max(0.0, low), high)

    return interval


_INTERVALS: Mapping[str, Callable[[Floats, Floats, float, int], tuple[float, Interval]]] = MappingProxyType(
    {
        "auc": _auc,
        "log_loss": _mean_of("log_loss"),
        "brier": _mean_of("brier"),
        "mae": _mean_of("mae"),
        "rmse": _rmse,
        "r2": _r2,
    }
)
