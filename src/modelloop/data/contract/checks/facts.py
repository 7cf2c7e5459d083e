"""What one look at a column tells: counts, extremes, moments. Pure, and mergeable over batches."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ....ground.core.later import polars as pl


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and sum of squared deviations of numbers, with their extremes."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: Any = None
    high: Any = None

    @property
    def spread(self) -> float:
        """Return the standard deviation (of a sample: n - 1)."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 and self.squares > 0 else 0.0

    def with_(self, other: Moments) -> Moments:
        """Return the moments of both together (Chan, Golub, LeVeque 1983)."""
        if not self.count or not other.count:
            return other if other.count else self
        count, apart = self.count + other.count, other.mean - self.mean
        mean = self.mean + apart * other.count / count
        squares = self.squares + other.squares + apart * apart * self.count * other.count / count
        return Moments(count, mean, squares, min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True, slots=True)
class Facts:
    """A column of one batch."""

    rows: int
    nulls: int
    """Missing, values that do not fit included."""
    misfits: int = 0
    low: Any = None
    high: Any = None
    mean: float | None = None
    moments: Moments = field(default_factory=Moments)
    """Of all batches so far, this one included; only where a check needs them."""
    distinct: pl.Series | None = None
    """The different values, where they are few or asked for."""
    broken: tuple[int, ...] = ()
    """How many values break each check that looks at values; of different values where `distinct` is known."""

    @property
    def missing(self) -> int:
        """Return how many values are missing, those that do not fit left out."""
        return self.nulls - self.misfits

    @property
    def values(self) -> int:
        """Return how many values there are."""
        return self.rows - self.nulls
