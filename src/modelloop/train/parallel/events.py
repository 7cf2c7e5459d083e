"""What happens to trials, and who carries them out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from .trying import Trying

Value: TypeAlias = float | tuple[float, ...] | Mapping[str, float]
"""What an objective returns: a number, or several."""
Objective: TypeAlias = Callable[[Trying], Any]


@dataclass(frozen=True, slots=True)
class Reported:
    """A trial said how it does so far."""

    number: int
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial returned its value."""

    number: int
    value: Value
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A trial raised, took too long, or its process died."""

    number: int
    error: str
    """One or more lines for a person: what was raised and where, or how the process ended."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    cause: BaseException | None = None
    """What was raised, where it was raised in this process."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A trial ended because it was told to."""

    number: int
    step: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    value: Value | None = None
    """What the objective returned all the same, where it caught `Pruned`."""


Event: TypeAlias = Reported | Finished | Failed | Stopped
Heard: TypeAlias = Callable[[Reported], bool]
"""Is told of each report; returns whether the trial should stop."""


class Crew(Protocol):
    """Carries out trials, `size` at a time. Used from one thread, which must last as long as the crew."""

    size: int

    def start(self, number: int, params: Mapping[str, Any], seed: int) -> None:
        """Have a trial carried out. Raises Conflict where `size` trials are under way."""
        ...

    def next(self, timeout: float | None = None) -> Event | None:
        """Return what happened next; None: nothing within so many seconds, or no trial is under way.

        Each trial started ends with exactly one Finished, Failed or Stopped.
        """
        ...

    def stop(self, number: int) -> None:
        """Have a trial end at its next report. Nothing happens where it is over already."""
        ...

    def close(self) -> None:
        """End all processes; trials under way are lost. May be called twice."""
        ...
