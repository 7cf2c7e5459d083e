"""Features from two numbers: their ratio, difference or product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...ground.core.later import numpy as np
from ..records import Columns, InputColumn
from .form import FittedOp, Op, Raw, input_of, need_numbers, one_of

_SIGNS = {"ratio": "/", "difference": "-", "product": "*"}


@dataclass(frozen=True, slots=True)
class _OfTwo(Op):
    how: ClassVar[str]
    column: str
    other: str
    name: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return both columns."""
        return (self.column, self.other)

    def learn(self, columns: Columns) -> FittedArithmetic:
        """Look at the columns' types."""
        both = tuple(need_numbers(input_of(columns, name), self.how) for name in self.reads)
        return FittedArithmetic(both, self.how, self.name or f"{self.column}{_SIGNS[self.how]}{self.other}")


@dataclass(frozen=True, slots=True)
class Ratio(_OfTwo):
    """column / other. Missing where one of them is missing, and where `other` is 0."""

    how: ClassVar[str] = "ratio"


@dataclass(frozen=True, slots=True)
class Difference(_OfTwo):
    """column - other. Missing where one of them is missing."""

    how: ClassVar[str] = "difference"


@dataclass(frozen=True, slots=True)
class Product(_OfTwo):
    """column * other. Missing where one of them is missing."""

    how: ClassVar[str] = "product"


@dataclass(frozen=True, slots=True)
class FittedArithmetic(FittedOp):
    """Two numbers and what is done with them."""

    kind: ClassVar[str] = "arithmetic"
    takes: ClassVar[str] = "numbers"
    inputs: tuple[InputColumn, ...]
    how: str
    name: str

    def __post_init__(self) -> None:
        one_of(self.how, tuple(_SIGNS), "how")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or a/b, a-b, a*b."""
        return (self.name,)

    def apply(self, column: Raw, other: Raw) -> list[Raw]:
        """Calculate in float64; inf - inf, inf / inf and inf * 0 are missing."""
        a, b = column.astype(np.float64), other.astype(np.float64)
        if self.how == "difference":
            return [a - b]
        if self.how == "product":
            return [a * b]
        return [np.divide(a, b, out=np.full(len(a), np.nan), where=b != 0.0)]
