"""Steps that decide which rows stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl
from .form import RecipeStep, Source, called, listed, names_of, need
from .sql import expression, reads

_ROW = "__row"


@dataclass(frozen=True, slots=True)
class Filter(RecipeStep):
    """Keep the rows where a SQL condition is true; where it is unknown (null) the row goes, as in SQL."""

    kind: ClassVar[str] = "filter"
    where: str

    def __post_init__(self) -> None:
        expression(self.where)

    def needs(self) -> tuple[str, ...]:
        """Return the columns of the condition."""
        return reads(self.where)

    def check(self, left: pl.Schema, right: pl.Schema | None) -> None:  # noqa: ARG002 - one table
        """Also find a condition that is not true or false."""
        need(left, self.needs())
        found = left.to_frame(eager=False).select(expression(self.where)).collect_schema().dtypes()[0]
        if found != pl.Boolean:
            raise InvalidInput(f"The condition {self.where!r} is {found}, not true or false.")

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:  # noqa: ARG002 - one table
        """Filter."""
        return left.filter(expression(self.where))

    def explain(self) -> str:
        """Say it."""
        return f"Keep the rows where {self.where}."


@dataclass(frozen=True, slots=True)
class OnlyValues(RecipeStep):
    """Keep the rows whose column holds one of these values; missing is none of them."""

    kind: ClassVar[str] = "only_values"
    column: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values or not all(isinstance(one, str | int | float | bool) for one in self.values):
            raise InvalidInput(f"only_values({self.column!r}) needs strings, numbers or booleans.")

    def needs(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.column,)

    def check(self, left: pl.Schema, right: pl.Schema | None) -> None:  # noqa: ARG002 - one table
        """Also find values of another type."""
        need(left, self.needs())
        kinds = {str: pl.String, bool: pl.Boolean}
        for value in self.values:
            wanted = kinds.get(type(value))
            fits = left[self.column] == wanted if wanted else left[self.column].is_numeric()
            if not fits:
                raise InvalidInput(f"{self.column!r} is {left[self.column]} and cannot be {value!r}.")

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:  # noqa: ARG002 - one table
        """Filter."""
        return left.filter(pl.col(self.column).is_in(list(self.values)))

    def explain(self) -> str:
        """Say it."""
        return f"Keep the rows where {self.column} is {' or '.join(map(repr, self.values))}."


@dataclass(frozen=True, slots=True)
class DropNull(RecipeStep):
    """Drop the rows that lack a value in one of the columns (in any column, if none is named). NaN is a value."""

    kind: ClassVar[str] = "drop_null"
    columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", names_of(self.columns))

    def needs(self) -> tuple[str, ...]:
        """Return the columns."""
        return tuple(self.columns)

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:  # noqa: ARG002 - one table
        """Drop."""
        return left.drop_nulls(list(self.columns) or None)

    def explain(self) -> str:
        """Say it."""
        return f"Drop the rows without a value in {listed(self.columns) if self.columns else 'any column'}."


@dataclass(frozen=True, slots=True)
class Deduplicate(RecipeStep):
    """Keep one row for each key: the first or last as the rows stand, or by `order`. No key: of wholly equal rows.

    Of equals in `order`, the first or last as they stand; a missing `order` comes before all others. Missing parts of a
    key are equal to each other. The rows that stay keep their places.
    """

    kind: ClassVar[str] = "deduplicate"
    by: Sequence[str] = ()
    keep: Literal["first", "last"] = "first"
    order: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", names_of(self.by))
        if self.keep not in ("first", "last"):
            raise InvalidInput(f"keep is {self.keep!r}; expected first or last.")
        if self.order and not self.by:
            raise InvalidInput("deduplicate with an order needs the key that it is for.", hint="Give by=.")

    def needs(self) -> tuple[str, ...]:
        """Return key and order."""
        return (*self.by, *([self.order] if self.order else []))

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:  # noqa: ARG002 - one table
        """Sort for the choice only, and back."""
        key = list(self.by) or None
        if not self.order:
            return left.unique(key, keep=self.keep, maintain_order=True)
        in_order = left.with_row_index(_ROW).sort(self.order, nulls_last=False, maintain_order=True)
        return in_order.unique(key, keep=self.keep, maintain_order=True).sort(_ROW).drop(_ROW)

    def explain(self) -> str:
        """Say it."""
        what = f"rows with the same {listed(self.by)}" if self.by else "wholly equal rows"
        return f"Of {what}, keep the {self.keep}{f' by {self.order}' if self.order else ''}."


@dataclass(frozen=True, slots=True)
class Union(RecipeStep):
    """Put the rows of another table below; it must have the same columns of the same types, in any order."""

    kind: ClassVar[str] = "union"
    table: Source

    @property
    def other(self) -> Source:
        """Return the table."""
        return self.table

    def check(self, left: pl.Schema, right: pl.Schema | None) -> None:
        """Compare the columns."""
        assert right is not None
        if dict(left) != dict(right):
            apart = sorted(name for name in {*left, *right} if left.get(name) != right.get(name))
            found = ", ".join(f"{name} is {left.get(name, 'absent')} and {right.get(name, 'absent')}" for name in apart)
            raise InvalidInput(f"The tables differ: {found}.", hint="Select, rename or cast before the union.")

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:
        """Concatenate."""
        assert right is not None
        return pl.concat([left, right.select(left.collect_schema().names())])

    def explain(self) -> str:
        """Say it."""
        return f"Put the rows of {called(self.table)} below."
