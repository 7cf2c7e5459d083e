"""Distribution functions: of a sorted sample, and of a thousand points that stand for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..core.later import numpy as np
from .interval import Floats

if TYPE_CHECKING:
    import numpy.typing as npt

Ints: TypeAlias = "npt.NDArray[np.int64]"
POINTS = 1024
"""Kept of a distribution: between two neighbours lies a share of at most 1 / 1023."""


class Distribution(Protocol):
    """What can be asked of a distribution function."""

    def at(self, x: Floats) -> Floats:
        """Return the shares of values up to and including x."""

    def below(self, x: Floats) -> Floats:
        """Return the shares of values below x."""

    def quantile(self, shares: Floats) -> Floats:
        """Return the smallest values that the shares do not exceed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample, sorted; not empty."""

    values: npt.NDArray[Any]

    def at(self, x: Floats) -> Floats:
        """Return the shares of values up to and including x."""
        return np.searchsorted(self.values, x, side="right") / len(self.values)

    def below(self, x: Floats) -> Floats:
        """Return the shares of values below x."""
        return np.searchsorted(self.values, x, side="left") / len(self.values)

    def quantile(self, shares: Floats) -> Floats:
        """Return the smallest values that the shares do not exceed."""
        ranks = np.ceil(shares * len(self.values) * (1 - 1e-15)).astype(np.int64) - 1
        return self.values[np.clip(ranks, 0, len(self.values) - 1)].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Points:
    """Some values of a sample, ascending, the smallest and largest among them, with the rows on and between them."""

    values: Floats
    on: Ints
    """Rows that have the value."""
    between: Ints
    """Rows between the value before and this one."""

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return int(self.on.sum() + self.between.sum())

    @property
    def exact(self) -> bool:
        """Say whether these are all values there are."""
        return not self.between.any()

    @property
    def gap(self) -> float:
        """Return the largest share of rows between two points: how far off a distribution function can be."""
        return float(self.between.max() / self.rows)

    def at(self, x: Floats) -> Floats:
        """Return the shares of values up to and including x, straight lines between points."""
        return self._look(x, side="right")

    def below(self, x: Floats) -> Floats:
        """Return the shares of values below x, straight lines between points."""
        return self._look(x, side="left")

    def bounds(self, x: Floats) -> tuple[Floats, Floats]:
        """Return what the share of values up to x is at least and at most."""
        under, reached = self._shares()
        place = np.searchsorted(self.values, x, side="right")
        low = np.concatenate(([0.0], reached))[place]
        on_point = self.values[np.maximum(place - 1, 0)] == x
        high = np.where(on_point, low, np.concatenate((under, [1.0]))[place])
        return low, high

    def quantile(self, shares: Floats) -> Floats:
        """Return the smallest points that the shares do not exceed."""
        reached = self._shares()[1]
        return self.values[np.minimum(np.searchsorted(reached, shares * (1 - 1e-15)), len(self.values) - 1)]

    def _shares(self) -> tuple[Floats, Floats]:
        """Return the shares of values below and up to each point."""
        reached = np.cumsum(self.on + self.between)
        return (reached - self.on) / reached[-1], reached / reached[-1]

    def _look(self, x: Floats, *, side: str) -> Floats:
        under, reached = self._shares()
        place = np.searchsorted(self.values, x, side="right")
        before, after = np.maximum(place - 1, 0), np.minimum(place, len(self.values) - 1)
        start, end = self.values[before], self.values[after]
        width = np.where(end > start, end - start, 1.0)
        along = reached[before] + (under[after] - reached[before]) * np.clip((x - start) / width, 0, 1)
        exactly = under[before] if side == "left" else reached[before]
        found = np.where(start == x, exactly, np.where(place == len(self.values), 1.0, along))
        return np.where(place == 0, 0.0, found)


def points_of(ordered: npt.NDArray[Any], limit: int = POINTS) -> Points:
    """Return up to `limit` points of a sorted sample: all its values if they are so few, else even quantiles."""
    steps = ordered[1:] != ordered[:-1]
    if np.count_nonzero(steps) < limit:
        ends = np.flatnonzero(steps)
        last = np.append(ends, len(ordered) - 1)
        on = np.diff(last, prepend=-1)
        return Points(ordered[last].astype(np.float64), on.astype(np.int64), np.zeros(len(last), dtype=np.int64))
    ranks = np.rint(np.linspace(0, len(ordered) - 1, limit)).astype(np.int64)
    values = np.unique(ordered[ranks])
    reached = np.searchsorted(ordered, values, side="right").astype(np.int64)
    under = np.searchsorted(ordered, values, side="left").astype(np.int64)
    between = under - np.concatenate(([0], reached[:-1]))
    return _as_floats(values, reached - under, between)


def merge_points(first: Points, second: Points, limit: int = POINTS) -> Points:
    """Return points of both samples together.

    Exact where both are and the values are few. Otherwise the rows up to a value are off by at most the sum of both
    samples' largest gaps (in rows), and the result has gaps of its own: at most 1 / 1023 of its rows more.
    """
    values = np.union1d(first.values, second.values)
    reached = np.rint(first.rows * first.at(values) + second.rows * second.at(values)).astype(np.int64)
    under = np.rint(first.rows * first.below(values) + second.rows * second.below(values)).astype(np.int64)
    if len(values) > limit:
        goals = np.linspace(0, reached[-1], limit)
        kept = np.unique(np.append(np.searchsorted(reached, goals), len(values) - 1))[-limit:]
        kept = np.unique(np.append(kept, 0)) if len(kept) < limit else np.concatenate(([0], kept[1:]))
        values, reached, under = values[kept], reached[kept], under[kept]
    between = under - np.concatenate(([0], reached[:-1]))
    return Points(values, reached - under, between)


def _as_floats(values: npt.NDArray[Any], on: Ints, between: Ints) -> Points:
    """Return the points; integers beyond 2^53 may fall together as floats."""
    floats = values.astype(np.float64)
    if (np.diff(floats) > 0).all():
        return Points(floats, on, between)
    distinct, place = np.unique(floats, return_inverse=True)
    count = len(distinct)
    return Points(
        distinct,
        np.bincount(place, weights=on, minlength=count).astype(np.int64),
        np.bincount(place, weights=between, minlength=count).astype(np.int64),
    )
