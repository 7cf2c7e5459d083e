"""From what a file holds to what the contract says, value by value: what does not fit is kept as text. Pure.

Text for numbers, booleans, times and dates may be blank, NA, N/A, NaN, null or None: that is a missing value. A time
without a zone is UTC. NaN in a float column is a missing value; infinity is no number.

A column that is of its type already costs a look at its mean (infinity, NaN) or its extremes (years). Text is read by
the quickest way first; only what that cannot read is read again with care (`text.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ...ground.core.later import polars as pl
from ..formats.text import BLANK, finite, first_try, integral, second_try
from ..settings import ColumnType
from ..types import type_of

Put = Callable[[bytes], str]
"""Keeps bytes, and returns the hash under which they are found."""

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31, counted from 1970-01-01; the last day is left out for the sake of other zones."""
_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_HASH = r"^[0-9a-f]{64}$"


@dataclass(frozen=True, slots=True)
class Misfits:
    """Values of a column that are not of its type: their rows, ascending, and what stood there."""

    rows: pl.Series
    text: pl.Series


@dataclass(frozen=True, slots=True)
class Typed:
    """The contract's columns as its types, null where a value does not fit, and what did not."""

    frame: pl.DataFrame
    misfits: Mapping[str, Misfits]


def wrong_types(raw: pl.DataFrame, types: Mapping[str, ColumnType]) -> dict[str, str]:
    """Return the columns that a file stores as something that can never be what the contract says."""
    held = raw.schema
    return {
        name: str(held[name]) for name, kind in types.items() if name in held and not _possible(name, held[name], kind)
    }


def cast(
    raw: pl.DataFrame, types: Mapping[str, ColumnType], put: Put | None = None, *, items: Collection[str] = ()
) -> Typed:
    """Return these columns as their types. `put` keeps the bytes of binary columns.

    In the binary columns named in `items` text is the hash of bytes that are kept already. Anywhere else a hash is no
    item: who knows one could name what is not theirs.

    Whatever `wrong_types` names is a mistake of the caller.
    """
    held = raw.schema
    odd = {name for name, kind in types.items() if held[name] != type_of(kind) or kind is ColumnType.BINARY}
    odd |= _unclean(raw, [name for name in types if name not in odd])
    if not odd:
        return Typed(raw if raw.columns == list(types) else raw.select(list(types)), {})
    made = {name: _column(raw.get_column(name), types[name], put, name in items) for name in types if name in odd}
    kept = [made[name] if name in odd else raw.get_column(name) for name in types]
    misfits = {name: _misfits(raw.get_column(name), made[name], types[name]) for name in made}
    return Typed(pl.DataFrame(kept), {name: one for name, one in misfits.items() if one is not None})


def _possible(name: str, dtype: pl.DataType, kind: ColumnType) -> bool:
    if kind is ColumnType.BINARY:
        return dtype in (pl.Binary, pl.String, pl.Null)
    return dtype == pl.Null or _is_text(dtype) or _value(pl.col(name), dtype, kind) is not None


def _unclean(raw: pl.DataFrame, names: list[str]) -> set[str]:
    """Return the columns that have the right type and may hold NaN, infinity, or times that no calendar has."""
    held = raw.schema
    floats = [name for name in names if held[name].is_float()]
    times = [name for name in names if isinstance(held[name], pl.Datetime | pl.Date)]
    if not floats and not times:
        return set()
    asked = [pl.col(name).mean().alias(f"m{name}") for name in floats]
    for name in times:
        within = _among_years(pl.col(name), held[name])
        asked.append((within.count() == pl.col(name).count()).alias(f"t{name}"))
    told = raw.lazy().select(asked).collect().row(0, named=True)
    off = {name for name in times if not told[f"t{name}"]}
    return off | {name for name in floats if not math.isfinite(told[f"m{name}"] or 0.0)}


def _column(raw: pl.Series, kind: ColumnType, put: Put | None, is_kept: bool) -> pl.Series:
    if kind is ColumnType.BINARY:
        return _kept(raw, put, is_kept)
    if _is_text(raw.dtype):
        return _read(raw if raw.dtype == pl.String else raw.cast(pl.String), kind)
    made = _value(pl.col(raw.name), raw.dtype, kind)
    assert made is not None, f"{raw.name} passed wrong_types"
    return raw.to_frame().select(made.cast(type_of(kind)).alias(raw.name)).to_series()


def _kept(raw: pl.Series, put: Put | None, is_kept: bool) -> pl.Series:
    """Return hashes for bytes, which `put` keeps; text that is a hash stays one where the bytes are kept already."""
    if raw.dtype != pl.Binary and not is_kept:
        return pl.Series(raw.name, [None], dtype=pl.String).new_from_index(0, len(raw))
    if raw.dtype != pl.Binary:
        text = raw.cast(pl.String)
        return text.to_frame().select(pl.when(pl.col(raw.name).str.contains(_HASH)).then(pl.col(raw.name))).to_series()
    assert put is not None, "binary columns need somewhere to keep their bytes"
    hashes = [None if value is None else put(value) for value in raw]
    return pl.Series(raw.name, hashes, dtype=pl.String)


def _read(text: pl.Series, kind: ColumnType) -> pl.Series:
    """Read text: all of it the quick way, and what is left over with care."""
    if kind is ColumnType.STRING:
        return text
    made = _of_the_calendar(first_try(text, kind))
    left = (text.is_not_null() & made.is_null()).arg_true()
    if not len(left):
        return made
    again = _of_the_calendar(second_try(text.gather(left), kind))
    found = again.is_not_null().arg_true()
    return made.scatter(left.gather(found), again.gather(found)) if len(found) else made


def _of_the_calendar(made: pl.Series) -> pl.Series:
    if not isinstance(made.dtype, pl.Datetime | pl.Date):
        return made
    return made.to_frame().select(_among_years(pl.col(made.name), made.dtype).alias(made.name)).to_series()


def _misfits(raw: pl.Series, made: pl.Series, kind: ColumnType) -> Misfits | None:
    """Return what was there and did not become a value; most columns have none and cost a count."""
    if raw.null_count() == made.null_count():
        return None
    rows = (raw.is_not_null() & made.is_null()).arg_true()
    left = raw.gather(rows)
    there = left.to_frame().select(_present(pl.col(raw.name), left.dtype, kind)).to_series().arg_true()
    if not len(there):
        return None
    text = left.gather(there).to_frame().select(_as_text(pl.col(raw.name), left.dtype)).to_series()
    return Misfits(rows.gather(there), text)


def _value(source: pl.Expr, dtype: pl.DataType, target: ColumnType) -> pl.Expr | None:
    """Return values that are no text as the target type, null where one does not fit; None if none ever can."""
    if dtype == pl.Null:
        return source.cast(type_of(target))
    if dtype.is_numeric():
        return _from_numbers(source, dtype, target)
    if dtype == pl.Boolean:
        return source if target is ColumnType.BOOLEAN else None
    return _from_times(source, dtype, target)


def _present(source: pl.Expr, dtype: pl.DataType, target: ColumnType) -> pl.Expr:
    if dtype.is_float():
        return source.is_not_null() & ~source.is_nan().fill_null(value=False)
    if _is_text(dtype) and target is not ColumnType.STRING:
        return ~source.cast(pl.String).str.strip_chars().str.to_lowercase().is_in(BLANK).fill_null(value=True)
    return source.is_not_null()


def _is_text(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def _from_numbers(source: pl.Expr, dtype: pl.DataType, target: ColumnType) -> pl.Expr | None:
    if target is ColumnType.FLOAT:
        return finite(source.cast(pl.Float64, strict=False))
    if target is ColumnType.INTEGER:
        return source.cast(pl.Int64, strict=False) if dtype.is_integer() else integral(source.cast(pl.Float64))
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


def _among_years(source: pl.Expr, dtype: Any) -> pl.Expr:
    """Return the times of the years 1 to 9999: others are damage, and no database or Python takes them."""
    per_day = 86_400 * _PER_SECOND[dtype.time_unit] if isinstance(dtype, pl.Datetime) else 1
    first, last = max(_FIRST_DAY * per_day, -(2**63)), min(_LAST_DAY * per_day, 2**63 - 1)
    return pl.when(source.to_physical().cast(pl.Int64).is_between(first, last)).then(source)
