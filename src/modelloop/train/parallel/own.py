"""Trials in this process: what a search does where one process is enough, and what each process of a crew does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ground.core.errors import Conflict, InvalidInput, ModelloopError
from ...ground.flow.failure import attempt, describe
from .events import Event, Failed, Finished, Heard, Objective, Reported, Stopped, Value
from .trying import Pruned, Trying

_OURS = Path(__file__).parent


class OwnCrew:
    """This process: `next` carries out the trial that was started, in the thread that calls it."""

    def __init__(self, objective: Objective, *, data: Mapping[str, Any], heard: Heard | None = None) -> None:
        self.size = 1
        self._objective, self._data, self._heard = objective, data, heard
        self._waiting: Trying | None = None
        self._stopping = -1
        self._events: deque[Event] = deque()

    def start(self, number: int, params: Mapping[str, Any], seed: int) -> None:
        """Take a trial; `next` carries it out."""
        if self._waiting is not None:
            raise Conflict("A trial is under way.", hint="This process carries out one at a time; call next() first.")
        self._stopping = -1
        self._waiting = Trying(number, params, seed, self._data, lambda step, value: self._told(number, step, value))

    def next(self, timeout: float | None = None) -> Event | None:  # noqa: ARG002 - nothing is waited for
        """Carry out the trial that waits, and return what happened first."""
        if not self._events and self._waiting is not None:
            trying, self._waiting = self._waiting, None
            self._events.append(carry_out(self._objective, trying))
        return self._events.popleft() if self._events else None

    def stop(self, number: int) -> None:
        """Have the trial end at its next report."""
        self._stopping = number

    def close(self) -> None:
        """Forget what waits."""
        self._waiting = None
        self._events.clear()

    def _told(self, number: int, step: int, value: float) -> bool:
        report = Reported(number, step, value)
        if self._heard is None:
            self._events.append(report)
        elif self._heard(report):
            return True
        return self._stopping == number


def carry_out(objective: Objective, trying: Trying) -> Finished | Failed | Stopped:
    """Call an objective; what it raises is told, not raised (but for an interrupt)."""
    began, cpu = time.perf_counter(), time.process_time()
    value, raised = attempt(lambda: _value(objective, trying))
    taken = time.perf_counter() - began, time.process_time() - cpu
    if isinstance(raised, Pruned) or (raised is None and trying.stopped):
        return Stopped(trying.number, trying.step, *taken, value)
    if value is None:
        assert raised is not None
        return Failed(trying.number, said_of(raised), *taken, raised)
    return Finished(trying.number, value, *taken)


def value_of(returned: Any) -> Value:
    """Return what an objective returned as plain numbers; raises InvalidInput."""
    try:
        if isinstance(returned, Mapping):
            return {str(name): float(value) for name, value in returned.items()}
        if isinstance(returned, tuple | list):
            return tuple(float(value) for value in returned)
        return float(returned)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"The objective returned {type(returned).__name__}: {str(returned)[:80]!r}.",
            hint="It returns a number, or several: {'loss': 0.2, 'size': 12.0}.",
        ) from error


def said_of(error: BaseException) -> str:
    """Return what a person is told of an error: what it is first, then where."""
    if isinstance(error, ModelloopError):
        return f"{type(error).__name__}: {error}"
    told = describe(error)
    where: list[str] = []
    theirs = False
    for line in told.traceback.strip().splitlines()[1:]:
        if line.startswith('  File "'):
            theirs = not line.startswith(f'  File "{_OURS}')
        if theirs and line.startswith("  "):
            where.append(line)
    return "\n".join([f"{told.kind}: {told.message}", *where[-8:]])


def _value(objective: Objective, trying: Trying) -> Value | None:
    returned = objective(trying)
    return None if returned is None and trying.stopped else value_of(returned)
