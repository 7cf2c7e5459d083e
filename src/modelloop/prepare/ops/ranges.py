"""Features from where a number stands in a range: cut off at its ends, moved to a common scale, put into a bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, InputColumn
from .form import FittedOp, Op, Raw, finite, finite_values, input_of, need_numbers, one_of


@dataclass(frozen=True, slots=True)
class Clip(Op):
    """The number within fixed bounds, or within quantiles of the training rows, such as quantiles=(0.01, 0.99).

    Infinite values become the bound; missing ones stay missing.
    """

    column: str
    low: float | None = None
    high: float | None = None
    quantiles: tuple[float, float] | None = None
    name: str = ""

    def learn(self, columns: Columns) -> FittedClip:
        """Take the quantiles of the finite values, where they are asked for."""
        source = need_numbers(input_of(columns, self.column), "clip")
        low, high, name = self.low, self.high, self.name or f"clip({self.column})"
        if self.quantiles is not None:
            if low is not None or high is not None or not 0 <= self.quantiles[0] < self.quantiles[1] <= 1:
                raise InvalidInput(f"{name}: give bounds, or two rising quantiles between 0 and 1; not both.")
            low, high = np.quantile(finite_values(columns[self.column], name), self.quantiles).tolist()
        return FittedClip((source,), low, high, name)


@dataclass(frozen=True, slots=True)
class FittedClip(FittedOp):
    """A number with its bounds known."""

    kind: ClassVar[str] = "clip"
    takes: ClassVar[str] = "numbers"
    inputs: tuple[InputColumn, ...]
    low: float | None
    high: float | None
    name: str

    def __post_init__(self) -> None:
        for bound in ("low", "high"):
            if getattr(self, bound) is not None:
                object.__setattr__(self, bound, finite(getattr(self, bound), bound))
        if self.low is None and self.high is None:
            raise InvalidInput(
                f"{self.name} has neither low nor high.", hint="Give a bound, or quantiles=(0.01, 0.99)."
            )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise InvalidInput(f"{self.name} goes from {self.low} to {self.high}, which is empty.")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or clip(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Cut off at both ends."""
        values = column.astype(np.float64)
        if self.low is not None:
            np.maximum(values, self.low, out=values)
        if self.high is not None:
            np.minimum(values, self.high, out=values)
        return [values]


@dataclass(frozen=True, slots=True)
class Scale(Op):
    """(x - center) / width of the training rows' finite values; missing stays missing, infinite stays infinite.

    `how`: standard (mean, standard deviation with n below), robust (median, distance of the quartiles) or min_max
    (smallest value, range), as scikit-learn's StandardScaler, RobustScaler and MinMaxScaler. Where all values are equal
    (but for rounding), the width is 1.
    """

    column: str
    how: Literal["standard", "robust", "min_max"] = "standard"
    name: str = ""

    def learn(self, columns: Columns) -> FittedScale:
        """Take center and width."""
        source = need_numbers(input_of(columns, self.column), "scale")
        name = self.name or f"scale({self.column})"
        one_of(self.how, ("standard", "robust", "min_max"), "how")
        values = finite_values(columns[self.column], name)
        if self.how == "standard":
            center, width = np.mean(values), np.std(values)
        elif self.how == "robust":
            low, center, high = np.quantile(values, (0.25, 0.5, 0.75))
            width = high - low
        else:
            center, width = np.min(values), np.max(values) - np.min(values)
        rounding = 10 * np.finfo(np.float64).eps * np.abs(values).max()
        return FittedScale((source,), float(center), 1.0 if width <= rounding else float(width), name)


@dataclass(frozen=True, slots=True)
class FittedScale(FittedOp):
    """A number with its scale known."""

    kind: ClassVar[str] = "scale"
    takes: ClassVar[str] = "numbers"
    inputs: tuple[InputColumn, ...]
    center: float
    width: float
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", finite(self.center, f"the center of {self.name}"))
        object.__setattr__(self, "width", finite(self.width, f"the width of {self.name}"))
        if self.width <= 0:
            raise InvalidInput(f"The width of {self.name} is {self.width}; it must be above 0.")

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or scale(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Subtract, then divide: both are rounded exactly, so no row depends on its neighbours."""
        return [(column.astype(np.float64) - self.center) / self.width]


@dataclass(frozen=True, slots=True)
class Bins(Op):
    """The number of the bin: 0 below the first edge, 1 from it on, and so forth; missing is -1.

    Edges are given, or learned from the finite values: `count` bins of equal share (how="quantile"; fewer where many
    values are equal) or of equal width (how="uniform"). What lies outside of the training range is in the outer bins.
    """

    column: str
    count: int = 10
    how: Literal["quantile", "uniform"] = "quantile"
    edges: Sequence[float] | None = None
    name: str = ""

    def learn(self, columns: Columns) -> FittedBins:
        """Find the inner edges."""
        source = need_numbers(input_of(columns, self.column), "bins")
        name = self.name or f"bins({self.column})"
        if self.edges is not None:
            return FittedBins((source,), tuple(self.edges), name)
        one_of(self.how, ("quantile", "uniform"), "how")
        if not 2 <= self.count <= 10_000:
            raise InvalidInput(f"{name} has {self.count} bins; expected 2 to 10,000.")
        values = finite_values(columns[self.column], name)
        if self.how == "quantile":
            edges = np.quantile(values, np.linspace(0, 1, self.count + 1)[1:-1])
        else:
            edges = np.linspace(values.min(), values.max(), self.count + 1)[1:-1]
        inner = np.unique(edges)
        return FittedBins((source,), tuple(inner[inner > values.min()].tolist()) or (float(values.max()),), name)


@dataclass(frozen=True, slots=True)
class FittedBins(FittedOp):
    """A number with the edges of its bins."""

    kind: ClassVar[str] = "bins"
    takes: ClassVar[str] = "numbers"
    inputs: tuple[InputColumn, ...]
    edges: tuple[float, ...]
    name: str
    _edges: Raw = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        edges = tuple(finite(edge, f"an edge of {self.name}") for edge in self.edges)
        if not edges or any(a >= b for a, b in pairwise(edges)):
            raise InvalidInput(f"The edges of {self.name} do not rise: {', '.join(map(str, edges[:10]))}.")
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "_edges", np.array(edges))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or bins(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Count the edges at or below the value."""
        values = column.astype(np.float64)
        found = np.searchsorted(self._edges, values, side="right").astype(np.float64)
        found[np.isnan(values)] = -1.0
        return [found]
