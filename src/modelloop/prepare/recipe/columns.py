"""Steps that change columns and leave the rows as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl
from .form import RecipeStep, listed, names_of, need
from .sql import expression, reads

TYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "uint8": pl.UInt8(),
    "uint16": pl.UInt16(),
    "uint32": pl.UInt32(),
    "uint64": pl.UInt64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us", "UTC"),
}
"""What a column can be cast to; datetime is in UTC, in microseconds."""


@dataclass(frozen=True, slots=True)
class Select(RecipeStep):
    """Keep these columns, in this order."""

    kind: ClassVar[str] = "select"
    columns: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", names_of(self.columns))
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise InvalidInput(f"select needs columns, each once; found {listed(self.columns)}.")

    def needs(self) -> tuple[str, ...]:
        """Return the columns."""
        return tuple(self.columns)

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:  # noqa: ARG002 - one table
        """Select."""
        return left.select(self.columns)

    def explain(self) -> str:
        """Say it."""
        return f"Keep the columns {listed(self.columns)}."


@dataclass(frozen=True, slots=True)
class Rename(RecipeStep):
    """Give columns other names: {old: new}."""

    kind: ClassVar[str] = "rename"
    names: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", {str(old): str(new) for old, new in self.names.items()})

    def needs(self) -> tuple[str, ...]:
        """Return the old names."""
        return tuple(self.names)

    def check(self, left: pl.Schema, right: pl.Schema | None) -> None:  # noqa: ARG002 - one table
        """Also find names that would stand twice."""
        need(left, self.names)
        after = [self.names.get(name, name) for name in left]
        twice = sorted({name for name in after if after.count(name) > 1})
        if twice:
            raise InvalidInput(f"Two columns would be called {twice[0]!r}.")

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:  # noqa: ARG002 - one table
        """Rename."""
        return left.rename(dict(self.names))

    def explain(self) -> str:
        """Say it."""
        return f"Call {listed(f'{old} {new}' for old, new in self.names.items())}."


@dataclass(frozen=True, slots=True)
class Derive(RecipeStep):
    """Add a column, or replace one, by a SQL expression over the columns of the same row."""

    kind: ClassVar[str] = "derive"
    name: str
    sql: str

    def __post_init__(self) -> None:
        expression(self.sql)

    def needs(self) -> tuple[str, ...]:
        """Return the columns that the expression reads."""
        return reads(self.sql)

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:  # noqa: ARG002 - one table
        """Calculate."""
        return left.with_columns(expression(self.sql).alias(self.name))

    def explain(self) -> str:
        """Say it."""
        return f"{self.name} is {self.sql}."


@dataclass(frozen=True, slots=True)
class Cast(RecipeStep):
    """Change the types of columns: {column: type}. What cannot be stops the recipe, or with strict=False is null.

    Types: string, int8 to int64, uint8 to uint64, float32, float64, bool, date, datetime (ISO text is read as such).
    """

    kind: ClassVar[str] = "cast"
    types: Mapping[str, str] = field(hash=False)
    strict: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", dict(self.types))
        unknown = [kind for kind in self.types.values() if kind not in TYPES]
        if unknown:
            raise InvalidInput(f"There is no type {unknown[0]!r}.", hint=f"There are: {', '.join(TYPES)}.")

    def needs(self) -> tuple[str, ...]:
        """Return the columns."""
        return tuple(self.types)

    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:  # noqa: ARG002 - one table
        """Cast; text to date and datetime is parsed."""
        schema = left.collect_schema()
        return left.with_columns(self._cast(name, schema[name], TYPES[kind]) for name, kind in self.types.items())

    def _cast(self, name: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
        column = pl.col(name)
        if found == pl.String and wanted == pl.Date():
            return column.str.to_date("%Y-%m-%d", strict=self.strict)
        if found == pl.String and isinstance(wanted, pl.Datetime):
            return column.str.to_datetime(time_unit="us", time_zone="UTC", strict=self.strict)
        if isinstance(found, pl.Datetime) and isinstance(wanted, pl.Datetime) and found.time_zone is None:
            return column.dt.cast_time_unit("us").dt.replace_time_zone("UTC")
        return column.cast(wanted, strict=self.strict)

    def explain(self) -> str:
        """Say it."""
        otherwise = "" if self.strict else "; what cannot be is missing"
        return f"Read {listed(f'{name} as {kind}' for name, kind in self.types.items())}{otherwise}."
