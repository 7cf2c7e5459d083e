"""What two lines of versions changed since they parted, and both taken together. Pure; rows go by their key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...ground.core.later import polars as pl
from ..records import DatasetVersion
from ..settings import ColumnSettings, ColumnType, ContractSettings, Personal

WHAT = "__what"
"""Column of `compare`: added, removed or changed."""
OLD, NEW = "__old:", "__new:"
"""Before the names of columns in `compare`; no column of a dataset begins with two underscores."""
_GONE = "__gone"
_NAMED = 10
"""Conflicting keys that are named."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one line did: rows as they are now, and keys of rows that are gone."""

    rows: pl.DataFrame
    gone: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Merged:
    """What is still to be done to our side so that it has theirs too; nothing, where there are conflicts."""

    rows: pl.DataFrame
    gone: pl.DataFrame
    conflicts: int = 0
    keys: tuple[Mapping[str, Any], ...] = ()
    """Some of the rows that both changed, each differently."""


def compare(old: pl.LazyFrame, new: pl.LazyFrame, key: Sequence[str]) -> pl.DataFrame:
    """Return each row that differs, with what became of it and both its states. A key names one row in each frame."""
    columns = old.collect_schema().names()
    before = old.select(pl.all().name.prefix(OLD), pl.lit(value=True).alias("__was"))
    after = new.select(pl.col(columns).name.prefix(NEW), pl.lit(value=True).alias("__is"))
    joined = before.join(
        after,
        left_on=[OLD + name for name in key],
        right_on=[NEW + name for name in key],
        how="full",
        nulls_equal=True,
        coalesce=False,
        maintain_order="left_right",  # the same merge again must write the same bytes
    )
    rest = [name for name in columns if name not in key]
    differs = [pl.col(OLD + name).ne_missing(pl.col(NEW + name)) for name in rest]
    what = (
        pl.when(pl.col("__was").is_null())
        .then(pl.lit("added"))
        .when(pl.col("__is").is_null())
        .then(pl.lit("removed"))
        .when(pl.any_horizontal(differs) if differs else pl.lit(value=False))
        .then(pl.lit("changed"))
    )
    return joined.with_columns(what.alias(WHAT)).filter(pl.col(WHAT).is_not_null()).drop("__was", "__is").collect()


def side(old: pl.LazyFrame, new: pl.LazyFrame, key: Sequence[str]) -> Side:
    """Return what a line did between two states."""
    found = compare(old, new, key)
    gone = found.filter(pl.col(WHAT) == "removed")
    names = old.collect_schema().names()
    return Side(
        found.filter(pl.col(WHAT) != "removed").select(pl.col(NEW + name).alias(name) for name in names),
        gone.select(pl.col(OLD + name).alias(name) for name in key),
    )


def merge(ours: Side, theirs: Side, key: Sequence[str]) -> Merged:
    """Return what theirs adds to ours. A row that both changed is a conflict unless both made it the same."""
    ours_all, theirs_all = _all(ours), _all(theirs)
    rest = [name for name in theirs_all.columns if name not in key]
    ours_all = ours_all.select(*key, *(pl.col(name).alias(OLD + name) for name in rest))
    both = theirs_all.join(ours_all, on=list(key), how="inner", nulls_equal=True, maintain_order="left")
    clash = both.filter(pl.any_horizontal(pl.col(name).ne_missing(pl.col(OLD + name)) for name in rest))
    if len(clash):
        named = clash.select(key).head(_NAMED).to_dicts()
        return Merged(theirs.rows.clear(), theirs.gone.clear(), len(clash), tuple(named))
    fresh = theirs_all.join(ours_all, on=list(key), how="anti", nulls_equal=True, maintain_order="left")
    return Merged(
        fresh.filter(~pl.col(_GONE)).drop(_GONE).select(theirs.rows.columns),
        fresh.filter(pl.col(_GONE)).select(key),
    )


def named(keys: pl.DataFrame) -> pl.Expr:
    """Return the condition that a row's key is one of the keys."""
    if len(keys.columns) == 1:
        return pl.col(keys.columns[0]).is_in(keys.to_series().implode())
    return pl.struct(keys.columns).is_in(keys.to_struct().implode())


def ancestor(versions: Mapping[int, DatasetVersion], one: int, other: int) -> int | None:
    """Return the newest version that both go back to."""
    return max(line(versions, one) & line(versions, other), default=None)


def for_kept_rows(contract: ContractSettings) -> ContractSettings:
    """Return the contract as it applies to rows that were taken in: what was masked or hashed stays as it is, and
    items are their hashes. What was checked before that (a pattern of an address) can no longer be checked."""
    return replace(contract, columns={name: _kept(column) for name, column in contract.columns.items()})


def _kept(column: ColumnSettings) -> ColumnSettings:
    hidden = column.personal in (Personal.MASK, Personal.HASH)
    if hidden or column.type is ColumnType.BINARY:
        return ColumnSettings(
            ColumnType.STRING,
            nullable=column.nullable,
            max_null_rate=column.max_null_rate,
            unique=column.unique and column.personal is not Personal.MASK,
            severity=column.severity,
        )
    return replace(column, personal=None if column.personal is None else Personal.ALLOW)


def line(versions: Mapping[int, DatasetVersion], number: int) -> set[int]:
    """Return a version and all that it came from, merged ones included."""
    seen: set[int] = set()
    ahead = [number]
    while ahead:
        at = ahead.pop()
        if at not in seen and at in versions:
            seen.add(at)
            ahead += [before for before in (versions[at].parent, versions[at].merged) if before is not None]
    return seen


def _all(one: Side) -> pl.DataFrame:
    rows = one.rows.with_columns(pl.lit(value=False).alias(_GONE))
    return pl.concat([rows, one.gone.with_columns(pl.lit(value=True).alias(_GONE))], how="diagonal")
