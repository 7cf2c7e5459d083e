"""What a gateway counts: plain numbers and fixed histograms, cheap enough for every request. One thread writes.

A snapshot is taken by whoever shows it; snapshots of several processes are added up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

BOUNDS = (
    *(0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01),
    *(0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""Upper bounds of the histogram's buckets in seconds; the last bucket has none."""

Which: TypeAlias = "tuple[str, str, str]"
"""Endpoint, version (`model:number`), arm (champion or challenger)."""


class Tally:
    """What one arm of one endpoint did. `buckets` counts answered requests by whole latency."""

    __slots__ = ("buckets", "failed", "last", "rows", "scoring", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.rows = 0
        self.seconds = 0.0
        """Of whole requests, from the last byte that came in to the first that goes out."""
        self.scoring = 0.0
        """Of them, the seconds in the version itself."""
        self.failed = 0
        """Requests that the version failed in itself; in a canary the champion answered them."""
        self.last = 0.0
        """Unix time of the last answer."""

    def count(self, rows: int, seconds: float, scoring: float, now: float) -> None:
        """Count an answered request."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.rows += rows
        self.seconds += seconds
        self.scoring += scoring
        self.last = now

    @property
    def answered(self) -> int:
        """Return how many requests it answered."""
        return sum(self.buckets)


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """A `Tally` as it was at a moment."""

    buckets: tuple[int, ...]
    rows: int
    seconds: float
    scoring: float
    failed: int
    last: float

    @property
    def answered(self) -> int:
        """Return how many requests it answered."""
        return sum(self.buckets)

    def merged(self, other: ArmCounts) -> ArmCounts:
        """Return the sum."""
        return ArmCounts(
            tuple(a + b for a, b in zip(self.buckets, other.buckets, strict=True)),
            self.rows + other.rows,
            self.seconds + other.seconds,
            self.scoring + other.scoring,
            self.failed + other.failed,
            max(self.last, other.last),
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """What a gateway counted up to a moment."""

    arms: Mapping[Which, ArmCounts] = field(default_factory=dict)
    refused: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Requests that got no answer, by endpoint (empty: there is none of its name) and HTTP status."""
    in_flight: int = 0

    def merged(self, other: Counts) -> Counts:
        """Return the sum of two processes' counts."""
        arms = dict(self.arms)
        for which, counts in other.arms.items():
            arms[which] = arms[which].merged(counts) if which in arms else counts
        refused = dict(self.refused)
        for cause, count in other.refused.items():
            refused[cause] = refused.get(cause, 0) + count
        return Counts(arms, refused, self.in_flight + other.in_flight)


class Counters:
    """The counts of one process."""

    def __init__(self) -> None:
        self.in_flight = 0
        """Requests whose answer is being made in a lane, or waits for the disk."""
        self._arms: dict[Which, Tally] = {}
        self._refused: dict[tuple[str, int], int] = {}

    def tally(self, endpoint: str, version: str, arm: str) -> Tally:
        """Return the tally of an arm, the same object every time."""
        return self._arms.setdefault((endpoint, version, arm), Tally())

    def refuse(self, endpoint: str, status: int) -> None:
        """Count a request that got an error for an answer."""
        self._refused[endpoint, status] = self._refused.get((endpoint, status), 0) + 1

    def snapshot(self) -> Counts:
        """Return what was counted so far. Safe in any thread."""
        arms = {
            which: ArmCounts(tuple(t.buckets), t.rows, t.seconds, t.scoring, t.failed, t.last)
            for which, t in list(self._arms.items())
        }
        return Counts(arms, dict(self._refused), self.in_flight)
