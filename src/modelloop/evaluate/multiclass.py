"""Metrics of three and more classes: from the counts of (truth, decision), and from the probabilities. Pure.

Classes are 0 to K - 1. Everything that decisions tell comes from one count of K x K cells; its interval by the delta
method on the cells' shares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.binomial import wilson
from ..ground.stats.influence import Codes, auc_influence, gradient, standard_error
from ..ground.stats.interval import Floats, Interval, logit_interval, z_value
from .records import Direction, Metric, Score

_SURE = 1e-7
_SLACK = 1e-4
_UP, _DOWN = Direction.HIGHER, Direction.LOWER
_AVERAGED = "averaged over classes, each the same weight"
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        name: Metric(name, meaning, direction)
        for name, meaning, direction in (
            ("accuracy", "The share of decisions that are right; rare classes hardly count in it.", _UP),
            ("balanced_accuracy", "Of each class the share that is found, averaged: every class counts the same.", _UP),
            ("macro_precision", f"Of the cases called a class the share that is, {_AVERAGED}.", _UP),
            ("macro_recall", f"Of the cases of a class the share that is found, {_AVERAGED}.", _UP),
            ("macro_f1", f"Precision and recall in one number, {_AVERAGED}.", _UP),
            ("micro_f1", "Precision and recall of all decisions together; the same as accuracy here.", _UP),
            ("weighted_precision", "Of the cases called a class the share that is, weighted by the class's size.", _UP),
            ("weighted_recall", "Of the cases of a class the share that is found, weighted by its size.", _UP),
            ("weighted_f1", "Precision and recall in one number, weighted by the class's size.", _UP),
            ("kappa", "How much more decisions agree with the truth than by chance; 0 is chance, 1 perfect.", _UP),
            ("mcc", "How closely decisions and truth go together over all classes; 0 is guessing, 1 perfect.", _UP),
            ("log_loss", "How surprised the probabilities are by the truth, on average; 0 is perfect.", _DOWN),
            (
                "brier",
                "The squared distance between all probabilities and what happened, on average; from 0 to 2.",
                _DOWN,
            ),
            ("top_k", "The share of cases whose class is among the k most probable ones.", _UP),
            ("auc_ovr", "AUC of each class against the others, averaged; 0.5 is guessing, 1 perfect.", _UP),
        )
    }
)


def checked(y: Codes, probabilities: Floats) -> None:
    """Raise InvalidInput for labels that are no class, or rows that are no probabilities; EvidenceMissing for none."""
    if probabilities.ndim != 2 or len(probabilities) != len(y):
        raise InvalidInput(
            f"There are {len(y)} labels and probabilities {probabilities.shape}.",
            hint="One row of probabilities per label, one column per class.",
        )
    if not len(y):
        raise EvidenceMissing("There are no rows.")
    if not np.isfinite(probabilities).all():
        raise InvalidInput("Some probabilities are no finite numbers.", hint="Look at what the model answers there.")
    off = int(((np.abs(probabilities.sum(axis=1) - 1) > _SLACK) | (probabilities < -_SLACK).any(axis=1)).sum())
    if off:
        raise InvalidInput(f"{off} of {len(y)} rows of probabilities do not add up to 1 or go below 0.")
    if int(y.min()) < 0 or int(y.max()) >= probabilities.shape[1]:
        raise InvalidInput(f"Labels go from {y.min()} to {y.max()}; there are {probabilities.shape[1]} classes.")


def confusion(y: Codes, decision: Codes, classes: int, weights: Floats | None = None) -> Floats:
    """Return how many rows of each class (row) are called what (column), by one count."""
    found = np.bincount(y * classes + decision, weights=weights, minlength=classes * classes)
    return found.reshape(classes, classes).astype(np.float64)


def multiclass_scores(
    y: Codes,
    probabilities: Floats,
    confidence: float = 0.95,
    *,
    top: int = 2,
    weights: Floats | None = None,
    clusters: Codes | None = None,
) -> tuple[Score, ...]:
    """Return all metrics with intervals; raises as `checked` does. One that these rows cannot tell has no number."""
    checked(y, probabilities)
    rows = len(probabilities)
    weight = np.ones(rows) if weights is None else weights
    found = {name: from_decisions(name, y, probabilities, weight) for name in DECIDED}
    for name in ROW_BY_ROW:
        values = per_row(name, y, probabilities, top)
        mean = float(weight @ values / weight.sum())
        found[name] = mean, (values - mean) * weight * (rows / weight.sum())
    found["auc_ovr"] = auc_ovr(y, probabilities, weight)
    plain = weights is None and clusters is None
    return tuple(_score(name, *found[name], clusters, confidence, plain=plain) for name in METRICS)


ROW_BY_ROW = ("log_loss", "brier", "top_k")


def per_row(name: str, y: Codes, probabilities: Floats, top: int = 2) -> Floats:
    """Return what each row adds to a mean: its loss, or whether its class is among the `top` most probable ones."""
    own = probabilities[np.arange(len(y)), y]
    if name == "log_loss":
        found: Floats = -np.log(np.clip(own, _SURE, 1.0))
    elif name == "brier":
        found = np.square(probabilities).sum(axis=1) - 2 * own + 1
    else:
        found = ((probabilities > own[:, None]).sum(axis=1) < top) * 1.0
    return found


def from_decisions(name: str, y: Codes, probabilities: Floats, weight: Floats) -> tuple[float, Floats]:
    """Return a metric of decisions, and each row's influence on it."""
    decision, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    counts = confusion(y, decision, classes, weight)
    return _from_cells(_FROM_CELLS[name], counts, y * classes + decision, weight)


def _score(
    name: str, value: float, influence: Floats, clusters: Codes | None, confidence: float, *, plain: bool
) -> Score:
    rows = len(influence)
    if not math.isfinite(value):
        return Score(name, None, None, None, rows, confidence)
    low, high = _interval(name, value, standard_error(influence, clusters), confidence, rows if plain else 0)
    if not (math.isfinite(low) and math.isfinite(high)):
        return Score(name, value, None, None, rows, confidence)
    method = "Wilson" if name in _SHARES and plain else "delta method"
    return Score(name, value, low, high, rows, confidence, method)


_SHARES = ("accuracy", "micro_f1", "weighted_recall", "top_k")


def _interval(name: str, value: float, error: float, confidence: float, rows: int) -> Interval:
    if name in _SHARES and rows:
        return wilson(value, rows, confidence)
    if not math.isfinite(error):
        return -math.inf, math.inf
    reach = z_value(confidence) * error
    if name in {"log_loss", "brier"}:
        return max(0.0, value - reach), value + reach
    if name in {"kappa", "mcc"}:
        return max(-1.0, value - reach), min(1.0, value + reach)
    if 0 < value < 1 and error > 0:
        return logit_interval(value, error * error, confidence)
    return -math.inf, math.inf


def _from_cells(of: Callable[[Floats], Floats], counts: Floats, cell: Codes, weight: Floats) -> tuple[float, Floats]:
    shares = counts.reshape(1, -1) / counts.sum()
    slopes = gradient(of, shares)[0]
    value = float(of(shares)[0])
    return value, (slopes[cell] - float(slopes @ shares[0])) * weight * (len(cell) / weight.sum())


def auc_ovr(y: Codes, probabilities: Floats, weight: Floats) -> tuple[float, Floats]:
    """Return the mean AUC over classes, as scikit-learn's macro average; no number where a class has no row."""
    rows, classes = probabilities.shape
    total, influence = 0.0, np.zeros(rows)
    for one in range(classes):
        positive = y == one
        if not weight[positive].any() or not weight[~positive].any():
            return math.nan, influence
        value, part = auc_influence(positive, probabilities[:, one], weight)
        total, influence = total + value / classes, influence + part / classes
    return total, influence


def _square(shares: Floats) -> tuple[Floats, Floats, Floats]:
    """Return hits, truth and calls of each class, from flat cells; one set of cells a row."""
    classes = math.isqrt(shares.shape[1])
    square = shares.reshape(-1, classes, classes)
    return np.diagonal(square, axis1=1, axis2=2), square.sum(axis=2), square.sum(axis=1)


def _over(amount: Floats, total: Floats) -> Floats:
    return np.divide(amount, total, out=np.zeros_like(amount), where=np.abs(total) > 1e-12)


def _accuracy(shares: Floats) -> Floats:
    hits, truth, _ = _square(shares)
    found: Floats = hits.sum(axis=1) / truth.sum(axis=1)
    return found


def _per_class(kind: str, shares: Floats) -> tuple[Floats, Floats]:
    """Return the metric of each class, and the classes' sizes."""
    hits, truth, called = _square(shares)
    amount = {"precision": called, "recall": truth, "f1": (truth + called) / 2}[kind]
    return _over(hits, amount), truth


def _macro(kind: str) -> Callable[[Floats], Floats]:
    def of(shares: Floats) -> Floats:
        values, truth = _per_class(kind, shares)
        hits, _, called = _square(shares)
        # as scikit-learn: classes that occur as truth or as decision
        there = (truth > 1e-7) | (called > 1e-7) | (hits > 1e-7)
        found: Floats = (values * there).sum(axis=1) / there.sum(axis=1)
        return found

    return of


def _weighted(kind: str) -> Callable[[Floats], Floats]:
    def of(shares: Floats) -> Floats:
        values, truth = _per_class(kind, shares)
        found: Floats = (values * truth).sum(axis=1) / truth.sum(axis=1)
        return found

    return of


def _balanced(shares: Floats) -> Floats:
    values, truth = _per_class("recall", shares)
    there = truth > 1e-7
    found: Floats = (values * there).sum(axis=1) / there.sum(axis=1)
    return found


def _kappa(shares: Floats) -> Floats:
    hits, truth, called = _square(shares)
    seen, chance = hits.sum(axis=1), (truth * called).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = (seen - chance) / (1 - chance)
    return found


def _mcc(shares: Floats) -> Floats:
    hits, truth, called = _square(shares)
    spread = (1 - np.square(truth).sum(axis=1)) * (1 - np.square(called).sum(axis=1))
    return _over(hits.sum(axis=1) - (truth * called).sum(axis=1), np.sqrt(np.maximum(spread, 0)))


_FROM_CELLS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced,
        "macro_precision": _macro("precision"),
        "macro_recall": _macro("recall"),
        "macro_f1": _macro("f1"),
        "micro_f1": _accuracy,
        "weighted_precision": _weighted("precision"),
        "weighted_recall": _weighted("recall"),
        "weighted_f1": _weighted("f1"),
        "kappa": _kappa,
        "mcc": _mcc,
    }
)
DECIDED = tuple(_FROM_CELLS)
