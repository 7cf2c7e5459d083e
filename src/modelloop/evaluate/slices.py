"""The metric per group: an average hides whom the model fails."""

from __future__ import annotations

from collections.abc import Sequence

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from .metrics import METRICS, Floats, compute, unknown
from .records import Direction, Score, SliceScore

MISSING_GROUP = "(missing)"
LEAST_ROWS = 100
"""Rows from which a group is shown with a number, where no gate says another number."""


def by_group(
    metric: str,
    y: Floats,
    score: Floats,
    column: str,
    groups: Sequence[object],
    *,
    min_rows: int = LEAST_ROWS,
    confidence: float = 0.95,
) -> tuple[SliceScore, ...]:
    """Return the metric in each group, the worst first; groups that cannot tell come last, without a number.

    Too few rows, or a single class for AUC, cannot tell. A group of None or NaN is called `(missing)`.
    """
    if len(groups) != len(y):
        raise InvalidInput(f"The column {column!r} has {len(groups)} rows, there are {len(y)} labels.")
    names, codes = np.unique(np.array([_name(group) for group in groups], dtype=np.str_), return_inverse=True)
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.searchsorted(codes[order], np.arange(1, len(names))))
    found = [
        SliceScore(column, str(name), _score(metric, y[rows], score[rows], min_rows=min_rows, confidence=confidence))
        for name, rows in zip(names, parts, strict=True)
        if len(rows)
    ]
    higher = METRICS[metric].direction is Direction.HIGHER
    return tuple(sorted(found, key=lambda one: _badness(one.score, higher=higher)))


def _score(metric: str, y: Floats, score: Floats, *, min_rows: int, confidence: float) -> Score:
    if len(y) < min_rows:
        return unknown(metric, len(y), confidence)
    try:
        return compute(metric, y, score, confidence)
    except EvidenceMissing:
        return unknown(metric, len(y), confidence)


def _badness(score: Score, *, higher: bool) -> tuple[bool, float, int]:
    if score.value is None:
        return True, 0.0, -score.rows
    return False, score.value if higher else -score.value, -score.rows


def _name(group: object) -> str:
    missing = group is None or (isinstance(group, float) and group != group)  # noqa: PLR0124 - NaN is not itself
    return MISSING_GROUP if missing else str(group)
