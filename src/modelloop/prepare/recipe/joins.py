"""Steps that bring in columns of another table: by key, or by what was known at a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl
from ..pointintime import Aggregate, Past, check, latest, window
from .form import RecipeStep, Source, called, listed, names_of, need

Cardinality = Literal["many_to_one", "one_to_one", "one_to_many", "many_to_many"]
_CARDINALITIES = ("many_to_one", "one_to_one", "one_to_many", "many_to_many")
_ROW, _FOUND = "__row", "__found"


@dataclass(frozen=True, slots=True)
class Join(RecipeStep):
    """Bring in the columns of `table` where the keys are equal; a missing key is equal to nothing.

    `cardinality` says how many rows of each side may share a key, and is checked when the recipe runs: with many_to_one
    (the default) the right key must be unique, so no row is doubled unseen. `how`: left (rows without a match stay),
    inner, semi (keep rows that match) or anti (those that do not). `on` names equal columns, or {left: right}. A right
    column whose name is taken gets `suffix`. Rows keep their order.
    """

    kind: ClassVar[str] = "join"
    table: Source
    on: Sequence[str] | Mapping[str, str] = field(hash=False)
    how: Literal["left", "inner", "semi", "anti"] = "left"
    cardinality: Cardinality = "many_to_one"
    suffix: str = "_right"

    def __post_init__(self) -> None:
        pairs = dict(self.on) if isinstance(self.on, Mapping) else {name: name for name in names_of(self.on)}
        object.__setattr__(self, "on", pairs)
        if not pairs:
            raise InvalidInput("A join needs columns to join on.")
        if self.how not in ("left", "inner", "semi", "anti"):
            raise InvalidInput(f"how is {self.how!r}; expected left, inner, semi or anti.")
        if self.cardinality not in _CARDINALITIES:
            raise InvalidInput(f"cardinality is {self.cardinality!r}.", hint=f"There are: {', '.join(_CARDINALITIES)}.")

    @property
    def pairs(self) -> dict[str, str]:
        """Return left key by right key."""
        return dict(self.on)  # type: ignore[arg-type]

    @property
    def other(self) -> Source:
        """Return the table."""
        return self.table

    def needs(self) -> tuple[str, ...]:
        """Return the left keys."""
        return tuple(self.pairs)

    def check(self, left: pl.Schema, right: pl.Schema | None) -> None:
        """Compare the keys' types, and see that no name stands twice."""
        assert right is not None
        need(left, self.pairs)
        need(right, self.pairs.values(), f"table {called(self.table)!r}")
        for one, other in self.pairs.items():
            if left[one] != right[other]:
                raise InvalidInput(
                    f"The key {one!r} is {left[one]} on the left and {other!r} is {right[other]} on the right.",
                    hint="Cast one of them first.",
                )
        brought = [name for name in right if name not in self.pairs.values()] if self.how in ("left", "inner") else []
        taken = [name for name in brought if name in left and f"{name}{self.suffix}" in (*left, *right)]
        if taken or (not self.suffix and any(name in left for name in brought)):
            raise InvalidInput(f"Columns of {called(self.table)} have names that are taken.", hint="Give a suffix=.")

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:
        """Join behind guards that see that keys are as unique as was said."""
        assert right is not None
        lefts, rights = list(self.pairs), list(self.pairs.values())
        if self.how in ("left", "inner"):
            if self.cardinality in ("many_to_one", "one_to_one"):
                right = right.map_batches(_unique(rights, f"{called(self.table)} (right)", self.cardinality))
            if self.cardinality in ("one_to_many", "one_to_one"):
                left = left.map_batches(_unique(lefts, "the table (left)", self.cardinality))
        return left.join(
            right, left_on=lefts, right_on=rights, how=self.how, suffix=self.suffix,
            maintain_order="left_right" if self.how in ("left", "inner") else "left",
        )  # fmt: skip

    def unmatched(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:
        """Return the left rows without a match."""
        assert right is not None
        return left.join(right, left_on=list(self.pairs), right_on=list(self.pairs.values()), how="anti")

    def explain(self) -> str:
        """Say it."""
        keys = listed(one if one == other else f"{one} = {other}" for one, other in self.pairs.items())
        words = {
            "left": f"Bring in the columns of {called(self.table)} by {keys}; rows without a match stay",
            "inner": f"Bring in the columns of {called(self.table)} by {keys}; rows without a match go",
            "semi": f"Keep the rows whose {keys} is in {called(self.table)}",
            "anti": f"Keep the rows whose {keys} is not in {called(self.table)}",
        }
        checked = f" ({self.cardinality.replace('_', ' ')}, checked)" if self.how in ("left", "inner") else ""
        return f"{words[self.how]}{checked}."


@dataclass(frozen=True, slots=True)
class _InTime(RecipeStep):
    """What both steps that look into the past have in common."""

    table: Source
    past: Past

    def __post_init__(self) -> None:
        if isinstance(self.past, Mapping):
            object.__setattr__(self, "past", _past(self.past))

    @property
    def other(self) -> Source:
        """Return the table."""
        return self.table

    def needs(self) -> tuple[str, ...]:
        """Return the moment and the groups."""
        return (self.past.at, *self.past.by)

    def _when(self) -> str:
        past = self.past
        groups = f" with the same {listed(past.by)}" if past.by else ""
        begin = "ever" if past.since is None else f"not earlier than {_length(past.since)} before {past.at}"
        end = (
            f"{'before' if past.strict else 'until'} {past.at}"
            if not past.until
            else f"until {_length(past.until)} before"
        )
        return f"of {called(self.table)}{groups}, known ({past.known_at}) {begin} and {end}"


@dataclass(frozen=True, slots=True)
class AsOf(_InTime):
    """Bring in `values` of the row of `table` that became known last before the row's moment (`pointintime.latest`)."""

    kind: ClassVar[str] = "as_of"
    values: Sequence[str] = ()

    def __post_init__(self) -> None:
        _InTime.__post_init__(self)
        object.__setattr__(self, "values", names_of(self.values))
        if not self.values:
            raise InvalidInput("as_of needs the values to bring in.", hint="Give values=['price'].")

    def check(self, left: pl.Schema, right: pl.Schema | None) -> None:
        """Check columns, types, time zones and names."""
        assert right is not None
        check(left, right, self.past, tuple(self.values))
        taken = [name for name in self.values if name in left]
        if taken:
            raise InvalidInput(f"There is a column {taken[0]!r} already.", hint="Rename it before joining.")

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:
        """Join."""
        assert right is not None
        return latest(left, right, self.past, values=self.values)

    def unmatched(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:
        """Return the rows that nothing was known for."""
        assert right is not None
        return window(left, right, self.past, {_FOUND: Aggregate("count")}).filter(pl.col(_FOUND) == 0)

    def explain(self) -> str:
        """Say it."""
        return f"Bring in {listed(self.values)} of the last row {self._when()}."


@dataclass(frozen=True, slots=True)
class WindowAggregates(_InTime):
    """Add sums, means, counts, minima, maxima, deviations or last values of the past rows of `table`, by group.

    `past` says which rows: give strict=True and until=0 for those strictly before the row's moment.
    """

    kind: ClassVar[str] = "window_aggregates"
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _InTime.__post_init__(self)
        made = {name: _aggregate(one) for name, one in self.aggregates.items()}
        object.__setattr__(self, "aggregates", made)
        if not made:
            raise InvalidInput("window_aggregates needs at least one aggregate.")

    def check(self, left: pl.Schema, right: pl.Schema | None) -> None:
        """Check columns, types, time zones and names."""
        assert right is not None
        columns = [one.column for one in self.aggregates.values() if one.column]
        check(left, right, self.past, columns)
        for name in columns:
            if not (right[name].is_numeric() or right[name] == pl.Boolean):
                raise InvalidInput(f"{name!r} of {called(self.table)} is {right[name]}, not a number.")
        taken = [name for name in self.aggregates if name in left]
        if taken:
            raise InvalidInput(f"There is a column {taken[0]!r} already.", hint="Give the aggregate another name.")

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:
        """Aggregate."""
        assert right is not None
        return window(left, right, self.past, self.aggregates)

    def explain(self) -> str:
        """Say it."""
        made = listed(
            f"{name} ({one.how}{' of ' if one.column else ''}{one.column})" for name, one in self.aggregates.items()
        )
        return f"Add {made} of the rows {self._when()}."


def _unique(keys: list[str], table: str, cardinality: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return a guard that hands the table on, or raises InvalidInput if a key stands in it twice."""

    def guard(frame: pl.DataFrame) -> pl.DataFrame:
        known = frame.select(keys).drop_nulls()
        if known.n_unique() < len(known):
            doubled = known.filter(known.is_duplicated())
            raise InvalidInput(
                f"The join was said to be {cardinality}, but {doubled.n_unique()} keys stand more than once in {table}"
                f", such as {doubled.row(0, named=True)}.",
                hint="Deduplicate that table first, or state another cardinality.",
            )
        return frame

    return guard


def _past(body: Mapping[str, Any]) -> Past:
    """Read the JSON form, in which lengths are microseconds."""
    since, until = body.get("since"), body.get("until", 0)
    past = Past(
        str(body["at"]), str(body["known_at"]), tuple(body.get("by", ())), strict=bool(body.get("strict", False))
    )
    length = None if since is None else timedelta(microseconds=int(since))
    return replace(past, since=length, until=timedelta(microseconds=int(until)))


def _aggregate(given: Any) -> Aggregate:
    if isinstance(given, Aggregate):
        return given
    return Aggregate(given["how"], str(given.get("column", ""))) if isinstance(given, Mapping) else Aggregate(*given)


def _length(length: timedelta) -> str:
    seconds = length.total_seconds()
    for name, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {name}"
    return f"{seconds:g} seconds"
