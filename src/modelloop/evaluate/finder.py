"""Slices nobody thought of: groups of one and of two columns in which the model is worse than elsewhere. Pure.

Looking at many groups finds some by chance. Each group is tested against all other rows, and the p-values are corrected
for how many were looked at (Holm), so that the chance of a single false finding is at most 1 - confidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.influence import Codes, gradient
from ..ground.stats.interval import Floats
from ..ground.stats.stepping import holm
from .measure import Measure, Rows, checked, encoded, same_length
from .records import Direction
from .slices import LEAST_ROWS

CUTS = 5
"""Groups into which a column of numbers is cut, at its quantiles."""
MOST_GROUPS = 200
"""A column with more values than this is a name of rows, not a group of them."""


@dataclass(frozen=True, slots=True)
class FoundSlice:
    """A group in which the model is worse than in all other rows."""

    where: tuple[tuple[str, str], ...]
    """Columns and their values."""
    value: float
    elsewhere: float
    gap: float
    """How much worse, above 0."""
    rows: int
    p: float
    """Corrected for all groups that were looked at."""
    shown: bool
    """Is it worse beyond chance?"""


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked at and found, worst first: those beyond chance, then the others."""

    slices: tuple[FoundSlice, ...]
    looked_at: int
    left_out: tuple[str, ...]
    """Columns with more values than can be groups."""
    said: str


def find_slices(
    measure: Measure,
    rows: Rows,
    columns: Mapping[str, object],
    *,
    pairs: bool = True,
    min_rows: int = LEAST_ROWS,
    confidence: float = 0.95,
    most: int = 20,
) -> Search:
    """Look at all groups of one column and of two; numbers are cut at quantiles. One count a column or pair.

    For metrics that are a function of means of rows; AUC and the like are none.
    """
    if measure.columns is None or measure.of is None or not measure.grouped:
        raise InvalidInput(
            f"Slices by {measure.name} cannot be searched: it is no function of the rows' means.",
            hint="Search by log_loss, brier, accuracy, mae, rmse or another such metric.",
        )
    checked(measure, rows)
    coded, left_out = _coded(columns, len(rows))
    parts = measure.columns(rows)
    found = [
        one for names, codes in _groupings(coded, pairs) for one in _tested(measure, parts, names, codes, min_rows)
    ]
    if not found:
        raise EvidenceMissing(f"No group has {min_rows} rows, with as many outside of it.")
    adjusted = holm([p for _, p in found])
    slices = sorted(
        (_with_p(one, float(p), confidence) for (one, _), p in zip(found, adjusted, strict=True)),
        key=lambda one: (not one.shown, -one.gap),
    )
    shown = [one for one in slices if one.shown and not _covered(one, slices)]
    others = [one for one in slices if not one.shown]
    return Search(tuple((shown + others)[:most]), len(found), left_out, _said(shown, len(found)))


def _said(shown: list[FoundSlice], looked_at: int) -> str:
    if not shown:
        return f"{looked_at} groups were looked at; none is worse beyond chance"
    return f"{looked_at} groups were looked at; {len(shown)} are worse beyond chance"


def _covered(one: FoundSlice, slices: list[FoundSlice]) -> bool:
    """Say whether a wider slice that is shown says the same: a pair must be worse than each of its columns alone."""
    wider = [other for other in slices if other.shown and set(other.where) < set(one.where)]
    return any(one.gap <= 1.1 * other.gap for other in wider)


def _with_p(one: FoundSlice, p: float, confidence: float) -> FoundSlice:
    shown = p < 1 - confidence and one.gap > 0
    return FoundSlice(one.where, one.value, one.elsewhere, one.gap, one.rows, p, shown)


def _coded(
    columns: Mapping[str, object], rows: int
) -> tuple[dict[str, tuple[tuple[str, ...], Codes]], tuple[str, ...]]:
    coded, left_out = {}, []
    for name, values in columns.items():
        same_length(rows, values, name)
        names, codes = groups_of(values)
        if len(names) > MOST_GROUPS:
            left_out.append(name)
        elif len(names) > 1:
            coded[name] = names, codes
    return coded, tuple(left_out)


def groups_of(values: object) -> tuple[tuple[str, ...], Codes]:
    """Return the groups of a column: its values, or for many different numbers their quantile ranges."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        return encoded(values)
    numbers = array.astype(np.float64)
    known = numbers[np.isfinite(numbers)]
    if len(np.unique(known)) <= 2 * CUTS:
        return encoded(values)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, CUTS + 1)[1:-1]))
    codes = np.searchsorted(edges, numbers, side="right")
    codes[~np.isfinite(numbers)] = len(edges) + 1
    ends = ["-inf", *(f"{edge:.4g}" for edge in edges), "inf"]
    names = [f"{low} to {high}" for low, high in pairwise(ends)]
    names = [f"below {ends[1]}", *names[1:-1], f"{ends[-2]} and above"]
    return (*names, "(missing)"), codes


def _groupings(
    coded: Mapping[str, tuple[tuple[str, ...], Codes]], pairs: bool
) -> Iterator[tuple[list[tuple[tuple[str, str], ...]], Codes]]:
    for name, (values, codes) in coded.items():
        yield [((name, value),) for value in values], codes
    for (one, (mine, ours)), (other, (yours, theirs)) in combinations(coded.items(), 2) if pairs else ():
        where: list[tuple[tuple[str, str], ...]] = [((one, a), (other, b)) for a in mine for b in yours]
        both: Codes = ours * len(yours) + theirs
        yield list(where), both


def _tested(
    measure: Measure, parts: Floats, names: list[tuple[tuple[str, str], ...]], codes: Codes, min_rows: int
) -> Iterator[tuple[FoundSlice, float]]:
    """Test each group against all other rows: the difference over its standard error, from means and squares."""
    assert measure.of is not None
    count, everyone = len(names), len(parts)
    size = np.bincount(codes, minlength=count).astype(np.float64)
    sums = np.column_stack([np.bincount(codes, weights=column, minlength=count) for column in parts.T])
    whole = parts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside, outside = sums / size[:, None], (whole - sums) / (everyone - size)[:, None]
        values, others = measure.of(inside), measure.of(outside)
    errors = _squared_errors(measure, parts, codes, (inside, outside), size)
    higher = measure.metric.direction is Direction.HIGHER
    sized = measure.metric.direction is Direction.ZERO
    for group in np.flatnonzero((size >= min_rows) & (everyone - size >= min_rows)).tolist():
        value, other = float(values[group]), float(others[group])
        if not (math.isfinite(value) and math.isfinite(other) and errors[group] > 0):
            continue
        gap = abs(value) - abs(other) if sized else other - value if higher else value - other
        p = 0.5 * math.erfc(gap / math.sqrt(2 * errors[group]))
        yield FoundSlice(names[group], value, other, gap, int(size[group]), p, shown=False), p


def _squared_errors(
    measure: Measure, parts: Floats, codes: Codes, means: tuple[Floats, Floats], size: Floats
) -> Floats:
    """Return the squared standard error of inside minus outside, for all groups at once (delta method)."""
    from_, width = means, parts.shape[1]
    assert measure.of is not None
    slopes = [_slope(measure, np.nan_to_num(one)) for one in from_]
    count, everyone = len(size), len(parts)
    products = np.empty((count, width, width))
    for a in range(width):
        for b in range(a, width):
            column = np.bincount(codes, weights=parts[:, a] * parts[:, b], minlength=count)
            products[:, a, b] = products[:, b, a] = column
    whole = parts.T @ parts
    total = np.zeros(count)
    for mean, slope, second, rows in (
        (from_[0], slopes[0], products, size),
        (from_[1], slopes[1], whole - products, everyone - size),
    ):
        with np.errstate(divide="ignore", invalid="ignore"):
            covariance = second / rows[:, None, None] - np.einsum("ga,gb->gab", mean, mean)
            total += np.einsum("ga,gab,gb->g", slope, covariance, slope) / np.maximum(1, rows - 1)
    return np.nan_to_num(total)


def _slope(measure: Measure, means: Floats) -> Floats:
    from_means = measure.of
    assert from_means is not None
    return gradient(from_means, means)
