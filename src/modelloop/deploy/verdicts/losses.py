"""How wrong an answer was, as a number between 0 and 1, and how far two answers lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ...ground.core.later import numpy as np
from .given import Losses

if TYPE_CHECKING:
    import numpy.typing as npt

    from ...evaluate.settings import ObjectiveSettings


class Kind(StrEnum):
    """A loss of single rows."""

    BRIER = "brier"
    """Binary: the squared distance of the score from the truth."""
    MISS = "miss"
    """Binary: 1 where the decision at the threshold is wrong."""
    ABSOLUTE = "absolute"
    """The distance from the label in units of the labels' spread, at most 1."""
    SQUARED = "squared"
    """Its square, at most 1."""
    PINBALL = "pinball"
    """The distance, weighted by the side on which the prediction of a quantile lies, at most 1."""
    CLASSES = "classes"
    """Multiclass: half the Brier score of the probabilities."""


_BY_TASK = {"binary": Kind.BRIER, "multiclass": Kind.CLASSES}
_MISSES = frozenset(
    {"accuracy", "balanced_accuracy", "precision", "recall", "specificity", "npv", "f1", "f_beta", "mcc"}
)
_SQUARES = frozenset({"rmse", "r2", "rmsle"})


@dataclass(frozen=True, slots=True)
class Rule:
    """Which loss compares two versions, from the task or the project's `[objective]`."""

    kind: Kind
    threshold: float = 0.5
    quantile: float = 0.5

    @classmethod
    def of_task(cls, task: str) -> Rule:
        """Return the loss that says most of a task: half or all of the Brier score, or the absolute error."""
        return cls(_BY_TASK.get(task, Kind.ABSOLUTE))

    @classmethod
    def of_objective(cls, objective: ObjectiveSettings) -> Rule:
        """Return the loss of single rows that is nearest to the headline metric and its terms.

        Binary metrics of decisions count misses at the threshold, of squares squares, pinball itself. Metrics of whole
        sets have no loss of a row: AUC and its like fall back on the Brier score. Rankings are compared by the absolute
        error of the relevance: an endpoint does not know which requests belong to one question.
        """
        task, metric, terms = str(objective.task), str(objective.metric), objective.terms
        if task == "binary" and metric in _MISSES:
            return cls(Kind.MISS, threshold=terms.threshold)
        if task in ("regression", "forecasting") and metric in _SQUARES:
            return cls(Kind.SQUARED)
        if task in ("regression", "forecasting") and metric == "pinball":
            return cls(Kind.PINBALL, quantile=terms.quantile)
        return cls.of_task(task)


def losses(rule: Rule, score: npt.ArrayLike, label: npt.ArrayLike, scale: float) -> Losses:
    """Return the loss of each score; one that is no number is as wrong as can be. `scale`: the labels' spread."""
    scored, told = np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64)
    off = told - scored
    if rule.kind is Kind.BRIER:
        found = np.clip(off, -1.0, 1.0) ** 2
    elif rule.kind is Kind.MISS:
        found = np.where(np.isnan(off), 1.0, (scored >= rule.threshold) != (told > 0.5))
    elif rule.kind is Kind.CLASSES:
        found = np.where(np.isnan(off), 1.0, off != 0)  # the best class alone is known
    elif rule.kind is Kind.PINBALL:
        found = np.minimum(np.maximum(rule.quantile * off, (rule.quantile - 1) * off), scale) / scale
    else:
        found = np.minimum(np.abs(off), scale) / scale  # in this order: an answer of 1e308 overflows nothing
        found = found**2 if rule.kind is Kind.SQUARED else found
    return _bounded(found)


def loss(task: str, score: npt.ArrayLike, label: npt.ArrayLike, scale: float) -> Losses:
    """Return the loss of each answer by the task alone."""
    return losses(Rule.of_task(task), score, label, scale)


def multiclass_loss(probabilities: npt.ArrayLike, label: npt.ArrayLike) -> Losses:
    """Return half the Brier score of each row's probabilities (Brier 1950): 0 for certain and right, 1 for wrong.

    `label` is the place of the right class. A class that no probability was given for is as wrong as can be.
    """
    given = np.asarray(probabilities, dtype=np.float64)
    right = np.asarray(label, dtype=np.float64)
    places = np.arange(given.shape[1]) == right[:, None]
    halved = ((given - places) ** 2).sum(axis=1) / 2
    known = (right >= 0) & (right < given.shape[1]) & (right == np.floor(right))
    return _bounded(np.where(known, halved, 1.0))


def disagreement(task: str, first: npt.ArrayLike, second: npt.ArrayLike, scale: float) -> Losses:
    """Return how far two answers lie apart: difference of scores (binary), in units of the spread, at most 1.

    Multiclass: whether the best classes differ, or, of rows of probabilities, half the sum of the absolute differences,
    the total variation distance.
    """
    apart = np.abs(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64))
    if apart.ndim == 2:
        apart = apart.sum(axis=1) / 2
    elif task == "multiclass":
        apart = np.where(np.isnan(apart), 1.0, apart != 0)
    elif task != "binary":
        apart = apart / scale
    return _bounded(apart)


def _bounded(found: npt.ArrayLike) -> Losses:
    return np.asarray(np.clip(np.nan_to_num(np.asarray(found, dtype=np.float64), nan=1.0, posinf=1.0), 0.0, 1.0))
