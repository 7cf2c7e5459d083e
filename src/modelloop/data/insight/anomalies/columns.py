"""Columns that suddenly are empty, always the same, or full of new categories. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ....ground.core.later import polars as pl
from ....ground.stats.two_sample import rates_p_value
from ...records import Finding
from ..profile import ColumnProfile
from .looked import Looked, number

_STOPGAPS = [
    "",
    "-",
    "--",
    "?",
    ".",
    "na",
    "n/a",
    "nan",
    "null",
    "none",
    "nil",
    "unknown",
    "missing",
    "undefined",
    "tbd",
    "#n/a",
]
_STAND_INS = {sign * value for sign in (1.0, -1.0) for value in (99.0, 999.0, 9999.0, 99999.0, 999999.0, 9999999.0)}
_LEAST_ROWS = 20


def missing(looked: Looked) -> Iterator[Finding]:
    """Yield columns with more missing values than before, without any, or with values that stand for missing ones."""
    rows = len(looked.frame)
    for column in looked.columns:
        before = looked.before(column.name)
        rate = column.nulls / rows
        if column.nulls == rows and (before is None or not looked.reference or before.nulls < looked.reference.rows):
            yield Finding("missing", column.name, rows, f"{column.name!r} has no values: all {rows:,} are missing.")
        elif before is not None and looked.reference and _jumped(column, rows, before, looked.reference.rows):
            was = before.nulls / looked.reference.rows
            message = f"{column.name!r}: {rate:.1%} of {rows:,} values are missing, {was:.1%} in the reference."
            yield Finding("missing", column.name, column.nulls, message)
        elif before is None and rate >= 0.5 and rows >= _LEAST_ROWS:
            message = f"{column.name!r}: {column.nulls:,} of {rows:,} values are missing."
            yield Finding("missing", column.name, column.nulls, message)
        yield from _disguised(looked, column)


def constants(looked: Looked) -> Iterator[Finding]:
    """Yield columns that have one value in all rows, unless that is no news."""
    for column in looked.columns:
        before = looked.before(column.name)
        if column.distinct != 1 or column.nulls or len(looked.frame) < _LEAST_ROWS:
            continue
        if before is None or before.distinct > 1:
            value = looked.text(column.name, looked.frame.get_column(column.name).head(1))[0]
            after = f"; the reference has {before.distinct:,} different ones" if before else ""
            message = f"{column.name!r} has the same value, {value}, in all {len(looked.frame):,} rows{after}."
            yield Finding("constant", column.name, len(looked.frame), message, (value,))


def categories(looked: Looked) -> Iterator[Finding]:
    """Yield text columns with at least three times the categories of the reference, in at least a twentieth of rows."""
    for column in looked.columns:
        before = looked.before(column.name)
        if before is None or before.kind != "category" or column.kind != "category" or before.identity:
            continue
        if before.categories is None or before.categories.rest or column.distinct < 3 * before.distinct + 10:
            continue
        known = pl.Series([value for value, _ in before.categories.top], dtype=pl.String)
        series = looked.frame.get_column(column.name).cast(pl.String)
        new = series.filter(~series.is_in(known.implode()) & series.is_not_null())
        if len(new) < 0.05 * len(series):
            continue
        some = new.head(1000).unique(maintain_order=True).head(5)
        message = (
            f"{column.name!r} has {column.distinct:,} different values, {before.distinct:,} in the reference; "
            f"{len(new):,} of {len(series):,} rows have a new one."
        )
        yield Finding("categories", column.name, len(new), message, tuple(looked.text(column.name, some)))


def _jumped(now: ColumnProfile, rows: int, before: ColumnProfile, rows_before: int) -> bool:
    """Say whether clearly more is missing: twice as much and 2 % of rows more, or 10 % more; beyond chance."""
    rate, was = now.nulls / rows, before.nulls / max(1, rows_before)
    clear = (rate >= 2 * was and rate - was >= 0.02) or rate - was >= 0.1
    return clear and rates_p_value(before.nulls, rows_before, now.nulls, rows) < 1e-4


def _disguised(looked: Looked, column: ColumnProfile) -> Iterator[Finding]:
    counted = looked.counts.get(column.name)
    if counted is not None and not looked.is_binary(column.name):
        stopgaps = counted.filter(pl.col("value").str.strip_chars().str.to_lowercase().is_in(_STOPGAPS))
        rows = int(stopgaps.get_column("count").sum())
        if rows and not _expected(looked, column.name, stopgaps.get_column("value"), rows):
            shown = tuple(repr(value) for value in stopgaps.get_column("value").sort().head(5))
            message = f"{column.name!r}: {rows:,} values stand for a missing one ({', '.join(shown)})."
            yield Finding("missing", column.name, rows, message, shown)
    elif column.kind == "number" and column.numbers and not column.identity:
        for value in _stand_ins(column):
            rows = int((looked.frame.get_column(column.name) == value).sum())
            if rows >= max(5, 1e-3 * len(looked.frame)) and not _usual(looked, column.name, value):
                message = (
                    f"{column.name!r}: {rows:,} values are {number(value)}, far from all others: are they missing?"
                )
                yield Finding("missing", column.name, rows, message, (number(value),))


def _expected(looked: Looked, name: str, values: pl.Series, rows: int) -> bool:
    """Say whether the contract lists such values, or the reference has at least half as many."""
    column = looked.contract.columns.get(name)
    if column is not None and column.one_of is not None and set(values) <= set(column.one_of):
        return True
    before = looked.before(name)
    if before is None or before.categories is None or looked.reference is None:
        return False
    usual = sum(count for value, count in before.categories.top if value in set(values))
    return 2 * usual * len(looked.frame) >= rows * looked.reference.rows


def _usual(looked: Looked, name: str, value: float) -> bool:
    """Say whether the reference has such a number in many rows."""
    before = looked.before(name)
    if before is None or before.numbers is None or looked.reference is None:
        return False
    on = dict(zip(before.numbers.values, before.numbers.on, strict=True))
    return on.get(value, 0) >= max(5, 5e-4 * looked.reference.rows)


def _stand_ins(column: ColumnProfile) -> list[float]:
    """Return the ends of a distribution that are a row of nines and lie apart from the rest."""
    if column.numbers is None or len(column.numbers.values) < 3:
        return []
    values = column.numbers.values
    ends = (
        (values[0], values[1] - values[0], values[-1] - values[1]),
        (values[-1], values[-1] - values[-2], values[-2] - values[0]),
    )
    return [end for end, gap, rest in ends if end in _STAND_INS and gap > rest / 2]
