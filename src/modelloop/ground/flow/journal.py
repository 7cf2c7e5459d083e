"""What a session asks of the facts: which calls finished, which results are kept; and what it tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .metrics import Logged
from .records import Run, RunError, StepKey, StepState, Usage
from .step import Step


class RunWaits(BaseException):
    """Ends the process of a run that waits for a person. Not an error: user code must not take it for one."""


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
    code: str
    """Digest of all the code it reaches, which is kept once for all calls that share it."""
    nth: int
    """How many calls with the same key came before it in the run."""
    place: int
    """How many calls of the step came before it in the run."""

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
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Digest -> what the key refers to (code, packages), where this run has not told it yet."""
    attempts: int = 1
    usage: Usage = field(default_factory=Usage)
    where: str = ""


class Journal(Protocol):
    """Where calls are recorded: the facts of one run. Each method is one transaction."""

    @property
    def run(self) -> Run:
        """Return the run, as it was begun."""
        ...

    def find(self, key: str, nth: int) -> Kept | None:
        """Return the finished call of this run, from before a crash."""
        ...

    def tried(self, key: str, nth: int) -> int:
        """Return how often a call was tried in vain, before a crash."""
        ...

    def cached(self, key: str) -> Kept | None:
        """Return a kept result of any run."""
        ...

    def before(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the key parts of all calls of a step of this name in the last run that called it, in order."""
        ...

    def record(self, finished: Finished) -> None:
        """Record the end of a call; raises StaleState or RunCancelled if the run is no longer ours."""
        ...

    def forget_metrics(self, number: int) -> None:
        """Take back what a call logged in an attempt that failed."""
        ...

    def metrics(self, logged: Sequence[Logged]) -> None:
        """Append metrics."""
        ...

    def artifact(self, name: str, digest: str) -> None:
        """Name a blob."""
        ...

    def answer(self, name: str, nth: int, question: str, choices: Sequence[str]) -> str:
        """Return a person's answer; where there is none, record the question, let the run wait, raise RunWaits."""
        ...

    def describe(self, values: Mapping[str, Any]) -> None:
        """Record with which code and environment this attempt works."""
        ...

    def end(self, values: Mapping[str, Any], taken: Usage | None) -> Run:
        """End the run; add what this process took, where nobody else accounts for it."""
        ...
