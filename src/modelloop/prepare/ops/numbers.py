"""Features from numbers: as they are, on a log scale, around a circle, or only whether they are there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, Datatype, InputColumn
from .form import FittedOp, Op, Raw, finite, input_of, need_numbers

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Number(Op):
    """A number as it is. `fill` replaces missing values (None: NaN stays, for models that read it); `clip` bounds."""

    column: str
    fill: float | Literal["median"] | None = "median"
    clip: tuple[float, float] | None = None

    def learn(self, columns: Columns) -> FittedNumber:
        """Take the median of the training rows where `fill` asks for it."""
        source = need_numbers(input_of(columns, self.column), "number")
        fill = _median(columns[self.column], self.column) if self.fill == "median" else self.fill
        return FittedNumber((source,), fill, self.clip)


@dataclass(frozen=True, slots=True)
class FittedNumber(FittedOp):
    """A number with its fill known."""

    kind: ClassVar[str] = "number"
    takes: ClassVar[str] = "numbers"
    version: ClassVar[int] = 2
    inputs: tuple[InputColumn, ...]
    fill: float | None
    clip: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.fill is not None:
            object.__setattr__(self, "fill", finite(self.fill, "fill"))
        if self.clip is not None:
            low, high = (finite(bound, "clip") for bound in self.clip)
            if low > high:
                raise InvalidInput(f"number({self.inputs[0].name!r}) is clipped to {low}..{high}, which is empty.")
            object.__setattr__(self, "clip", (low, high))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column's name."""
        return (self.inputs[0].name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Fill, then clip."""
        values = column.astype(np.float64)
        if self.fill is not None and column.dtype.kind == "f":
            values[values != values] = self.fill  # noqa: PLR0124 - NaN alone differs from itself; cheaper than isnan
        if self.clip is not None:
            np.maximum(values, self.clip[0], out=values)
            np.minimum(values, self.clip[1], out=values)
        return [values.astype(np.float32)]


@dataclass(frozen=True, slots=True)
class Log1p(Op):
    """log(1 + x), for amounts that spread over magnitudes. Negative values count as 0; missing ones become `fill`."""

    column: str
    fill: float = 0.0

    def learn(self, columns: Columns) -> FittedLog1p:
        """Look at the column's type."""
        return FittedLog1p((need_numbers(input_of(columns, self.column), "log1p"),), self.fill)


@dataclass(frozen=True, slots=True)
class FittedLog1p(FittedOp):
    """A number on a log scale."""

    kind: ClassVar[str] = "log1p"
    takes: ClassVar[str] = "numbers"
    version: ClassVar[int] = 2
    inputs: tuple[InputColumn, ...]
    fill: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "fill", finite(self.fill, "fill"))

    @property
    def names(self) -> tuple[str, ...]:
        """Return log1p(column)."""
        return (f"log1p({self.inputs[0].name})",)

    def apply(self, column: Raw) -> list[Raw]:
        """Fill is in the feature's own unit, after the logarithm."""
        values = column.astype(np.float64)
        missing = values != values  # noqa: PLR0124 - NaN
        values = np.log1p(np.maximum(values, 0.0))
        values[missing] = self.fill
        return [values.astype(np.float32)]


@dataclass(frozen=True, slots=True)
class Cyclic(Op):
    """A number that comes round again (hour of day, day of week): its sine and cosine. Missing: the middle, 0 and 0."""

    column: str
    period: float

    def learn(self, columns: Columns) -> FittedCyclic:
        """Look at the column's type."""
        return FittedCyclic((need_numbers(input_of(columns, self.column), "cyclic"),), self.period)


@dataclass(frozen=True, slots=True)
class FittedCyclic(FittedOp):
    """A number around a circle."""

    kind: ClassVar[str] = "cyclic"
    takes: ClassVar[str] = "numbers"
    version: ClassVar[int] = 2
    inputs: tuple[InputColumn, ...]
    period: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "period", finite(self.period, "period"))
        if self.period <= 0:
            raise InvalidInput(f"cyclic({self.inputs[0].name!r}) has the period {self.period}; it must be above 0.")

    @property
    def names(self) -> tuple[str, ...]:
        """Return sin(column) and cos(column)."""
        return (f"sin({self.inputs[0].name})", f"cos({self.inputs[0].name})")

    def apply(self, column: Raw) -> list[Raw]:
        """Reduce to one period first, so that large numbers lose no accuracy."""
        values = column.astype(np.float64)
        missing = ~(np.abs(values) < math.inf)
        values[missing] = 0.0
        angle = np.mod(values, self.period) * (2.0 * math.pi / self.period)
        sine, cosine = np.sin(angle).astype(np.float32), np.cos(angle).astype(np.float32)
        sine[missing] = 0.0
        cosine[missing] = 0.0
        return [sine, cosine]


@dataclass(frozen=True, slots=True)
class FlagMissing(Op):
    """1 where the value is missing, else 0; for any kind of column."""

    column: str
    takes_times: ClassVar[bool] = True

    def learn(self, columns: Columns) -> FittedFlagMissing:
        """Look at the column's type."""
        return FittedFlagMissing((input_of(columns, self.column),))


@dataclass(frozen=True, slots=True)
class FittedFlagMissing(FittedOp):
    """Whether the value is there."""

    kind: ClassVar[str] = "flag_missing"
    version: ClassVar[int] = 2
    inputs: tuple[InputColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return missing(column)."""
        return (f"missing({self.inputs[0].name})",)

    def apply(self, column: Raw) -> list[Raw]:
        """Missing is None in strings and NaN in numbers."""
        if self.inputs[0].datatype is Datatype.BYTES:
            missing: npt.NDArray[np.bool_] = np.fromiter(map(is_, column.tolist(), repeat(None)), np.bool_, len(column))
        else:
            missing = column != column  # noqa: PLR0124 - NaN
        return [missing.astype(np.float32)]


def _median(column: Raw, name: str) -> float:
    values = column.astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        raise InvalidInput(
            f"number({name!r}) cannot take a median: none of {len(column)} rows has a value.",
            hint="Give fill=0.0 or another number, or leave the column out.",
        )
    return float(np.median(values))
