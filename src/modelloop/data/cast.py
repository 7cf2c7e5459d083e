"""From what a file holds to what the contract says, value by value: what does not fit is kept as text. Pure.

Text for numbers, booleans, times and dates may be blank, NA, N/A, NaN, null or None: that is a missing value. A time
without a zone is UTC. NaN in a float column is a missing value; infinity is no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from .contract import TYPES
from .settings import ColumnType, ContractSettings

FILE, ROW, RAW = "__file", "__row", "__raw:"
"""Where a row came from, and the text of values that do not fit."""

_BLANK = ["", "na", "n/a", "nan", "null", "none"]
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31, counted from 1970-01-01; the last day is left out for the sake of other zones."""
_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_TRUE, _FALSE = ["true", "t", "yes", "1"], ["false", "f", "no", "0"]


def wrong_types(raw: pl.DataFrame, contract: ContractSettings) -> dict[str, str]:
    """Return the columns that a file stores as something that can never be what the contract says."""
    return {
        name: str(raw.schema[name])
        for name, column in contract.columns.items()
        if name in raw.columns and _value(pl.col(name), raw.schema[name], column.type) is None
    }


def cast(raw: pl.DataFrame, contract: ContractSettings, file: str) -> pl.DataFrame:
    """Return the contract's columns as its types, and `__raw:NAME` with the text of values that do not fit."""
    values = []
    for name, column in contract.columns.items():
        value = _value(pl.col(name), raw.schema[name], column.type)
        assert value is not None, f"{name} passed wrong_types"
        values.append(value.cast(TYPES[column.type]).alias(name))
    typed = raw.select(values)
    misfits = [
        _misfits(raw.get_column(name), typed.get_column(name), contract.columns[name].type) for name in typed.columns
    ]
    return typed.with_columns(
        pl.lit(file).alias(FILE), pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW), *misfits
    )


def _misfits(raw: pl.Series, value: pl.Series, target: ColumnType) -> pl.Series:
    """Return the text of what was there and did not become a value; most columns have none and cost nothing."""
    name = RAW + raw.name
    if raw.null_count() == value.null_count():
        return pl.repeat(None, len(raw), dtype=pl.String, eager=True).alias(name)
    failed = _present(pl.col(raw.name), raw.dtype, target) & pl.lit(value.is_null())
    return raw.to_frame().select(pl.when(failed).then(_as_text(pl.col(raw.name), raw.dtype)).alias(name)).to_series()


def _value(source: pl.Expr, dtype: pl.DataType, target: ColumnType) -> pl.Expr | None:
    """Return the values as the target type, null where one does not fit; None if none of this type ever can."""
    if dtype == pl.Null:
        return source.cast(TYPES[target])
    if _is_text(dtype):
        text = source.cast(pl.String)
        return text if target is ColumnType.STRING else _FROM_TEXT[target](text.str.strip_chars())
    if dtype.is_numeric():
        return _from_numbers(source, dtype, target)
    if dtype == pl.Boolean:
        return source if target is ColumnType.BOOLEAN else None
    return _from_times(source, dtype, target)


def _present(source: pl.Expr, dtype: pl.DataType, target: ColumnType) -> pl.Expr:
    if dtype.is_float():
        return source.is_not_null() & ~source.is_nan().fill_null(value=False)
    if _is_text(dtype) and target is not ColumnType.STRING:
        return ~source.cast(pl.String).str.strip_chars().str.to_lowercase().is_in(_BLANK).fill_null(value=True)
    return source.is_not_null()


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def _from_numbers(source: pl.Expr, dtype: pl.DataType, target: ColumnType) -> pl.Expr | None:
    if target is ColumnType.FLOAT:
        return _finite(source.cast(pl.Float64, strict=False))
    if target is ColumnType.INTEGER:
        return source.cast(pl.Int64, strict=False) if dtype.is_integer() else _integral(source.cast(pl.Float64))
    if target is ColumnType.BOOLEAN and dtype.is_integer():
        return pl.when(source == 1).then(statement=True).when(source == 0).then(statement=False)
    return None


def _from_times(source: pl.Expr, dtype: pl.DataType, target: ColumnType) -> pl.Expr | None:
    if isinstance(dtype, pl.Datetime):
        within = _among_years(source, dtype)
        zoned = within.dt.convert_time_zone("UTC") if dtype.time_zone else within.dt.replace_time_zone("UTC")
        if target is ColumnType.DATE:
            return pl.when(zoned.dt.truncate("1d") == zoned).then(zoned.dt.date())
        return zoned.dt.cast_time_unit("us") if target is ColumnType.TIME else None
    if isinstance(dtype, pl.Date):
        within = _among_years(source, dtype)
        midnight = within.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return {ColumnType.DATE: within, ColumnType.TIME: midnight}.get(target)
    return None


def _as_text(source: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return the values as text; a time beyond the calendar as its number, for Polars cannot write it."""
    if isinstance(dtype, pl.Datetime | pl.Date):
        return pl.coalesce(_among_years(source, dtype).cast(pl.String), source.to_physical().cast(pl.String))
    return source.cast(pl.String)


def _among_years(source: pl.Expr, dtype: pl.Datetime | pl.Date) -> pl.Expr:
    """Return the times of the years 1 to 9999: others are damage, and no database or Python takes them."""
    per_day = 86_400 * _PER_SECOND[dtype.time_unit] if isinstance(dtype, pl.Datetime) else 1
    first, last = max(_FIRST_DAY * per_day, -(2**63)), min(_LAST_DAY * per_day, 2**63 - 1)
    return pl.when(source.to_physical().cast(pl.Int64).is_between(first, last)).then(source)


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number)


def _integral(number: pl.Expr) -> pl.Expr:
    exact = number.is_finite() & (number == number.floor()) & (number.abs() < 2.0**53)
    return pl.when(exact).then(number).cast(pl.Int64, strict=False)


def _integer_text(text: pl.Expr) -> pl.Expr:
    return pl.coalesce(text.cast(pl.Int64, strict=False), _integral(text.cast(pl.Float64, strict=False)))


def _float_text(text: pl.Expr) -> pl.Expr:
    return _finite(text.cast(pl.Float64, strict=False))


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
    return pl.coalesce([full.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in formats])


def _date_text(text: pl.Expr) -> pl.Expr:
    return text.str.to_date("%Y-%m-%d", strict=False)


_FROM_TEXT: Mapping[ColumnType, Callable[[pl.Expr], pl.Expr]] = {
    ColumnType.INTEGER: _integer_text,
    ColumnType.FLOAT: _float_text,
    ColumnType.BOOLEAN: _boolean_text,
    ColumnType.TIME: _time_text,
    ColumnType.DATE: _date_text,
}
