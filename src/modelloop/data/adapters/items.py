"""What is new at a source, of whatever kind: one item a file, a query's answer, an object, a page, a version.

An item says who it is (name, hash of its content, size, time of change) before any row of it is read, and gives its
rows in batches, so that an arrival larger than memory can be taken in. What comes from afar is fetched first, and
checked afterwards from the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ...ground.core.later import polars as pl
from ..records import Taken
from ..settings import SourceSettings
from ..sources.secrets import Secrets

LONGEST_NAME = 255
"""Characters of the name of an item: so many does the store keep."""


def nothing() -> None:
    """Do nothing: what is in memory, or a copy of ours, does not change."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something new at a source. `more` are further files that it holds the rows of (format binary)."""

    name: str
    taken: Taken
    frames: Callable[[], Iterator[pl.DataFrame]] = field(repr=False)
    unchanged: Callable[[], None] = field(default=nothing, repr=False)
    more: tuple[Taken, ...] = ()

    @property
    def all_taken(self) -> tuple[Taken, ...]:
        """Return everything that is known once its rows are in."""
        return (self.taken, *self.more)

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield its rows as they came, at least one frame, none of more than BATCH_ROWS; raises DataRefused."""
        return self.frames()

    def confirm(self) -> None:
        """After reading, before anything is kept: raises DataRefused if it changed while it was read."""
        self.unchanged()


@dataclass(frozen=True, slots=True)
class Reading:
    """What is new, and where to go on from once it is taken in."""

    items: list[Item]
    cursor: Any = None

    def cursor_after(self) -> Any:
        """Return what to give as `cursor` next time (JSON-able); None where nothing is to be remembered."""
        return self.cursor


Known = Mapping[str, tuple[Taken, ...]]
"""What was taken in before, by name."""
Rows: TypeAlias = "Callable[[str], tuple[str, pl.LazyFrame]]"
"""Of a dataset by name, its version's digest and rows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which source is read, and what was taken in before."""

    name: str
    source: SourceSettings
    root: Path
    known: Known
    cursor: Any
    secrets: Secrets

    def knows(self, taken: Taken) -> bool:
        """Say whether the same content was taken in under this name."""
        return any(one.content == taken.content for one in self.known.get(taken.name, ()))

    def looks_known(self, name: str, size: int, modified: int) -> bool:
        """Say whether size and time of change are those of something taken in, so that it need not be read again."""
        return any((one.size, one.modified) == (size, modified) for one in self.known.get(name, ()))
