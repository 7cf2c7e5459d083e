"""Metrics of two classes, from the score alone or from the decision at a threshold."""

from __future__ import annotations

import math

from ...ground.core.errors import EvidenceMissing, InvalidInput
from ...ground.core.later import numpy as np
from ...ground.stats.influence import auc_influence, average_precision_influence
from ...ground.stats.interval import Floats, Interval
from ...ground.stats.two_sample import auc_interval
from ..measure import Measure, Rows
from ..records import Direction, Metric
from .ece import ece, ece_interval

_SURE = 1e-7
"""No probability counts as surer in log loss: scores are single precision, and one wrong certainty is not infinite."""
_SLACK = 1e-6
"""By how much a probability may leave 0 to 1 through rounding."""
_UP, _DOWN = Direction.HIGHER, Direction.LOWER


def log_losses(rows: Rows) -> Floats:
    """Return each row's log loss."""
    chance = np.clip(rows.score, _SURE, 1 - _SURE)
    found: Floats = -(rows.y * np.log(chance) + (1 - rows.y) * np.log1p(-chance))
    return found


def squares(rows: Rows) -> Floats:
    """Return each row's squared error."""
    return np.square(rows.score - rows.y)


def decided(rows: Rows) -> Floats:
    """Return the decision of each row, 0 or 1: the score reaches the threshold. Of several classes the likeliest."""
    if rows.score.ndim == 2:
        likeliest: Floats = rows.score.argmax(axis=1).astype(np.float64)
        return likeliest
    return (rows.score >= rows.terms.threshold).astype(np.float64)


def labels_are_binary(rows: Rows) -> None:
    """Raise InvalidInput for labels other than 0 and 1."""
    if np.count_nonzero(rows.y == 0) + np.count_nonzero(rows.y == 1) != len(rows):
        other = ~((rows.y == 0) | (rows.y == 1))
        found = ", ".join(f"{value:g}" for value in np.unique(rows.y[other])[:3].tolist())
        raise InvalidInput(
            f"{int(other.sum())} of {len(rows)} labels are neither 0 nor 1 ({found}).",
            hint="Say which class is positive, or use another task.",
        )


def both_classes(rows: Rows) -> None:
    """Raise EvidenceMissing where a class has no row (or no weight)."""
    labels_are_binary(rows)
    weight = 1.0 if rows.weights is None else rows.weights
    positive = float((rows.y * weight).sum())
    if positive == 0 or float(((1 - rows.y) * weight).sum()) == 0:
        raise EvidenceMissing(f"All {len(rows)} rows have the same label: both classes are needed.")


def _some_positive(rows: Rows) -> None:
    labels_are_binary(rows)
    if not (rows.y if rows.weights is None else rows.y * rows.weights).any():
        raise EvidenceMissing(f"None of {len(rows)} rows is positive.")


def _probabilities(rows: Rows) -> None:
    labels_are_binary(rows)
    outside = int(((rows.score < -_SLACK) | (rows.score > 1 + _SLACK)).sum())
    if outside:
        raise InvalidInput(
            f"{outside} of {len(rows)} scores are no probabilities: they lie outside 0 to 1.",
            hint="Let the model answer probabilities, or calibrate it; AUC and average precision need only an order.",
        )


def _hits(rows: Rows) -> Floats:
    right: Floats = (decided(rows) == rows.y).astype(np.float64)[:, None]
    return right


def _parts(rows: Rows) -> Floats:
    """Return true positives, positives, and yes decisions."""
    yes = decided(rows)
    return np.column_stack([yes * rows.y, rows.y, yes])


def _among(hit: Floats, trial: Floats) -> Floats:
    return np.column_stack([hit * trial, trial])


def first_mean(means: Floats) -> Floats:
    """Return the first mean: a metric that is the average of its rows."""
    found: Floats = means[:, 0]
    return found


def ratio(means: Floats) -> Floats:
    """Return the first mean over the second."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = means[:, 0] / means[:, 1]
    return found


def _balanced(means: Floats) -> Floats:
    hits, positives, yes = means.T
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = (hits / positives + (1 - positives - yes + hits) / (1 - positives)) / 2
    return found


def _mcc(means: Floats) -> Floats:
    hits, positives, yes = means.T
    spread = positives * (1 - positives) * yes * (1 - yes)
    with np.errstate(divide="ignore", invalid="ignore"):
        # a decision that is always the same says nothing: 0, as guessing
        found: Floats = np.where(spread > 1e-18, (hits - positives * yes) / np.sqrt(np.maximum(spread, 0)), 0.0)
    return found


def _f_columns(rows: Rows) -> Floats:
    yes, squared = decided(rows), rows.terms.beta**2
    return np.column_stack([(1 + squared) * yes * rows.y, squared * rows.y + yes])


def _f1_columns(rows: Rows) -> Floats:
    yes = decided(rows)
    return np.column_stack([2 * yes * rows.y, rows.y + yes])


def _auc_alone(rows: Rows, confidence: float, _seed: int) -> tuple[float, Interval]:
    return auc_interval(rows.y > 0.5, rows.score, confidence)


def _known(name: str, meaning: str, direction: Direction = _UP) -> Metric:
    return Metric(name, meaning, direction)


AUC = Measure(
    _known(
        "auc",
        "The chance that of one positive and one negative case, picked blindly, the positive has the higher score; "
        "0.5 is guessing, 1 is perfect.",
    ),
    direct=lambda rows: auc_influence(rows.y > 0.5, rows.score, rows.weights),
    alone=_auc_alone,
    alone_by="DeLong",
    check=both_classes,
    most=1.0,
)
LOG_LOSS = Measure(
    _known(
        "log_loss",
        "How surprised the probabilities are by the truth, on average; 0 is perfect, being sure and wrong costs most.",
        _DOWN,
    ),
    columns=lambda rows: log_losses(rows)[:, None],
    of=first_mean,
    check=_probabilities,
)
BRIER = Measure(
    _known(
        "brier",
        "The squared distance between the probability and what happened (0 or 1), on average; 0 is perfect.",
        _DOWN,
    ),
    columns=lambda rows: squares(rows)[:, None],
    of=first_mean,
    check=_probabilities,
)
MEASURES = (
    AUC,
    LOG_LOSS,
    BRIER,
    Measure(
        _known("accuracy", "The share of decisions that are right; a rare class hardly counts in it."),
        columns=_hits,
        of=first_mean,
        check=labels_are_binary,
        most=1.0,
        share=True,
        cells=True,
    ),
    Measure(
        _known(
            "balanced_accuracy",
            "The share of decisions that are right, where both classes count the same; 0.5 is guessing.",
        ),
        columns=_parts,
        of=_balanced,
        check=both_classes,
        most=1.0,
        cells=True,
    ),
    Measure(
        _known("precision", "Of the cases called positive, the share that is."),
        columns=lambda rows: _among(rows.y, decided(rows)),
        of=ratio,
        check=labels_are_binary,
        most=1.0,
        share=True,
        cells=True,
    ),
    Measure(
        _known("recall", "Of the positive cases, the share that is found."),
        columns=lambda rows: _among(decided(rows), rows.y),
        of=ratio,
        check=_some_positive,
        most=1.0,
        share=True,
        cells=True,
    ),
    Measure(
        _known("specificity", "Of the negative cases, the share that is left in peace."),
        columns=lambda rows: _among(1 - decided(rows), 1 - rows.y),
        of=ratio,
        check=labels_are_binary,
        most=1.0,
        share=True,
        cells=True,
    ),
    Measure(
        _known("npv", "Of the cases called negative, the share that is."),
        columns=lambda rows: _among(1 - rows.y, 1 - decided(rows)),
        of=ratio,
        check=labels_are_binary,
        most=1.0,
        share=True,
        cells=True,
    ),
    Measure(
        _known("f1", "Precision and recall in one number that is only good where both are."),
        columns=_f1_columns,
        of=ratio,
        check=_some_positive,
        most=1.0,
        cells=True,
    ),
    Measure(
        _known("f_beta", "Precision and recall in one number, where recall counts beta times as much."),
        columns=_f_columns,
        of=ratio,
        check=_some_positive,
        most=1.0,
        cells=True,
    ),
    Measure(
        _known("mcc", "How closely decisions and truth go together, all four kinds counted; 0 is guessing, 1 perfect."),
        columns=_parts,
        of=_mcc,
        check=both_classes,
        least=-1.0,
        most=1.0,
        cells=True,
    ),
    Measure(
        _known(
            "average_precision",
            "Precision averaged over all positives as the threshold falls; guessing gives the share of positives.",
        ),
        direct=lambda rows: average_precision_influence(rows.y > 0.5, rows.score, rows.weights),
        check=_some_positive,
        most=1.0,
    ),
    Measure(
        _known(
            "ece",
            "How far probabilities are from what happens, on average over groups of similar ones; small samples make "
            "it look worse than it is.",
            _DOWN,
        ),
        alone=ece_interval,
        alone_by="simulated sampling error of the groups",
        value=ece,
        check=_probabilities,
        most=1.0,
    ),
)


def smallest_class(rows: Rows) -> int:
    """Return how many rows the rarer class has: what stands for evidence where a metric is at its end."""
    positive = int((rows.y > 0.5).sum())
    return max(1, min(positive, len(rows) - positive)) if math.isfinite(positive) else 1
