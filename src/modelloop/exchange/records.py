"""What a store of another kind holds, as far as it can come in here. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..train.tracking.records import Experiment, LoggedModel, Metric, TrackedRun


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """A run as its store has it; the history of its metrics is asked for by itself."""

    run: TrackedRun
    """`experiment` is the number in the store it is from."""
    deleted_ms: int | None
    place: str
    """Where its artifacts are, in the store's words."""


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A logged model as its store has it."""

    model: LoggedModel
    place: str


@dataclass(frozen=True, slots=True)
class ForeignVersion:
    """A version of a registered model as its store has it."""

    model: str
    number: int
    source: str
    """What the client said when it registered it."""
    place: str
    """Where the store says that its files are; empty: at `source`."""
    run_id: str | None
    model_id: str | None
    description: str
    made_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignRegistered:
    """A registered model with all that hangs on its name."""

    name: str
    description: str
    made_ms: int
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    versions: Sequence[ForeignVersion]


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file among artifacts."""

    path: str
    size: int


class Files(Protocol):
    """The artifacts of one run or model in the other store."""

    @property
    def missing(self) -> str:
        """Why there is nothing to be read where files should be; empty: there may be files."""
        ...

    def listed(self) -> Iterator[ForeignFile]:
        """Yield all files at any depth."""
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file, some at a time; raises OSError."""
        ...

    def left_out(self) -> Sequence[str]:
        """Return what `listed` came across and does not follow, each with the reason."""
        ...


class ForeignStore(Protocol):
    """A store of MLflow, for reading only."""

    @property
    def name(self) -> str:
        """What it is called in messages; no password in it."""
        ...

    def experiments(self) -> Iterable[Experiment]:
        """Yield all experiments, deleted ones too."""
        ...

    def runs(self, experiment: int) -> Iterable[ForeignRun]:
        """Yield all runs of an experiment, deleted ones too."""
        ...

    def metrics(self, run: TrackedRun) -> Iterator[Metric]:
        """Yield the whole history by name, time, step and value."""
        ...

    def models(self, experiment: int) -> Iterable[ForeignModel]:
        """Yield the logged models of an experiment."""
        ...

    def registered(self) -> Iterable[ForeignRegistered]:
        """Yield all registered models."""
        ...

    def files(self, kind: str, owner: str, place: str, experiment: int) -> Files:
        """Return the artifacts of a run or model."""
        ...

    def totals(self) -> Mapping[str, int]:
        """Return how many there are of some kinds, counted by the store itself; empty where it does not tell."""
        ...

    def not_taken(self) -> Mapping[str, int]:
        """Return how much of what it holds has no place here, by kind: traces, for instance."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the proof: how many there are on either side, and how many of them are equal."""

    what: str
    there: int
    here: int
    equal: int


@dataclass(slots=True)
class Imported:
    """What came of an import."""

    source: str
    written: dict[str, int] = field(default_factory=dict)
    """What was not here before, by kind; all zero where nothing changed."""
    lines: list[Compared] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    """Each names what is not equal."""
    missing: list[str] = field(default_factory=list)
    """Files that the store speaks of and that are not there, or not readable."""
    notes: list[str] = field(default_factory=list)
    digests: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Run -> digest of all of it there, and here."""

    def wrote(self, what: str, count: int = 1) -> None:
        """Count what was written."""
        self.written[what] = self.written.get(what, 0) + count

    @property
    def equal(self) -> bool:
        """Say whether everything is here as it is there."""
        return not self.differs and all(line.there == line.here == line.equal for line in self.lines)
