"""Metrics on their way to the facts: gathered, and written together at least once a second."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from .records import MetricPoint


@dataclass(frozen=True, slots=True)
class Logged:
    """A metric and the call of a step that it was logged in. None: the pipeline itself."""

    point: MetricPoint
    call: int | None


class MetricBuffer:
    """Holds what was logged until a step ends or a second has passed. Thread-safe: steps may log from threads."""

    def __init__(self, write: Callable[[list[Logged]], None], *, every: float = 1.0) -> None:
        self._write = write
        self._every = every
        self._lock = threading.Lock()
        self._waiting: list[Logged] = []
        self._timer: threading.Timer | None = None

    def add(self, logged: Logged) -> None:
        """Take one value."""
        with self._lock:
            self._waiting.append(logged)
            if self._timer is None:
                self._timer = threading.Timer(self._every, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def take(self) -> list[Logged]:
        """Return what waits, to be written by the caller."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return taken

    def flush(self) -> None:
        """Write what waits."""
        taken = self.take()
        try:
            if taken:
                self._write(taken)
        except Exception:
            with self._lock:  # the next flush tries again
                self._waiting = taken + self._waiting
            raise
