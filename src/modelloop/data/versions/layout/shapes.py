"""Columns and types: what a part holds, as the version wants it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ....ground.core.errors import InvalidInput
from ....ground.core.later import polars as pl
from ...records import Part, Schema
from ...settings import ColumnType
from ...types import type_of

_WIDER = {("integer", "float"), ("date", "time"), ("string", "binary")}


def dtype(word: str) -> pl.DataType:
    """Return the Polars type of a contract's type."""
    return type_of(ColumnType(word))


def dtypes(schema: Schema) -> dict[str, pl.DataType]:
    """Return the Polars types of the columns, in order."""
    return {name: dtype(word) for name, word in schema}


def fitted(frame: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return the frame with the schema's columns and types; raises InvalidInput where a column is missing."""
    held = frame.schema
    missing = [name for name, _ in schema if name not in held]
    if missing:
        raise InvalidInput(
            f"The rows lack the columns {', '.join(missing)}; they have {', '.join(frame.columns) or 'none'}.",
            hint="Rows are kept with all columns of their schema.",
        )
    wanted = dtypes(schema)
    frame = frame.select(list(wanted))
    wrong = [name for name, kind in wanted.items() if held[name] != kind]
    return frame.with_columns(pl.col(name).cast(wanted[name]) for name in wrong) if wrong else frame


def keeps(parts: Sequence[Part], schema: Schema) -> bool:
    """Say whether the values that the parts hold can have the types of the schema."""
    return not any(_misfits(part, dict(schema)) for part in parts)


def inherited(parts: Sequence[Part], schema: Schema) -> tuple[Part, ...]:
    """Return the parts as a version of this schema has them: a column that it lacks is forgotten, so that it is empty
    should it ever come back. Raises InvalidInput where kept values cannot become the new type."""
    return tuple(_inherit(part, dict(schema)) for part in parts)


def _inherit(part: Part, wanted: Mapping[str, str]) -> Part:
    for name, word in _misfits(part, wanted):
        raise InvalidInput(
            f"Column {name} is {word} in the rows that are kept and {wanted[name]} in the new ones.",
            hint="Give the column a new name, keep its type, or replace the whole table.",
        )
    held = tuple((name, word) for name, word in part.schema if name in wanted)
    return part if held == part.schema else replace(part, schema=held)


def _misfits(part: Part, wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    def fits(was: str, now: str) -> bool:
        return now in (was, "string") or (was, now) in _WIDER

    return [(name, word) for name, word in part.schema if not fits(word, wanted.get(name, word))]


def shaped(
    frame: pl.LazyFrame, held: Iterable[tuple[str, str]], wanted: Mapping[str, str], keep: Sequence[str] = ()
) -> pl.LazyFrame:
    """Return the wanted columns, in that order, of a frame that has those `held`: null where missing, cast to type.
    Columns to `keep` stay in front as they are."""
    has = dict(held)
    news = [pl.lit(None, dtype(word)).alias(name) for name, word in wanted.items() if name not in has]
    casts = [pl.col(name).cast(dtype(word)) for name, word in wanted.items() if has.get(name, word) != word]
    return (frame.with_columns(*news, *casts) if news or casts else frame).select(*keep, *wanted)
