"""Features from categories: their place in a given order, how frequent they are, or the bucket of a hash."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, Datatype, InputColumn
from .categories import checked_values
from .form import FittedOp, Op, Raw, finite, input_of, one_of


@dataclass(frozen=True, slots=True)
class Ordinal(Op):
    """The place in `values`, a given order such as ("low", "middle", "high"), from 0; all others and missing: -1."""

    column: str
    values: Sequence[str | float]
    name: str = ""

    def learn(self, columns: Columns) -> FittedOrdinal:
        """Look at the column's type; the order is as it was given."""
        return FittedOrdinal(
            (input_of(columns, self.column),), tuple(self.values), self.name or f"ordinal({self.column})"
        )


@dataclass(frozen=True, slots=True)
class FittedOrdinal(FittedOp):
    """A category with its order."""

    kind: ClassVar[str] = "ordinal"
    inputs: tuple[InputColumn, ...]
    values: tuple[Any, ...]
    name: str
    _codes: dict[Any, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", checked_values(self.values, self.inputs[0]))
        object.__setattr__(self, "_codes", {value: float(code) for code, value in enumerate(self.values)})

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or ordinal(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Look every value up."""
        return [np.fromiter(map(self._codes.get, column.tolist(), repeat(-1.0)), np.float64, len(column))]


@dataclass(frozen=True, slots=True)
class Frequency(Op):
    """How often the value occurs in the training rows: as a share of all rows, or as a count. Unseen and missing: 0."""

    column: str
    how: Literal["share", "count"] = "share"
    name: str = ""

    def learn(self, columns: Columns) -> FittedFrequency:
        """Count the values."""
        one_of(self.how, ("share", "count"), "how")
        source, column = input_of(columns, self.column), columns[self.column]
        counts = Counter(value for value in column.tolist() if value is not None and abs(_size(value)) != np.inf)
        known = sorted((value, count) for value, count in counts.items() if value == value)  # noqa: PLR0124 - no NaN
        below = len(column) if self.how == "share" else 1
        values = tuple(value if isinstance(value, str) else float(value) for value, _ in known)
        shares = tuple(count / below for _, count in known)
        return FittedFrequency((source,), values, shares, self.name or f"frequency({self.column})")


@dataclass(frozen=True, slots=True)
class FittedFrequency(FittedOp):
    """Values and how often they occur."""

    kind: ClassVar[str] = "frequency"
    inputs: tuple[InputColumn, ...]
    values: tuple[Any, ...]
    shares: tuple[float, ...]
    name: str
    _shares: dict[Any, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", checked_values(self.values, self.inputs[0]))
        object.__setattr__(self, "shares", tuple(finite(share, self.name) for share in self.shares))
        object.__setattr__(self, "_shares", dict(zip(self.values, self.shares, strict=True)))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or frequency(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Look every value up."""
        return [np.fromiter(map(self._shares.get, column.tolist(), repeat(0.0)), np.float64, len(column))]


@dataclass(frozen=True, slots=True)
class Hashed(Op):
    """The bucket of the value's CRC-32, 0 to buckets - 1: for categories too many to list. Missing is -1.

    Nothing is learned, so a value that training never saw has its bucket too. Weinberger et al., "Feature Hashing for
    Large Scale Multitask Learning", 2009. Another `seed` lets other values collide.
    """

    column: str
    buckets: int = 1024
    seed: int = 0
    name: str = ""

    def learn(self, columns: Columns) -> FittedHashed:
        """Look at the column's type."""
        source = input_of(columns, self.column)
        return FittedHashed((source,), self.buckets, self.seed, self.name or f"hashed({self.column})")


@dataclass(frozen=True, slots=True)
class FittedHashed(FittedOp):
    """A column and how many buckets its values go into."""

    kind: ClassVar[str] = "hashed"
    inputs: tuple[InputColumn, ...]
    buckets: int
    seed: int
    name: str

    def __post_init__(self) -> None:
        if type(self.buckets) is not int or type(self.seed) is not int:
            raise InvalidInput(f"buckets and seed of {self.name} must be whole numbers.")
        if not 2 <= self.buckets <= 2**24 or not 0 <= self.seed < 2**32:
            raise InvalidInput(f"{self.name} has {self.buckets} buckets; expected 2 to 2^24, and a seed below 2^32.")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or hashed(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Numbers are hashed as float64 is written, so 1 and 1.0 are one value; -0.0 is 0.0."""
        strings = self.inputs[0].datatype is Datatype.BYTES
        values = column.tolist() if strings else map(_written, (column.astype(np.float64) + 0.0).tolist())
        crc, seed, buckets = zlib.crc32, self.seed, self.buckets
        try:
            found = [
                -1 if value is None else crc(value.encode("utf-8", "surrogatepass"), seed) % buckets for value in values
            ]
        except AttributeError as error:
            raise InvalidInput(f"{self.name} reads strings; the column holds something else: {error}.") from error
        return [np.array(found, np.float64)]


def _written(value: float) -> str | None:
    return None if value != value else repr(value)  # noqa: PLR0124 - NaN


def _size(value: Any) -> float:
    return 0.0 if isinstance(value, str) else float(value)
