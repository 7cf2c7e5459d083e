"""Metrics of three and more classes as measures: with slices, comparisons and gates as every other metric.

Scores are rows of probabilities, labels the places of classes (`evaluate.multiclass` computes).
"""

from __future__ import annotations

import math
from functools import partial

from ...ground.core.errors import EvidenceMissing, InvalidInput
from ...ground.core.later import numpy as np
from ...ground.stats.influence import Codes
from ...ground.stats.interval import Floats
from .. import multiclass
from ..measure import Measure, Rows
from .binary import first_mean

_MOST = {"log_loss": math.inf, "brier": 2.0}
_LEAST = {"kappa": -1.0, "mcc": -1.0}


def places(rows: Rows) -> Codes:
    """Return the labels as places of classes; raises InvalidInput for others, and for rows of no probabilities."""
    found = rows.y.astype(np.int64)
    if not (found == rows.y).all():
        raise InvalidInput("Labels of several classes are their places 0, 1, 2, ...")
    multiclass.checked(found, rows.score)
    return found


def _check(rows: Rows) -> None:
    if rows.score.ndim != 2:
        raise InvalidInput("A metric of several classes takes a row of probabilities for each label.")
    places(rows)


def _columns(name: str, rows: Rows) -> Floats:
    return multiclass.per_row(name, places(rows), rows.score, rows.terms.k)[:, None]


def _decided(name: str, rows: Rows) -> tuple[float, Floats]:
    return _told(name, *multiclass.from_decisions(name, places(rows), rows.score, _weights(rows)))


def _right(rows: Rows) -> Floats:
    """Return the hits, and what marks the trials."""
    hit = (rows.score.argmax(axis=1) == places(rows)) * 1.0
    return np.column_stack([hit, np.ones(len(rows))])


def _top(rows: Rows) -> Floats:
    return np.column_stack([_columns("top_k", rows)[:, 0], np.ones(len(rows))])


def _auc(rows: Rows) -> tuple[float, Floats]:
    return _told("auc_ovr", *multiclass.auc_ovr(places(rows), rows.score, _weights(rows)))


def _told(name: str, value: float, influence: Floats) -> tuple[float, Floats]:
    if not math.isfinite(value):
        raise EvidenceMissing(f"{len(influence)} rows cannot tell {name}: some class has none.")
    return value, influence


def _weights(rows: Rows) -> Floats:
    return np.ones(len(rows)) if rows.weights is None else rows.weights


def _measure(name: str) -> Measure:
    metric, most, least = multiclass.METRICS[name], _MOST.get(name, 1.0), _LEAST.get(name, 0.0)
    if name in ("accuracy", "micro_f1", "weighted_recall"):
        return Measure(metric, columns=_right, of=first_mean, check=_check, most=1.0, share=True)
    if name == "top_k":
        return Measure(metric, columns=_top, of=first_mean, check=_check, most=1.0, share=True)
    if name in multiclass.ROW_BY_ROW:
        return Measure(metric, columns=partial(_columns, name), of=first_mean, check=_check, least=least, most=most)
    direct = _auc if name == "auc_ovr" else partial(_decided, name)
    return Measure(metric, direct=direct, check=_check, least=least, most=most)


MEASURES = tuple(_measure(name) for name in multiclass.METRICS)
