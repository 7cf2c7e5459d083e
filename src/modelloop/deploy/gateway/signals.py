"""What autoscalers and people watch beside the counts of answers: how busy the event loop is, how old the table is."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ...ground.core.clock import Clock

STALE_SECONDS = 3.0
"""So long nobody calls a table old: a store may take a breath."""
WINDOW_SECONDS = 5.0
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


class Freshness:
    """When the routing table was last looked at. Ages are measured by a clock that never jumps."""

    def __init__(self, clock: Clock, ticks: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ticks = ticks
        self._seen = ticks()
        self._since: datetime | None = None
        self.why = "No look has succeeded since the start."
        """What the last look that failed said."""

    def seen(self) -> None:
        """Note a look that succeeded."""
        self._seen = self._ticks()
        self._since = None
        self.why = ""

    def missed(self, why: str) -> None:
        """Note a look that failed."""
        self.why = why

    @property
    def seconds(self) -> float:
        """Return the time since the last look that succeeded, or 0 while that is as it should be."""
        age = self._ticks() - self._seen
        return age if age > STALE_SECONDS else 0.0

    @property
    def since(self) -> datetime | None:
        """Return since when the table could not be looked at, or None. Told the same way until it can be again."""
        age = self.seconds
        if not age:
            return None
        if self._since is None:
            self._since = self._clock.now() - timedelta(seconds=age)
        return self._since


@dataclass(frozen=True, slots=True)
class _Mark:
    ticks: float
    cpu: float


class Busy:
    """The share of a core that the event loop's thread takes: at 1 a process answers as much as it ever will.

    Read from the thread's own CPU clock, so requests pay nothing for it. Where the process may use less than a core (a
    container's limit), that is what it is measured against.
    """

    def __init__(
        self, cpu: Callable[[], float] | None = None, ticks: Callable[[], float] = time.monotonic, cores: float = 1.0
    ) -> None:
        """`cpu`: the thread's CPU seconds; left out: those of the thread that makes this object."""
        self._cpu = cpu or _clock_of_this_thread()
        self._ticks = ticks
        self._cores = min(1.0, cores)
        self._before = self._latest = _Mark(ticks(), self._cpu())
        self._lock = threading.Lock()

    def seconds(self) -> float:
        """Return the CPU seconds of the loop since the process began."""
        return self._cpu()

    def ratio(self) -> float:
        """Return the share used in the last five to ten seconds, 0 to 1. To be asked about once a second."""
        with self._lock:
            now = _Mark(self._ticks(), self._cpu())
            if now.ticks - self._latest.ticks >= WINDOW_SECONDS:
                self._before, self._latest = self._latest, now
            time_passed = now.ticks - self._before.ticks
            if time_passed <= 0:
                return 0.0
            return min(1.0, max(0.0, (now.cpu - self._before.cpu) / (time_passed * self._cores)))


@dataclass(frozen=True, slots=True)
class Signals:
    """What the face that shows metrics reads."""

    busy: Busy
    freshness: Freshness


def allowed_cores(file: Path = _CPU_MAX) -> float:
    """Return how many cores this process may use at once: what the control group grants, else all."""
    try:
        quota, period = file.read_text().split()[:2]
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such group, or `max`
        return float(os.cpu_count() or 1)


def _clock_of_this_thread() -> Callable[[], float]:
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)
