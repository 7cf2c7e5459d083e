"""What every step of a recipe has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl


class Made(Protocol):
    """A table that a recipe of its own makes (`prepare.recipe.Recipe`)."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        ...

    def explain(self, indent: str = "") -> str:
        """Say in plain words what it does."""
        ...


Source = str | Made
"""A table by its name, or the recipe that makes it."""


class RecipeStep(ABC):
    """One operation on a table: a frozen dataclass whose fields are JSON. It holds no code and no data."""

    __slots__ = ()
    kind: ClassVar[str]
    version: ClassVar[int] = 1

    @property
    def other(self) -> Source | None:
        """Return the second table, if the step reads one."""
        return None

    def check(self, left: pl.Schema, right: pl.Schema | None) -> None:  # noqa: ARG002 - one table
        """Raise InvalidInput unless the tables have the columns and types that are needed."""
        need(left, self.needs())

    def needs(self) -> tuple[str, ...]:
        """Return the columns that the step reads from the table it changes."""
        return ()

    @abstractmethod
    def run(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame:
        """Return the changed table; nothing is computed yet."""

    def unmatched(self, left: pl.LazyFrame, right: pl.LazyFrame | None) -> pl.LazyFrame | None:  # noqa: ARG002 - one table
        """Return the rows of `left` that find nothing in the second table, if that is a question."""
        return None

    @abstractmethod
    def explain(self) -> str:
        """Say in plain words what it does."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        body: dict[str, Any] = {"step": self.kind, "version": self.version}
        for one in fields(self):  # type: ignore[arg-type]
            body[one.name] = plain(getattr(self, one.name))
        return body


def plain(value: Any) -> Any:
    """Return a field as JSON has it; a length of time becomes microseconds."""
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if hasattr(value, "to_json"):
        return value.to_json()
    if hasattr(value, "__dataclass_fields__"):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return value


def need(schema: pl.Schema, names: Iterable[str], table: str = "table") -> None:
    """Raise InvalidInput for a column that is not there."""
    absent = [name for name in names if name not in schema]
    if absent:
        raise InvalidInput(f"The {table} has no column {absent[0]!r}.", hint=f"It has: {', '.join(schema.names())}.")


def names_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return a tuple, though somebody wrote "origin" for ("origin",)."""
    names = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(name, str) for name in names):
        raise InvalidInput(f"Names of columns are strings; found {names!r}.")
    return names


def listed(names: Iterable[str]) -> str:
    """Return `a, b and c`."""
    *most, last = list(names) or ["nothing"]
    return f"{', '.join(most)} and {last}" if most else last


def called(source: Source) -> str:
    """Return the name of a table, or words for one that a recipe makes."""
    return source if isinstance(source, str) else "the table made inside"
