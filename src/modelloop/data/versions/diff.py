"""What is different between two versions: schema, counts, distributions, rows. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ...ground.core.later import polars as pl
from ..records import Schema
from ..settings import ColumnType

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_CATEGORIES = 1000
"""Columns with more different texts than this are not compared text by text."""
_LISTED = 20
_WORDS = ("changed", "added", "removed")


@dataclass(frozen=True, slots=True)
class Retyped:
    """A column that holds something else than before."""

    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ColumnShift:
    """How the values of a column are distributed, before and after. What does not apply is None or empty."""

    column: str
    null_rate: tuple[float, float]
    mean: tuple[float | None, float | None]
    quantiles: tuple[tuple[float, float, float], ...] = ()
    """Level, before, after."""
    new: tuple[str, ...] = ()
    """Texts that only the later version has, up to 20."""
    gone: tuple[str, ...] = ()

    @property
    def moved(self) -> bool:
        """Say whether anything of it differs."""
        same = self.null_rate[0] == self.null_rate[1] and self.mean[0] == self.mean[1]
        return not same or bool(self.new or self.gone) or any(was != now for _, was, now in self.quantiles)


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that differs."""

    what: str
    """added, removed or changed."""
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RowChanges:
    """Rows that differ: by key, or counted as a whole where rows have no key (a changed row is then one of each)."""

    key: tuple[str, ...]
    added: int
    removed: int
    changed: int = 0
    by_column: Mapping[str, int] = field(default_factory=dict)
    """Of the changed rows, in how many each column differs."""
    examples: tuple[RowChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that is different between two versions of a dataset; JSON-ready."""

    dataset: str
    before: int
    after: int
    rows: tuple[int, int]
    added: tuple[str, ...]
    """Columns."""
    removed: tuple[str, ...]
    retyped: tuple[Retyped, ...]
    columns: tuple[ColumnShift, ...]
    """Those that both have with the same type."""
    changes: RowChanges


def schema_changes(before: Schema, after: Schema) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Retyped, ...]]:
    """Return the columns added, removed and retyped."""
    was, now = dict(before), dict(after)
    retyped = tuple(Retyped(name, was[name], kind) for name, kind in after if was.get(name, kind) != kind)
    return tuple(n for n in now if n not in was), tuple(n for n in was if n not in now), retyped


def keyed_changes(
    found: pl.DataFrame, key: Sequence[str], before: pl.LazyFrame, after: pl.LazyFrame, *, examples: int = 10
) -> RowChanges:
    """Return which rows differ, from what `layout.rows_changed` found: the key's columns, `change` and `columns`."""
    counts = dict(found["change"].value_counts().iter_rows())
    by_column = found["columns"].explode().drop_nulls().value_counts(sort=True).iter_rows()
    shown = pl.concat([found.filter(pl.col("change") == what).head(examples) for what in _WORDS]).head(examples)
    keys = shown.select(key).lazy()
    was, now = (_by_key(frame.join(keys, on=list(key), how="semi", nulls_equal=True), key) for frame in (before, after))
    told = []
    for row in shown.iter_rows(named=True):
        this = tuple(row[name] for name in key)
        told.append(RowChange(row["change"], was.get(this), now.get(this)))
    added, removed, changed = (counts.get(what, 0) for what in ("added", "removed", "changed"))
    return RowChanges(tuple(key), added, removed, changed, dict(by_column), tuple(told))


def counted_changes(old: pl.LazyFrame, new: pl.LazyFrame, *, examples: int = 10) -> RowChanges:
    """Return how many rows only one of two tables has, each counted as often as it is there; for rows without key."""
    columns = old.collect_schema().names()
    if not columns:
        return RowChanges((), 0, 0)
    counts = [
        frame.select(columns).group_by(columns).agg(pl.len().cast(pl.Int64).alias(name))
        for frame, name in ((old, "__was"), (new, "__is"))
    ]
    more = pl.col("__is").fill_null(0) - pl.col("__was").fill_null(0)
    joined = counts[0].join(counts[1], on=columns, how="full", coalesce=True, nulls_equal=True)
    found = joined.select(*columns, more.alias("__more")).filter(pl.col("__more") != 0).collect()
    added = found.filter(pl.col("__more") > 0)
    removed = found.filter(pl.col("__more") < 0)
    told = [RowChange("added", None, _plain(row)) for row in added.head(examples).select(columns).to_dicts()]
    told += [RowChange("removed", _plain(row), None) for row in removed.head(examples).select(columns).to_dicts()]
    return RowChanges((), int(added["__more"].sum()), -int(removed["__more"].sum()), examples=tuple(told[:examples]))


def shifts(old: pl.LazyFrame, new: pl.LazyFrame, kinds: Schema) -> tuple[ColumnShift, ...]:
    """Return how each column is distributed in both, in one query each."""
    asked = [expr for name, kind in kinds for expr in _asked(name, kind)]
    if not asked:
        return ()
    was, now = (frame.select(asked).collect().row(0, named=True) for frame in (old, new))
    return tuple(_shift(name, kind, was, now) for name, kind in kinds)


def _asked(name: str, kind: str) -> list[pl.Expr]:
    value = pl.col(name)
    asked = [(value.null_count() / pl.len()).alias(f"nulls:{name}")]
    if kind in (ColumnType.INTEGER, ColumnType.FLOAT):
        finite = value.cast(pl.Float64).fill_nan(None)
        asked += [finite.mean().alias(f"mean:{name}")]
        asked += [finite.quantile(level).alias(f"{level}:{name}") for level in QUANTILES]
    elif kind == ColumnType.BOOLEAN:
        asked.append(value.mean().alias(f"mean:{name}"))
    elif kind == ColumnType.STRING:
        few = value.drop_nulls().unique().sort()
        asked.append(few.head(_CATEGORIES + 1).implode().alias(f"texts:{name}"))
    return asked


def _shift(name: str, kind: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> ColumnShift:
    both = (was, now)
    quantiles: list[tuple[float, float, float]] = []
    if kind in (ColumnType.INTEGER, ColumnType.FLOAT) and all(one[f"0.5:{name}"] is not None for one in both):
        quantiles = [(level, was[f"{level}:{name}"], now[f"{level}:{name}"]) for level in QUANTILES]
    texts = [set(one.get(f"texts:{name}") or ()) for one in both]
    few = all(len(one) <= _CATEGORIES for one in texts)
    return ColumnShift(
        name,
        (_number(was[f"nulls:{name}"]) or 0.0, _number(now[f"nulls:{name}"]) or 0.0),
        (_number(was.get(f"mean:{name}")), _number(now.get(f"mean:{name}"))),
        tuple(quantiles),
        tuple(sorted(texts[1] - texts[0])[:_LISTED]) if few else (),
        tuple(sorted(texts[0] - texts[1])[:_LISTED]) if few else (),
    )


def _by_key(frame: pl.LazyFrame, key: Sequence[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[name] for name in key): _plain(row) for row in frame.collect().iter_rows(named=True)}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, date) else _number(value) if isinstance(value, float) else value
        for name, value in row.items()
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
