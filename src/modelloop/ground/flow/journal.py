"""What a session asks of the facts: which calls finished, which results are kept; and what it tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .metrics import Logged
from .records import RunError, StepKey, StepState
from .step import Step


@dataclass(frozen=True, slots=True)
class Kept:
    """A result as facts hold it, and where it came from."""

    digest: str
    text: str | None
    """Its tree (see `codecs`). None: in the blob `digest`."""
    origin: str = ""
    metrics: Sequence[tuple[str, float, int | None]] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a step that is about to be made."""

    step: Step[Any, Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    number: int
    key: StepKey
    nth: int

    @property
    def name(self) -> str:
        """Return how people know the step."""
        return self.step.__qualname__


@dataclass(frozen=True, slots=True)
class Finished:
    """A call with its end, to be recorded in one transaction."""

    call: Call
    state: StepState
    reason: str
    seconds: float
    kept: Kept | None = None
    error: RunError | None = None
    waiting: Sequence[Logged] = ()
    """Metrics to be written with it."""


class Journal(Protocol):
    """Where calls are recorded: the facts of one run. Each method is one transaction."""

    def find(self, key: str, nth: int) -> Kept | None:
        """Return the finished call of this run, from before a crash."""
        ...

    def cached(self, key: str) -> Kept | None:
        """Return a kept result of any run."""
        ...

    def before(self, name: str) -> dict[str, Any] | None:
        """Return the key parts of the newest call of a step of this name, of any run."""
        ...

    def record(self, finished: Finished) -> None:
        """Record the end of a call; raises StaleState or RunCancelled if the run is no longer ours."""
        ...

    def metrics(self, logged: Sequence[Logged]) -> None:
        """Append metrics."""
        ...

    def artifact(self, name: str, digest: str) -> None:
        """Name a blob."""
        ...
