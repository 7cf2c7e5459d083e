"""Rows that came twice, exactly or but for spelling and the key. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Finding
from ..profile import ColumnProfile
from .looked import EXAMPLES, Looked

if TYPE_CHECKING:
    import numpy.typing as npt

_ROW = "__row"
_BY_CHANCE = 0.01
"""Pairs of rows that may agree by chance, for each row: with more, equal rows are no sign of anything."""
Rows: TypeAlias = "npt.NDArray[np.int64]"


def duplicates(looked: Looked) -> Iterator[Finding]:
    """Yield rows that repeat another in every column."""
    rows = len(looked.frame)
    if any(column.distinct == rows for column in looked.now.columns if column.numbers):
        return  # a column without repeats: no row can repeat
    groups = _groups(looked.frame, looked.frame.columns)
    again = groups.filter(~pl.col("first"))
    if not len(again):
        return
    message = f"{len(again):,} of {rows:,} rows repeat another row in all {looked.frame.width} columns."
    yield Finding("duplicates", "", len(again), message, _pairs(looked, groups))


def near_duplicates(looked: Looked) -> Iterator[Finding]:
    """Yield rows that are another one but for the key, and for upper case, accents, spaces and punctuation of texts."""
    if not looked.settings.near_duplicates:
        return
    apart = {*looked.contract.key, *(one.name for one in looked.now.columns if one.identity and one.kind == "number")}
    compared = [one for one in looked.columns if one.name not in apart and one.kind != "none"]
    names = [one.name for one in compared]
    texts = [one.name for one in looked.frame.select(names).iter_columns() if one.dtype == pl.String]
    if (
        not names
        or (not texts and len(names) == looked.frame.width)
        or _chance(compared, len(looked.frame)) > _BY_CHANCE
    ):
        return
    plain = looked.frame.select(names).with_columns(_normal(looked, name) for name in texts)
    groups = _groups(plain, names)
    if not len(groups):
        return
    exact = _groups(looked.frame, looked.frame.columns).filter(~pl.col("first")).get_column(_ROW)
    again = groups.filter(~pl.col("first") & ~pl.col(_ROW).is_in(exact.implode()))
    if not len(again):
        return
    without = f" but for {', '.join(sorted(apart))}" if apart else ""
    message = (
        f"{len(again):,} of {len(looked.frame):,} rows are nearly another one: equal{without}, where case, accents, "
        f"spaces and punctuation do not count."
    )
    shown = groups.filter(pl.col("group").is_in(again.get_column("group").implode()))
    yield Finding("near_duplicates", "", len(again), message, _pairs(looked, shown))


def normal(text: pl.Expr) -> pl.Expr:
    """Return texts without case, accents, spaces and punctuation."""
    bare = text.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase().str.replace_all("ß", "ss")
    return bare.str.replace_all(r"[^\p{L}\p{N}]+", "")


def _normal(looked: Looked, name: str) -> pl.Series:
    """Return a text column in its normal form; of few distinct values each is turned once."""
    series = looked.frame.get_column(name)
    counted = looked.counts.get(name)
    if counted is None:
        return series.to_frame().select(normal(pl.col(name))).to_series()
    turned = counted.select("value", normal(pl.col("value")).alias("normal"))
    if turned.get_column("normal").n_unique() == len(turned):
        return series  # no two spellings of one thing
    return series.replace_strict(turned["value"], turned["normal"], default=None, return_dtype=pl.String)


def _groups(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the rows that are equal to another: their number, their group, and whether they are its first.

    Rows are hashed; only where hashes meet are they compared.
    """
    hashes = frame.hash_rows().to_numpy()
    ordered = np.sort(hashes)
    met = ordered[1:][ordered[1:] == ordered[:-1]]
    rows = np.flatnonzero(np.isin(hashes, np.unique(met))) if len(met) else np.empty(0, dtype=np.int64)
    some = frame[rows].with_columns(pl.Series(_ROW, rows, dtype=pl.Int64))
    grouped = some.group_by(names, maintain_order=True).agg(pl.col(_ROW)).filter(pl.col(_ROW).list.len() > 1)
    numbered = grouped.select(_ROW).with_row_index("group").explode(_ROW)
    return numbered.with_columns(pl.int_range(pl.len()).over("group").eq(0).alias("first"))


def _pairs(looked: Looked, groups: pl.DataFrame) -> tuple[str, ...]:
    """Return up to five groups, each by the names of its rows."""
    some = groups.group_by("group", maintain_order=True).agg(pl.col(_ROW)).head(EXAMPLES).get_column(_ROW).to_list()
    more = [", ..." if len(rows) > 4 else "" for rows in some]
    return tuple("; ".join(looked.names(rows[:4])) + end for rows, end in zip(some, more, strict=True))


def _chance(columns: Sequence[ColumnProfile], rows: int) -> float:
    """Return how many other rows one agrees with by chance in all columns, were they independent of each other."""
    alike = sum(math.log(max(_repeat(column, rows), 1e-300)) for column in columns)
    return rows * math.exp(min(0.0, alike))


def _repeat(column: ColumnProfile, rows: int) -> float:
    """Return the chance that two rows have the same value."""
    missing = (column.nulls / rows) ** 2
    if column.categories:
        counts = np.array([count for _, count in column.categories.top], dtype=np.float64)
        return missing + float(((counts / rows) ** 2).sum()) + (column.categories.rest / rows) / max(1, column.distinct)
    if column.numbers:
        on = np.array(column.numbers.on, dtype=np.float64)
        return missing + max(float(((on / rows) ** 2).sum()), 1 / column.distinct)
    return missing + 1 / max(1, column.distinct)
