"""Text as numbers, booleans, times and dates: the quickest way first, then with care. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...ground.core.later import polars as pl
from ..settings import ColumnType
from ..types import type_of

BLANK = ["", "na", "n/a", "nan", "null", "none"]
"""Text, in any case and with spaces around it, that stands for a missing value."""

_TRUE, _FALSE = ["true", "t", "yes", "1"], ["false", "f", "no", "0"]
_WRITTEN = {
    ColumnType.TIME: ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.fZ"),
    ColumnType.DATE: ("%Y-%m-%d",),
}
_SAMPLE = 50
_YEAR, _YEAR_1000 = r"^\d{4}-", -354_285
"""How years are written, and a day since which they cannot have fewer digits."""


def first_try(text: pl.Series, kind: ColumnType) -> pl.Series:
    """Read what is written plainly; null where it is not. What is read is what `second_try` would have read."""
    if kind is ColumnType.INTEGER:
        return text.cast(pl.Int64, strict=False)
    if kind is ColumnType.FLOAT:
        number = text.cast(pl.Float64, strict=False)
        return number if number.is_finite().all() else _finite_of(number)
    if kind is ColumnType.BOOLEAN:
        said = pl.when(_name(text) == "true").then(statement=True).when(_name(text) == "false").then(statement=False)
        return _of_expression(text, said)
    return _of_moments(text, kind)


def second_try(text: pl.Series, kind: ColumnType) -> pl.Series:
    """Read with care: spaces around, 3.0 for 3, yes and no, every way to write ISO 8601."""
    made = _WITH_CARE[kind](_name(text).str.strip_chars())
    return _of_expression(text, made).cast(type_of(kind))


def integral(number: pl.Expr) -> pl.Expr:
    """Return the whole numbers among floats, null for others."""
    exact = number.is_finite() & (number == number.floor()) & (number.abs() < 2.0**53)
    return pl.when(exact).then(number).cast(pl.Int64, strict=False)


def finite(number: pl.Expr) -> pl.Expr:
    """Return the numbers, null for NaN and infinity."""
    return pl.when(number.is_finite()).then(number)


def _name(text: pl.Series) -> pl.Expr:
    return pl.col(text.name)


def _of_expression(text: pl.Series, made: pl.Expr) -> pl.Series:
    return text.to_frame().select(made.alias(text.name)).to_series()


def _finite_of(number: pl.Series) -> pl.Series:
    return _of_expression(number, finite(_name(number)))


def _of_moments(text: pl.Series, kind: ColumnType) -> pl.Series:
    """Read by the one format that the first values have, if there is one."""
    few = text.drop_nulls().head(_SAMPLE)
    for form in _WRITTEN[kind]:
        if len(few) and not _by_form(few, kind, form).null_count():
            return _by_form(text, kind, form)
    return pl.Series(text.name, [None], dtype=type_of(kind)).new_from_index(0, len(text))


def _by_form(text: pl.Series, kind: ColumnType, form: str) -> pl.Series:
    if kind is ColumnType.DATE:
        return _of_whole_years(text, text.str.to_date(form, strict=False))
    made = text.str.to_datetime(form, time_unit="us", strict=False)
    return _of_whole_years(text, made).dt.replace_time_zone("UTC")


def _of_whole_years(text: pl.Series, made: pl.Series) -> pl.Series:
    """Let go what was read of a year of fewer than four digits: 23-01-15 is of 2023, or no date."""
    earliest: Any = made.to_physical().min()
    if earliest is None or earliest >= (_YEAR_1000 if made.dtype == pl.Date else _YEAR_1000 * 86_400_000_000):
        return made
    both = pl.DataFrame([made.alias("made"), text.alias("text")])
    return both.select(_whole(pl.col("text"), pl.col("made")).alias(text.name)).to_series()


def _whole(text: pl.Expr, made: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(_YEAR)).then(made)


def _integer_text(text: pl.Expr) -> pl.Expr:
    return pl.coalesce(text.cast(pl.Int64, strict=False), integral(text.cast(pl.Float64, strict=False)))


def _float_text(text: pl.Expr) -> pl.Expr:
    return finite(text.cast(pl.Float64, strict=False))


def _boolean_text(text: pl.Expr) -> pl.Expr:
    lower = text.str.to_lowercase()
    return pl.when(lower.is_in(_TRUE)).then(statement=True).when(lower.is_in(_FALSE)).then(statement=False)


def _time_text(text: pl.Expr) -> pl.Expr:
    """Read ISO 8601, with T or a space, to the minute or finer, with or without a zone; a bare date is its midnight."""
    dated = text.str.contains(r"^\d{4}-\d{2}-\d{2}$")
    plain = text.str.replace(r"^(\d{4}-\d{2}-\d{2})T", "${1} ").str.replace(r"\s*[Zz]$", "+00:00")
    zoned = plain.str.contains(r" \d{2}:\d{2}.*[+-]\d{2}:?\d{2}$")
    full = pl.when(dated).then(text + " 00:00:00+00:00").when(zoned).then(plain).otherwise(plain + "+00:00")
    formats = ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z")
    made = pl.coalesce([full.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in formats])
    return _whole(text, made)


def _date_text(text: pl.Expr) -> pl.Expr:
    return _whole(text, text.str.to_date("%Y-%m-%d", strict=False))


_WITH_CARE: Mapping[ColumnType, Callable[[pl.Expr], pl.Expr]] = {
    ColumnType.INTEGER: _integer_text,
    ColumnType.FLOAT: _float_text,
    ColumnType.BOOLEAN: _boolean_text,
    ColumnType.TIME: _time_text,
    ColumnType.DATE: _date_text,
}
