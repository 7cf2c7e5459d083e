"""Nouns of comparing runs. All of them are plain: faces show them as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..records import Direction


class Basis(StrEnum):
    """What an interval, or a difference, rests on."""

    REPEATS = "repeats"
    """Several runs with the same parameters: other seeds, other folds."""
    PAIRS = "pairs"
    """Repeats of both sides with the same seeds or folds, compared pair by pair."""
    LOGGED = "logged"
    """The interval that was logged with the metric, as NAME.low and NAME.high."""
    NONE = "none"
    """One number each: nothing says how far it would move with another seed."""


class Standing(StrEnum):
    """How an entry stands to the one at the top."""

    FIRST = "first"
    WORSE = "worse"
    NOISE = "no difference shown"
    UNKNOWN = "cannot tell"
    MISSING = "no value"


@dataclass(frozen=True, slots=True)
class Headline:
    """The metric that a comparison is about."""

    metric: str
    direction: Direction
    meaning: str
    """One plain sentence; empty: nobody wrote one."""
    assumed: bool = False
    """The direction was read from the metric's name, not known."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value with its interval. `low` and `high` are None where nothing says how sure it is."""

    value: float
    low: float | None = None
    high: float | None = None
    basis: Basis = Basis.NONE
    repeats: Mapping[str, float] = field(default_factory=dict)
    """Value by seed or fold (or by run, where neither was logged)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Runs that differ in nothing but seed or fold: one line of the board."""

    runs: tuple[str, ...]
    name: str
    params: Mapping[str, str]
    """Those that differ between entries."""
    estimate: Estimate | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Means over its runs."""
    data: tuple[str, ...] = ()
    """The datasets that its runs were given, name and digest; empty: not known."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How far an entry is behind the top: top minus entry, so that more is further behind, whatever the direction."""

    difference: float
    low: float | None
    high: float | None
    basis: Basis


@dataclass(frozen=True, slots=True)
class Line:
    """An entry with its place."""

    place: int
    entry: Entry
    standing: Standing
    gap: Gap | None


@dataclass(frozen=True, slots=True)
class Board:
    """A leaderboard: the headline metric first, and which differences are more than noise."""

    headline: Headline
    lines: tuple[Line, ...]
    confidence: float
    verdict: str
    """What one may conclude, in a sentence or two."""


@dataclass(frozen=True, slots=True)
class Column:
    """A run in a comparison."""

    run: str
    name: str
    status: str
    start_ms: int | None
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """A parameter, tag or metric across runs, in the order of the columns; None: that run has none."""

    name: str
    values: tuple[str | None, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side."""

    columns: tuple[Column, ...]
    params: tuple[Row, ...]
    tags: tuple[Row, ...]
    metrics: Mapping[str, tuple[Estimate | None, ...]]
    """The headline metric first."""
    best: Mapping[str, str]
    """Metric -> the run with its best value."""
    headline: Headline


@dataclass(frozen=True, slots=True)
class Front:
    """The entries that no other beats in every metric."""

    metrics: tuple[Headline, ...]
    entries: tuple[Entry, ...]
    """On the front, by the first metric, best first."""
    beaten: int
    """Entries with all metrics that some other entry beats."""


@dataclass(frozen=True, slots=True)
class Group:
    """The best entry among those with the same value of a parameter or tag."""

    value: str
    best: Entry
    entries: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric of a run over its steps: (step, value), thinned so that it can be drawn, ends and extremes kept."""

    run: str
    name: str
    points: tuple[tuple[int, float], ...]
    total: int
