"""Joins that use nothing from the future: what was known `until` before a row's own moment, and not a second more.

A right row counts for a left row when `known_at` lies in (at - since, at - until]: the moment a fact became *known* (a
flight has left, a payment has cleared) decides, not the moment it was planned for. With since=4h and until=2h, a flight
scheduled at 12:00 sees what became known after 8:00 and up to and including 10:00. With `strict`, the window is
[at - since, at - until): what became known at that very moment does not count.

Frames may be lazy; then nothing is computed before the result is collected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeVar, get_args

from ..ground.core.errors import InvalidInput
from ..ground.core.later import polars as pl
from .windows import result, running, sliding

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
How = Literal["sum", "mean", "count", "min", "max", "std", "last"]
HOWS: tuple[str, ...] = get_args(How)
_ROW, _UPPER, _LOWER, _AT, _KNOWN = "__row", "__upper", "__lower", "__at", "__known"
_NEVER = -(2**62)
"""Before every moment: a row without one has no past."""


@dataclass(frozen=True, slots=True)
class Past:
    """The part of the past that may be used, seen from each left row."""

    at: str
    """Left column: the moment that the row's answer is about."""
    known_at: str
    """Right column: when the fact became known. Rows without it were never known and never count."""
    by: tuple[str, ...] = ()
    """Columns that must be equal on both sides. A missing value is equal to nothing."""
    since: timedelta | None = None
    """How long before `at` the window begins (that moment excluded); None: ever."""
    until: timedelta = timedelta(0)
    """How long before `at` the window ends (that moment included)."""
    strict: bool = False
    """Turn the ends round: the moment of `until` excluded, that of `since` included. With until=0: strictly before."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", _names(self.by))
        if self.until < timedelta(0):
            raise InvalidInput(f"until is {self.until}: that reaches into the future.", hint="Give 0 or more.")
        if self.since is not None and self.since <= self.until:
            raise InvalidInput(f"The window from {self.since} to {self.until} before is empty.", hint="since > until.")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What is made of a window's rows. Values that are missing or not finite do not count.

    sum: 0 where there are none; count: of rows, or of a column's values if one is named; mean, min, max: null where
    there are none; std (n - 1 below): null below two; last: the value that became known last.
    """

    how: How
    column: str = ""

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise InvalidInput(f"A window cannot be aggregated by {self.how!r}.", hint=f"By {', '.join(HOWS)}.")
        if not self.column and self.how != "count":
            raise InvalidInput(f"{self.how} needs a column.", hint=f"For example Aggregate({self.how!r}, 'delay').")


def window(left: Frame, right: Frame, past: Past, aggregates: Mapping[str, Aggregate]) -> Frame:
    """Return `left` with one column for each aggregate of its rows' windows."""
    if not aggregates:
        raise InvalidInput("No aggregate is asked for.", hint="For example {'delay': Aggregate('mean', 'delay')}.")
    return _attached(left, right, past, aggregates)


def window_mean(left: Frame, right: Frame, past: Past, *, value: str, name: str) -> Frame:
    """Return `left` with `name`: the mean of the window's known values; null where there are none."""
    return window(left, right, past, {name: Aggregate("mean", value)})


def window_sum(left: Frame, right: Frame, past: Past, *, value: str, name: str) -> Frame:
    """Return `left` with `name`: the sum of the window's known values; 0 where there are none."""
    return window(left, right, past, {name: Aggregate("sum", value)})


def window_count(left: Frame, right: Frame, past: Past, *, name: str) -> Frame:
    """Return `left` with `name`: how many right rows the window holds."""
    return window(left, right, past, {name: Aggregate("count")})


def latest(left: Frame, right: Frame, past: Past, *, values: Sequence[str]) -> Frame:
    """Return `left` with the right columns `values` of the last row in the window; null where there is none.

    The as-of join. Of rows that became known at the same moment, the one that stands last in `right` counts.
    """
    taken = [name for name in values if name in left.collect_schema()]
    if taken:
        raise InvalidInput(f"left has a column {taken[0]!r} already.", hint="Rename it before joining.")
    return _attached(left, right, past, tuple(_names(values)))


def check(left: pl.Schema, right: pl.Schema, past: Past, values: Sequence[str]) -> None:
    """Raise InvalidInput unless both tables have the columns and types that are needed."""
    _need(left, (past.at, *past.by), "left")
    _need(right, (*values, past.known_at, *past.by), "right")
    for schema, name in ((left, past.at), (right, past.known_at)):
        if not isinstance(schema[name], pl.Datetime):
            raise InvalidInput(
                f"{name!r} holds {schema[name]}, not times.",
                hint="Parse it first: .str.to_datetime(time_zone='UTC').",
            )
    zones = {getattr(schema[name], "time_zone", None) for schema, name in ((left, past.at), (right, past.known_at))}
    if len(zones) > 1:
        raise InvalidInput(
            f"{past.at!r} and {past.known_at!r} have different time zones: {', '.join(sorted(map(str, zones)))}.",
            hint="Make both aware UTC, for example .dt.replace_time_zone('UTC').",
        )
    for name in past.by:
        if left[name] != right[name]:
            raise InvalidInput(
                f"{name!r} is {left[name]} on the left and {right[name]} on the right.", hint="Cast one."
            )


def _attached(left: Frame, right: Frame, past: Past, wanted: Mapping[str, Aggregate] | tuple[str, ...]) -> Frame:
    """Return `left` with the wanted columns; of a frame in memory, only keys and moments go through the joins."""
    fresh = [wanted] if isinstance(wanted, tuple) else [[one.column] if one.column else [] for one in wanted.values()]
    check(left.collect_schema(), right.collect_schema(), past, [name for names in fresh for name in names])
    if isinstance(left, pl.LazyFrame):
        return _joined(left, right.lazy(), past, wanted)
    narrow = left.lazy().select(list(dict.fromkeys((past.at, *past.by))))
    found = _joined(narrow, right.lazy(), past, wanted).select(list(wanted)).collect()
    return left.with_columns(found)


def _joined(
    left: pl.LazyFrame, right: pl.LazyFrame, past: Past, wanted: Mapping[str, Aggregate] | tuple[str, ...]
) -> pl.LazyFrame:
    """Walk along both tables in the order of time; every left column comes along, and the order of rows comes back."""
    sides = ((left, past.at), (right, past.known_at))
    unit: Literal["ns", "us"] = "us"
    if any(getattr(side.collect_schema()[name], "time_unit", "") == "ns" for side, name in sides):
        unit = "ns"
    known = right.drop_nulls(list(dict.fromkeys([past.known_at, *past.by])))
    facts = known.with_columns(pl.col(past.known_at).dt.timestamp(unit).alias(_AT)).sort(_AT, maintain_order=True)
    bounds = [(_UPPER, past.until)] + ([] if past.since is None else [(_LOWER, past.since)])
    rows = left.with_row_index(_ROW).with_columns(
        (pl.col(past.at).dt.timestamp(unit) - _ticks(before, unit) - int(past.strict)).fill_null(_NEVER).alias(name)
        for name, before in bounds
    )
    rows = rows.sort(_UPPER, maintain_order=True)
    if isinstance(wanted, tuple):
        made = _latest(rows, facts, past, wanted)
    else:
        width = _ticks((past.since or past.until) - past.until, unit)
        made = _aggregated(rows, facts, past, wanted, width)
    names = [name for name in left.collect_schema().names() if name not in wanted]
    return made.sort(_ROW).select(*names, *wanted)


def _latest(rows: pl.LazyFrame, facts: pl.LazyFrame, past: Past, values: tuple[str, ...]) -> pl.LazyFrame:
    facts = facts.select(*past.by, _AT, *(pl.col(name).alias(f"__value_{name}") for name in values))
    found = _asof(rows, facts.with_columns(pl.col(_AT).alias(_KNOWN)), past, _UPPER)
    fresh = pl.lit(value=True) if past.since is None else pl.col(_KNOWN) > pl.col(_LOWER)
    return found.with_columns(pl.when(fresh).then(pl.col(f"__value_{name}")).alias(name) for name in values)


def _aggregated(
    rows: pl.LazyFrame, facts: pl.LazyFrame, past: Past, aggregates: Mapping[str, Aggregate], width: int
) -> pl.LazyFrame:
    """Sums are differences of running sums, at any length of the window; min, max and std slide along the rows."""
    slides = {name: one for name, one in aggregates.items() if past.since and one.how in ("min", "max", "std")}
    sums = {name: one for name, one in aggregates.items() if name not in slides}
    if sums:
        so_far, states = running(facts, list(sums.values()), past.by, _AT)
        so_far = so_far.select(*past.by, _AT, *states)
        rows = _asof(rows, so_far, past, _UPPER)
        if past.since is not None:
            rows = _asof(rows, so_far.rename({name: f"{name}_before" for name in states}), past, _LOWER)
        lower = None if past.since is None else _LOWER
        rows = rows.with_columns(result(one, lower=lower).alias(name) for name, one in sums.items())
    if slides:
        rows = sliding(rows.with_columns(pl.col(_UPPER).alias(_AT)), facts, slides, by=past.by, at=_AT, width=width)
    return rows


def _asof(rows: pl.LazyFrame, facts: pl.LazyFrame, past: Past, bound: str) -> pl.LazyFrame:
    """Return the rows, each with the last fact at or before its bound."""
    return rows.join_asof(
        facts, left_on=bound, right_on=_AT, by=list(past.by) or None, strategy="backward", check_sortedness=False,
        coalesce=False,
    ).drop(_AT)  # fmt: skip


def _ticks(length: timedelta, unit: Literal["ns", "us"]) -> int:
    micros = length // timedelta(microseconds=1)
    return micros * 1000 if unit == "ns" else micros


def _names(by: Sequence[str]) -> tuple[str, ...]:
    """Return a tuple, though somebody wrote by="origin"."""
    return (by,) if isinstance(by, str) else tuple(by)


def _need(schema: pl.Schema, names: Sequence[str], side: str) -> None:
    absent = [name for name in names if name not in schema]
    if absent:
        raise InvalidInput(
            f"The {side} table has no column {absent[0]!r}.", hint=f"It has: {', '.join(schema.names())}."
        )
