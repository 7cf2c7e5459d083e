"""Rows that are set aside: which, and how they came. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....ground.core.later import polars as pl
from ...insight.personal import holds
from ...insight.protect import protect
from ...settings import Personal, Severity
from ..cast import Misfits
from .plan import Plan
from .rows import Mark


def no_rows_aside() -> pl.DataFrame:
    """Return what rows set aside look like (their reasons, and their values as JSON), without a row."""
    return pl.DataFrame(schema={"file": pl.String, "row": pl.Int64, "reasons": pl.List(pl.String), "values": pl.String})


def rows_aside(marks: Sequence[Mark]) -> pl.Series:
    """Return the rows that break a check which does more than warn (ascending, each once)."""
    found = [one.rows for one in marks if one.check.severity is not Severity.WARN]
    if not found:
        return pl.Series(dtype=pl.UInt32)
    return pl.concat(found).rechunk().unique().sort().rechunk() if len(found) > 1 else found[0]


def without(frame: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Return the other rows."""
    return frame.filter(kept(len(frame), rows)) if len(rows) else frame


def kept(length: int, rows: pl.Series) -> pl.Series:
    """Return true for each row that is not among these."""
    return pl.repeat(value=True, n=length, dtype=pl.Boolean, eager=True).scatter(rows, values=False)


def as_it_came(
    frame: pl.DataFrame, misfits: Mapping[str, Misfits], rows: pl.Series, todo: Plan, secret: bytes
) -> pl.Series:
    """Return these rows as JSON of text, personal data protected."""
    some = frame[rows].select(pl.all().cast(pl.String))
    odd = [_with_misfits(some.get_column(name), one, rows) for name, one in misfits.items()]
    some = some.with_columns(odd) if odd else some
    hidden = [_protected(some.get_column(name), way, secret) for name, way in todo.protected.items()]
    some = some.with_columns(hidden) if hidden else some
    return some.select(pl.struct(pl.all()).struct.json_encode().alias("values")).to_series()


def _with_misfits(text: pl.Series, out: Misfits, rows: pl.Series) -> pl.Series:
    there = out.rows.is_in(rows.implode())
    return text.scatter(rows.search_sorted(out.rows.filter(there)), out.text.filter(there))


def _protected(text: pl.Series, way: Personal, secret: bytes) -> pl.Series:
    if way is not Personal.REFUSE:
        return protect(text, way, secret)
    found = holds(text).fill_null(value=False)
    return protect(text, Personal.MASK, secret).zip_with(found, text) if found.any() else text
