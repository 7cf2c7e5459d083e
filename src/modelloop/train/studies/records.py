"""Nouns of studies: what a search declares about itself, what became of each trial, and who keeps it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ..records import Trial

TRIAL = 0
"""`nth` of the trial itself; from 1 on: its repeats with fresh seeds."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a study is about. Two searches of one name must declare the same."""

    name: str
    method: str
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    """`higher` or `lower`, one for each metric."""
    space: tuple[Mapping[str, Any], ...]
    """As `search.space.to_json` writes it."""
    seed: int
    pruner: str = ""
    before: tuple[Mapping[str, Any], ...] = ()
    """What was taken over from earlier studies: {"params", "values", "whole"}."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial as it is kept: with what its method needs to go on from it."""

    trial: Trial
    attrs: Mapping[str, Any] = field(default_factory=dict)
    nth: int = TRIAL
    values: tuple[float, ...] = ()
    """One for each metric; empty: it has none."""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a study is."""

    id: str
    claimed: int
    """Trials begun; also the number of the next."""
    ended: int
    """Trials and repeats that are over."""


@dataclass(frozen=True, slots=True)
class StudyLine:
    """A study in a list."""

    name: str
    method: str
    metrics: tuple[str, ...]
    trials: int
    running: int
    made_at: datetime
    by: str


class Ledger(Protocol):
    """Keeps a study's trials: in memory, or among facts, where several processes may work on one study."""

    durable: bool

    def open(self, declared: Declared) -> Declared:
        """Begin the study, or go on with it: returns what it was begun with. Conflict where that was something else."""
        ...

    def head(self) -> Head:
        """Return how far the study is."""
        ...

    def ended_since(self, mark: int) -> tuple[int, list[Entry]]:
        """Return all that ended after the mark, in the order it did so, and the new mark."""
        ...

    def claim(self, number: int, params: Mapping[str, Any], attrs: Mapping[str, Any]) -> bool:
        """Take the trial of this number; False: somebody else has it."""
        ...

    def claim_repeat(self, number: int, nth: int, params: Mapping[str, Any]) -> bool:
        """Take a repeat; False: somebody else has it, or it is over."""
        ...

    def abandoned(self) -> list[Entry]:
        """Take over and return trials and repeats whose process died, by number."""
        ...

    def elsewhere(self) -> int:
        """Return how many trials and repeats are under way in other processes."""
        ...

    def finish(self, entry: Entry) -> bool:
        """Keep what became of a trial or repeat; False: it is not ours any more, and what others found stays."""
        ...

    def release(self) -> None:
        """Give back all that is under way here: others, or a later search, take it over. Ends the ledger's use."""
        ...


def derived(seed: int, *words: object) -> int:
    """Return a seed that follows from another: 31 bits, the same on each machine."""
    text = ":".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4]) & 0x7FFF_FFFF


def differing(had: Declared, asked: Declared) -> list[str]:
    """Say in words in what two declarations differ; the warm start does not count, it happens once."""
    names: Sequence[str] = ("method", "metrics", "directions", "space", "seed", "pruner")
    return [name for name in names if getattr(had, name) != getattr(asked, name)]
