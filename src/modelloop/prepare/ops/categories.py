"""Features from categories: a code, or one column for each value.

Values are learned from training rows, in sorted order. Numbers may be categories too (they are compared as float64).
A value that training did not see, and a missing one, answers -1 (category) or all zeros (one_hot): never an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, Datatype, InputColumn
from .form import FittedOp, Op, Raw, input_of

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_COLUMNS = 256


@dataclass(frozen=True, slots=True)
class Category(Op):
    """A category as its number in the sorted list of values; unknown and missing are -1."""

    column: str

    def learn(self, columns: Columns) -> FittedCategory:
        """Learn the values."""
        source = input_of(columns, self.column)
        return FittedCategory((source,), learned_values(columns[self.column], source))


@dataclass(frozen=True, slots=True)
class FittedCategory(FittedOp):
    """A category with its values known."""

    kind: ClassVar[str] = "category"
    version: ClassVar[int] = 2
    inputs: tuple[InputColumn, ...]
    values: tuple[str, ...] | tuple[float, ...]
    _codes: dict[Any, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", checked_values(self.values, self.inputs[0]))
        object.__setattr__(self, "_codes", {value: float(code) for code, value in enumerate(self.values)})

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column's name."""
        return (self.inputs[0].name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Look every value up; `map` and `fromiter` keep the walk in C: 4 ms for 100,000 rows, 1 us for one."""
        found = map(self._codes.get, column.tolist(), repeat(-1.0))
        return [np.fromiter(found, np.float32, len(column))]


@dataclass(frozen=True, slots=True)
class OneHot(Op):
    """A category as one column of 0 and 1 for each value; unknown and missing are all zeros."""

    column: str

    def learn(self, columns: Columns) -> FittedOneHot:
        """Learn the values; more than 256 are refused."""
        source = input_of(columns, self.column)
        return FittedOneHot((source,), learned_values(columns[self.column], source))


@dataclass(frozen=True, slots=True)
class FittedOneHot(FittedOp):
    """One column for each known value."""

    kind: ClassVar[str] = "one_hot"
    version: ClassVar[int] = 2
    inputs: tuple[InputColumn, ...]
    values: tuple[str, ...] | tuple[float, ...]
    _codes: dict[Any, int] = field(init=False, repr=False, compare=False)
    _rows: npt.NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", checked_values(self.values, self.inputs[0]))
        if len(self.values) > MOST_COLUMNS:
            raise InvalidInput(
                f"one_hot({self.inputs[0].name!r}) would make {len(self.values)} columns; at most {MOST_COLUMNS}.",
                hint="Use category, or group rare values first.",
            )
        object.__setattr__(self, "_codes", {value: code for code, value in enumerate(self.values)})
        unknown = np.zeros((len(self.values), 1), np.float32)
        object.__setattr__(self, "_rows", np.hstack([np.eye(len(self.values), dtype=np.float32), unknown]))

    @property
    def names(self) -> tuple[str, ...]:
        """Return column=value for each value."""
        return tuple(f"{self.inputs[0].name}={value}" for value in self.values)

    def apply(self, column: Raw) -> list[Raw]:
        """Pick the column of the identity matrix; the last is the unknown's."""
        found = map(self._codes.get, column.tolist(), repeat(len(self.values)))
        return list(self._rows[:, np.fromiter(found, np.intp, len(column))])


def learned_values(column: Raw, source: InputColumn) -> tuple[str, ...] | tuple[float, ...]:
    """Return the values that occur, sorted: strings, or finite numbers."""
    if source.datatype is Datatype.BYTES:
        return tuple(sorted({value for value in column.tolist() if value is not None}))
    values = np.unique(column.astype(np.float64))
    return tuple(values[np.isfinite(values)].tolist())


def checked_values(values: tuple[Any, ...], source: InputColumn) -> tuple[Any, ...]:
    """Return the values as a tuple of strings or of finite numbers, whichever the column holds."""
    strings = source.datatype is Datatype.BYTES
    if not values:
        raise InvalidInput(f"The column {source.name!r} has no value to learn categories from.")
    if strings and not all(isinstance(value, str) for value in values):
        raise InvalidInput(f"The categories of {source.name!r} are not all strings, as its column is.")
    checked = tuple(values) if strings else tuple(float(value) for value in values)
    if not strings and not all(math.isfinite(value) for value in checked):
        raise InvalidInput(f"The categories of {source.name!r} are not all finite numbers.")
    if len(set(checked)) != len(checked):
        raise InvalidInput(f"The categories of {source.name!r} name a value twice.")
    return checked
