"""Which kept rows have the keys of arriving rows, and which of them differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ....ground.core.errors import InvalidInput
from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Part, Schema
from .scanning import ROW, among, live, physical
from .store import ROW_GROUP, Rows, Store

if TYPE_CHECKING:
    import numpy.typing as npt

_ARRIVING = "\x00arriving"
Mask: TypeAlias = "npt.NDArray[np.bool_]"
_DENSE = 16
"""Where at least one of so many rows is wanted, all are read and the others left out."""
_FEW = 8
"""With fewer keys than a row in so many, others are left out before rows are joined: half the time."""
_MOSTLY = 0.5
"""With more of the rows undecided all are compared: leaving a few out is copying the others."""
_SAMPLE = 256
"""So many rows tell well enough which columns changed."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Rows of a part, ascending, and the number of the arriving row that each has the key of."""

    rows: Rows
    arriving: Rows

    def where(self, mask: Mask) -> Match:
        """Return those of the mask."""
        return self if mask.all() else Match(self.rows[mask], self.arriving[mask])

    def first(self, count: int) -> Match:
        """Return the first so many."""
        return Match(self.rows[:count], self.arriving[:count])


@dataclass(frozen=True, slots=True, eq=False)
class Arriving:
    """Rows that arrive, and what names them."""

    frame: pl.DataFrame
    schema: Schema
    key: Sequence[str]

    @property
    def others(self) -> Schema:
        """Return the columns that are not of the key."""
        return tuple(one for one in self.schema if one[0] not in self.key)

    def check(self) -> None:
        """Raise InvalidInput unless the key names each row once."""
        names = [name for name, _ in self.schema]
        if not self.key or any(name not in names for name in self.key):
            raise InvalidInput(f"The key {', '.join(self.key) or '()'} is not of the columns {', '.join(names)}.")
        rows = self.frame.height
        different = self.frame.select(self.key).n_unique() if rows else 0
        if different != rows:
            raise InvalidInput(
                f"{rows - different} of {rows} rows repeat a key ({', '.join(self.key)}).",
                hint="Rows with a repeated key are set aside before rows are kept.",
            )


def match(part: Part, arriving: Arriving, store: Store) -> Match:
    """Return the rows of the part that count and whose key arrives. Reads the key's columns only, and of a file only
    the row groups that can have such keys."""
    key = list(arriving.key)
    keys = arriving.frame.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias(_ARRIVING), *key)
    rows = live(physical(part, key, arriving.schema, store), part, store)
    first = keys[key[0]]
    if not first.null_count() and not first.dtype.is_float():
        low, high = pl.lit(first.min(), first.dtype), pl.lit(first.max(), first.dtype)  # a bare text names a column
        rows = rows.filter(pl.col(key[0]).is_between(low, high))
        if len(first) * _FEW < part.rows:
            rows = rows.filter(pl.col(key[0]).is_in(first.implode()))
    found = rows.join(keys.lazy(), on=key, how="inner", nulls_equal=True).select(ROW, _ARRIVING).sort(ROW)
    both = found.collect()
    return Match(both[ROW].to_numpy(), both[_ARRIVING].to_numpy())


def aligned(part: Part, arriving: Arriving, start: int, store: Store) -> Match | None:
    """Return the match of the part's rows with as many arriving ones from `start` on, if they have just these keys."""
    key = list(arriving.key)
    expected = arriving.frame.select(key).slice(start, part.live)
    if expected.height < part.live:
        return None
    held = live(physical(part, key, arriving.schema, store), part, store).collect()
    if not held.select(key).equals(expected):
        return None
    return Match(held[ROW].to_numpy(), np.arange(start, start + part.live, dtype=np.uint32))


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """What differs between matched rows."""

    arriving: Mask
    """The arriving rows that are not kept as they are: new ones, and others."""
    kept: tuple[Mask, ...]
    """Per part, which of its matches differ from the row that arrives."""
    added: int
    """Arriving rows that no kept row has the key of."""


def outdated(parts: Sequence[Part], found: Sequence[Match], arriving: Arriving, store: Store) -> Differences:
    """Compare matched rows. Where several kept rows have one key, all of them differ: one is to be left."""
    times = np.zeros(arriving.frame.height, np.uint32)
    for one in found:
        times += np.bincount(one.arriving, minlength=len(times)).astype(np.uint32)
    fresh = times == 0
    added = int(fresh.sum())
    kept = []
    for part, one in zip(parts, found, strict=True):
        differs = times[one.arriving] > 1
        differs[~differs] = _differs(part, one.where(~differs), arriving.frame, arriving.others, store)
        fresh[one.arriving[differs]] = True
        kept.append(differs)
    return Differences(fresh, tuple(kept), added)


def _differs(part: Part, found: Match, frame: pl.DataFrame, schema: Schema, store: Store) -> Mask:
    """Say for each match whether its rows differ in any column.

    A difference in one column is enough. So of a large part one row group is looked at, the columns that differ there
    are read first, and the others only for rows that these leave undecided.
    """
    differs = np.zeros(len(found.rows), bool)
    for columns in _turns(part, found, frame, schema, store):
        undecided = ~differs
        if not columns or not undecided.any():
            continue
        if undecided.mean() > _MOSTLY:
            undecided[:] = True
        compared = compare(part, found.where(undecided), frame, columns, store)
        differs[undecided] |= compared.select(pl.any_horizontal(pl.all())).to_series().to_numpy()
    return differs


def _turns(
    part: Part, found: Match, frame: pl.DataFrame, schema: Schema, store: Store
) -> Iterator[tuple[tuple[str, str], ...]]:
    if part.rows < 2 * ROW_GROUP or not len(found.rows):
        yield schema
        return
    start = int(found.rows[0]) // ROW_GROUP * ROW_GROUP
    sample = found.where(found.rows < start + ROW_GROUP).first(_SAMPLE)
    seen = compare(part, sample, frame, schema, store, within=(start, ROW_GROUP))
    first = {column.name for column in seen.get_columns() if column.any()}
    yield tuple(one for one in schema if one[0] in first)
    yield tuple(one for one in schema if one[0] not in first)


def compare(
    part: Part,
    found: Match,
    frame: pl.DataFrame,
    schema: Schema,
    store: Store,
    *,
    within: tuple[int, int] | None = None,
) -> pl.DataFrame:
    """Return for each match and column whether the values differ; `within` (first, count) are all rows it is about."""
    names = [name for name, _ in schema]
    rows = physical(part, names, schema, store)
    if within is not None:
        rows = rows.slice(*within)
    if len(found.rows) * _DENSE < part.rows:
        old = rows.filter(among(found.rows)).select(names).collect()
    else:
        old = _taken(rows.select(names).collect(), found.rows)
    new = _taken(frame.select(names), found.arriving)
    return pl.DataFrame([old[name].ne_missing(new[name]) for name in names])


def _taken(frame: pl.DataFrame, rows: Rows) -> pl.DataFrame:
    """Return the rows; without copying where they stand together."""
    first, last = int(rows[0]), int(rows[-1])
    together = last - first + 1 == len(rows) and bool((np.diff(rows.astype(np.int64)) == 1).all())
    return frame.slice(first, len(rows)) if together else frame[rows]
