"""Numbers far from all others, by median and median absolute deviation, and beyond Tukey's outer fences. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ....ground.stats.interval import Floats
from ...records import Finding
from ..profile import ColumnProfile, sorted_numbers
from .looked import Looked, number

_TO_SIGMA = 1.482602218505602
"""A normal distribution's standard deviation is so many median absolute deviations."""
_LEAST_ROWS = 20
_SKEWED = 2.0
"""From here on a column is judged on its logarithms: its long tail is no mistake."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """How a column is judged: on its logarithms if `shift` is not None, which is then added before."""

    shift: float | None
    median: float
    """Of the values themselves."""
    middle: float
    sigma: float
    fences: tuple[float, float]

    def of(self, source: pl.Expr) -> pl.Expr:
        """Return values on the scale."""
        return source if self.shift is None else (source + self.shift).log()


def outliers(looked: Looked) -> Iterator[Finding]:
    """Yield columns with numbers whose robust z is above the limit."""
    limit = looked.settings.outliers
    if limit <= 0:
        return
    for column in looked.columns:
        if column.kind != "number" or column.identity or column.distinct < 3:
            continue
        if len(looked.frame) - column.nulls < _LEAST_ROWS or _surely_none(column, limit):
            continue
        scale = _scale(sorted_numbers(looked.frame.get_column(column.name)).astype(np.float64))
        if scale is not None:
            yield from _beyond(looked, column, scale, limit)


def _beyond(looked: Looked, column: ColumnProfile, scale: _Scale, limit: float) -> Iterator[Finding]:
    source = pl.col(column.name).cast(pl.Float64)
    value = scale.of(pl.when(source.is_finite()).then(source))
    low, high = scale.fences
    far = ((value - scale.middle).abs() > limit * scale.sigma) & ((value < low) | (value > high))
    rows = looked.frame.select(far.fill_null(value=False).arg_true()).to_series()
    if not len(rows):
        return
    values = looked.frame.get_column(column.name).gather(rows).cast(pl.Float64).to_numpy()
    order = np.argsort(-np.abs(values - scale.median), kind="stable")
    how = "robust z" if scale.shift is None else "on a logarithmic scale, because it is skewed"
    message = (
        f"{column.name!r}: {len(rows):,} of {len(looked.frame):,} values are over {number(limit)} deviations from the "
        f"median {number(scale.median)} ({how}); from {number(float(values.min()))} to {number(float(values.max()))}."
    )
    examples = looked.examples(column.name, rows.gather(order[:5]).to_list())
    yield Finding("outliers", column.name, len(rows), message, examples)


def _scale(values: Floats) -> _Scale | None:
    """Return middle and spread of sorted values, or None if they have none.

    Where half of the values are the same one, the others are judged by themselves.
    """
    median = float(np.median(values))
    shift = log_shift(*_quantiles(values, np.array([0.0, 0.1, 0.5, 0.9])))
    scaled = values if shift is None else np.log(values + shift)
    found = _measured(scaled)
    if found is None:
        rest = scaled[values != median]
        found = _measured(rest) if len(rest) >= _LEAST_ROWS else None
    if found is None:
        return None
    middle, mad, first, third = found
    reach = 3 * (third - first)
    return _Scale(shift, median, middle, _TO_SIGMA * mad, (first - reach, third + reach))


def _measured(ordered: Floats) -> tuple[float, float, float, float] | None:
    """Return median, median absolute deviation and quartiles, or None if half of the values are equal."""
    middle = float(np.median(ordered))
    deviations = np.sort(np.abs(ordered - middle))
    mad = float(np.median(deviations))
    first, third = _quantiles(ordered, np.array([0.25, 0.75]))
    return (middle, mad, float(first), float(third)) if mad > 0 else None


def _quantiles(ordered: Floats, shares: Floats) -> Floats:
    """Return linearly interpolated quantiles of sorted values, without sorting them again."""
    place = shares * (len(ordered) - 1)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def log_shift(low: float, lower: float, middle: float, upper: float) -> float | None:
    """Return what to add before taking logarithms, or None where none are taken: negative values, or no long tail."""
    if low < 0 or upper <= middle or upper - middle <= _SKEWED * (middle - lower):
        return None
    return 0.0 if low > 0 else 1.0


def _surely_none(column: ColumnProfile, limit: float) -> bool:
    """Say whether the profile's points already show that no value is far; most columns end here."""
    numbers = column.numbers
    assert numbers is not None, "a column of numbers has points"
    points = numbers.points
    shift = log_shift(*points.quantile(np.array([0.0, 0.1, 0.5, 0.9])))
    values = points.values if shift is None else np.log(points.values + shift)
    weight = points.on + points.between
    middle = values[np.searchsorted(np.cumsum(weight), points.rows / 2)]
    off = np.abs(values - middle)
    order = np.argsort(off)
    mad = off[order][np.searchsorted(np.cumsum(weight[order]), points.rows / 2)]
    return bool(mad > 0 and off.max() < 0.8 * limit * _TO_SIGMA * mad)
