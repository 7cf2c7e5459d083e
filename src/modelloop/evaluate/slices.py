"""The metric per group: an average hides whom the model fails. One count of all groups, no loop over their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.influence import Codes, gradient
from ..ground.stats.interval import Floats, z_value
from .measure import MISSING_GROUP, Measure, Rows, checked, encoded, rows_of, spanned
from .metrics import for_metric, measure_of, unknown
from .records import Direction, Score, SliceScore
from .scoring import Standing, interval_from, score, told
from .settings import TermsSettings

__all__ = ["LEAST_ROWS", "MISSING_GROUP", "by_group", "by_rows", "group_metrics"]

LEAST_ROWS = 100
"""Rows from which a group is shown with a number, where no gate says another number."""
_CELL_LABELS = (0.0, 0.0, 1.0, 1.0)


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
    return by_rows(measure_of(metric), rows_of(y, score), column, groups, min_rows=min_rows, confidence=confidence)


def by_rows(
    measure: Measure,
    rows: Rows,
    column: str,
    groups: object,
    *,
    min_rows: int = LEAST_ROWS,
    confidence: float = 0.95,
) -> tuple[SliceScore, ...]:
    """Return the measure in each group, as `by_group` does."""
    names, codes = _coded(rows, column, groups)
    found = group_scores(measure, rows, codes, len(names), min_rows=min_rows, confidence=confidence)
    return worst_first(measure, column, names, found)


def group_metrics(
    y: object,
    score: object,
    groups: object,
    metrics: Sequence[str] = ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1", "mcc"),
    *,
    column: str = "group",
    terms: TermsSettings | None = None,
    min_rows: int = LEAST_ROWS,
    confidence: float = 0.95,
) -> dict[str, tuple[SliceScore, ...]]:
    """Return several metrics of each group, each the worst group first.

    Metrics of decisions all come from one count of label, decision and group (`groups`: integers, or any values).
    """
    rows = rows_of(y, score, terms=terms)
    names, codes = _coded(rows, column, groups)
    measures = [measure_of(metric) for metric in metrics]
    cells = None
    told: dict[str, tuple[SliceScore, ...]] = {}
    for measure in measures:
        if measure.cells and cells is None:
            checked(measure_of("accuracy"), rows)
            cells = cell_counts(rows, codes, len(names))
        if measure.cells and cells is not None:
            found = _from_cells(measure, rows, cells, min_rows=min_rows, confidence=confidence)
        else:
            found = group_scores(measure, rows, codes, len(names), min_rows=min_rows, confidence=confidence)
        told[measure.name] = worst_first(measure, column, names, found)
    return told


def worst_first(measure: Measure, column: str, names: Sequence[str], found: Sequence[Score]) -> tuple[SliceScore, ...]:
    """Return the groups' scores in order of badness; groups without rows are left out."""
    scores = [SliceScore(column, name, one) for name, one in zip(names, found, strict=True) if one.rows]
    return tuple(sorted(scores, key=lambda one: badness(one.score, measure.metric.direction)))


def badness(score: Score, direction: Direction) -> tuple[bool, float, int]:
    """Return what sorts scores worst first, and those without a number last."""
    if score.value is None:
        return True, 0.0, -score.rows
    if direction is Direction.ZERO:
        return False, -abs(score.value), -score.rows
    return False, score.value if direction is Direction.HIGHER else -score.value, -score.rows


def group_scores(
    measure: Measure, rows: Rows, codes: Codes, count: int, *, min_rows: int, confidence: float
) -> list[Score]:
    """Return the score of each group 0 to count - 1; one without evidence has no number."""
    plain = rows.weights is None and rows.clusters is None
    try:
        checked(measure, rows)
        fits = True
    except EvidenceMissing:  # all of the rows cannot tell; some groups may
        fits = False
    if plain and measure.cells:
        cells = cell_counts(rows, codes, count)
        return _from_cells(measure, rows, cells, min_rows=min_rows, confidence=confidence)
    per_row = measure.columns is not None and rows.query is None and measure.grouped
    if plain and fits and per_row:
        return _from_means(measure, rows, codes, count, min_rows=min_rows, confidence=confidence)
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.searchsorted(codes[order], np.arange(1, count)))
    return [_alone(measure, rows, part, min_rows=min_rows, confidence=confidence) for part in parts]


def cell_counts(rows: Rows, codes: Codes, count: int) -> Floats:
    """Return how many rows each group has of no/no, no/yes, yes/no, yes/yes (label, decision): one bincount."""
    cell = codes * 4
    decision = (rows.y > 0.5).view(np.int8)
    decision += decision
    decision += (rows.score >= rows.terms.threshold).view(np.int8)
    cell += decision
    found: Floats = np.bincount(cell, minlength=4 * count).reshape(count, 4).astype(np.float64)
    return found


def _from_cells(measure: Measure, rows: Rows, cells: Floats, *, min_rows: int, confidence: float) -> list[Score]:
    assert measure.columns is not None
    assert measure.of is not None
    bound = rows.terms.threshold
    score = np.array([np.nextafter(bound, -np.inf), bound] * 2)
    four = Rows(np.array(_CELL_LABELS), score, terms=rows.terms)
    columns = measure.columns(four)
    size: Floats = cells.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = cells @ columns / size[:, None]
    slopes = gradient(measure.of, means)
    influence = np.einsum("gck,gk->gc", columns[None] - means[:, None], slopes)
    errors = _errors((cells * np.square(influence)).sum(axis=1), size)
    values = measure.of(means)
    found = []
    for group, counts in enumerate(cells):
        trials = float(counts @ columns[:, -1]) if columns.shape[1] > 1 else float(size[group])
        standing = Standing(_rarer(counts), trials, z_value(confidence))
        tells = size[group] >= max(1, min_rows) and _tells(measure, replace(four, weights=counts))
        error = errors[group] if tells else math.nan
        found.append(
            _scored(
                measure, float(values[group]), float(error), int(size[group]), confidence=confidence, standing=standing
            )
        )
    return found


def _from_means(
    measure: Measure, rows: Rows, codes: Codes, count: int, *, min_rows: int, confidence: float
) -> list[Score]:
    """Return the scores from the groups' means and spread of influences: two counts a column."""
    assert measure.columns is not None
    assert measure.of is not None
    columns = measure.columns(rows)
    size = np.bincount(codes, minlength=count).astype(np.float64)
    sums = np.column_stack([np.bincount(codes, weights=column, minlength=count) for column in columns.T])
    means = sums / np.maximum(1, size)[:, None]
    slopes = gradient(measure.of, means)
    influence = ((columns - means[codes]) * slopes[codes]).sum(axis=1)
    errors = _errors(np.bincount(codes, weights=np.square(influence), minlength=count).astype(np.float64), size)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = measure.of(means)
    found = []
    for group, rows_in in enumerate(size.astype(np.int64).tolist()):
        standing = Standing(max(1, rows_in), float(rows_in), z_value(confidence))
        error = float(errors[group]) if rows_in >= max(1, min_rows) else math.nan
        found.append(_scored(measure, float(values[group]), error, rows_in, confidence=confidence, standing=standing))
    return found


def _scored(measure: Measure, value: float, error: float, rows: int, *, confidence: float, standing: Standing) -> Score:
    """Return the score from its parts; an error that is no number says that the group cannot tell."""
    if math.isnan(error) or not math.isfinite(value):
        return unknown(measure.name, rows, confidence)
    interval = (
        (-math.inf, math.inf) if math.isinf(error) else interval_from(measure, value, error, confidence, standing)
    )
    method = "Wilson" if measure.share else "delta method"
    return told(measure, value, interval, rows, confidence=confidence, method=method)


def _errors(squares: Floats, size: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(size > 1, np.sqrt(squares / (size - 1) / size), np.inf)
    return found


def _rarer(cells: Floats) -> int:
    return max(1, int(min(cells[0] + cells[1], cells[2] + cells[3])))


def _tells(measure: Measure, rows: Rows) -> bool:
    try:
        if measure.check is not None:
            measure.check(rows)
    except EvidenceMissing:
        return False
    return True


def _alone(measure: Measure, rows: Rows, part: Codes, *, min_rows: int, confidence: float) -> Score:
    if len(part) < min_rows:
        return unknown(measure.name, len(part), confidence)
    try:
        return score(measure, for_metric(measure, rows.take(part)), confidence)
    except EvidenceMissing:
        return unknown(measure.name, len(part), confidence)


def _coded(rows: Rows, column: str, groups: object) -> tuple[tuple[str, ...], Codes]:
    found = len(groups) if hasattr(groups, "__len__") else -1
    if found != len(rows):
        raise InvalidInput(f"The column {column!r} has {found} rows, there are {len(rows)} labels.")
    array = np.asarray(groups)
    if array.dtype.kind in "iu" and array.ndim == 1 and len(array):
        return spanned(array.astype(np.int64, copy=False))
    return encoded(groups)
