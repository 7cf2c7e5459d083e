"""The seam between a run and the places where its calls can be carried out: local processes, a Ray cluster.

A call travels as text (see `codecs`): values go through blobs, nothing is pickled. The implementations are in
`ground.pool`; `modelloop.testing` has the behaviour suite that each must pass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from .records import RunError, Usage
from .step import Step


@dataclass(frozen=True, slots=True)
class Resources:
    """What one call needs. A share of a processor or GPU is a fraction."""

    cpus: float = 1.0
    memory: int = 0
    """Bytes; 0: not said. Locally more than this is refused by the system to the process."""
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Task:
    """One call to be made elsewhere."""

    step: str
    """MODULE:NAME"""
    seed: int | None
    own: str
    """List of the call's own leading positional arguments, as codec text."""
    shared: str
    """(further positional arguments, keyword arguments), as codec text: the same for all tasks of a `map`."""
    resources: Resources = field(default_factory=Resources)
    time_limit: timedelta | None = None
    run: str = ""
    """The run that the call belongs to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How it went."""

    text: str
    """The result, as codec text."""
    seconds: float
    points: Sequence[tuple[str, float, int | None]] = ()
    artifacts: Sequence[tuple[str, str]] = ()
    error: RunError | None = None
    """`kind` StepTimeout: it took longer than its limit; WorkerDied: its process ended by itself (signal, memory)."""
    usage: Usage = field(default_factory=Usage)
    place: str = ""
    """Where it was carried out: a process or a node."""


class Executor(Protocol):
    """Carries out tasks in other processes. Used from one thread."""

    @property
    def usable(self) -> bool:
        """Say whether tasks can be carried out elsewhere at all: otherwise the caller does them itself."""
        ...

    def check(self, resources: Resources) -> None:
        """Raise PipelineInvalid if no place will ever have so much."""
        ...

    def run(self, tasks: Sequence[Task], *, stop_at_error: bool = True) -> Iterator[tuple[int, Answer]]:
        """Yield (place in `tasks`, answer) as they come, as many at a time as resources allow.

        After the first error nothing new is begun (`stop_at_error`); what runs is waited for. A caller that closes the
        iterator cancels: what runs is ended, its children too, before `close` of the iterator returns.
        """
        ...

    def close(self) -> None:
        """Let the processes go."""
        ...


class Nowhere:
    """The executor of a run that has no other processes: it does everything itself."""

    @property
    def usable(self) -> bool:
        """Say no."""
        return False

    def check(self, resources: Resources) -> None:
        """Refuse nothing: what needs another process is refused by whoever asks for one."""

    def run(self, tasks: Sequence[Task], *, stop_at_error: bool = True) -> Iterator[tuple[int, Answer]]:  # noqa: ARG002 - none
        """Carry out nothing."""
        return iter(())

    def close(self) -> None:
        """Nothing is held."""


class Deferred:
    """An executor that is made when it is first needed: most runs need none."""

    def __init__(self, make: Callable[[], Executor]) -> None:
        self._make = make
        self._made: Executor | None = None

    @property
    def usable(self) -> bool:
        """Say whether the executor is."""
        return self._executor().usable

    def check(self, resources: Resources) -> None:
        """Have the executor check."""
        self._executor().check(resources)

    def run(self, tasks: Sequence[Task], *, stop_at_error: bool = True) -> Iterator[tuple[int, Answer]]:
        """Have the executor carry out the tasks."""
        return self._executor().run(tasks, stop_at_error=stop_at_error)

    def close(self) -> None:
        """Let its processes go, if it was ever made."""
        if self._made is not None:
            self._made.close()

    def _executor(self) -> Executor:
        if self._made is None:
            self._made = self._make()
        return self._made


def reference_of(step: Step[Any, Any]) -> str | None:
    """Return MODULE:NAME where another process finds the step, or None if it could not."""
    found: Any = sys.modules.get(step.__module__)
    for part in step.__qualname__.split("."):
        found = getattr(found, part, None)
    return f"{step.__module__}:{step.__qualname__}" if found is step and step.__module__ != "__main__" else None
