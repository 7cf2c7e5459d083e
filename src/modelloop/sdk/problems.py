"""What went wrong beside the training: said once on stderr, counted, never raised."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping

MOST_KINDS = 100


class Problems:
    """Counts problems by their text, and says each the first time. Thread-safe."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self._tell = tell or to_stderr
        self._counts: dict[str, int] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def add(self, text: str, times: int = 1) -> None:
        """Count a problem, and say it if it is new; of more than MOST_KINDS kinds the rest is counted together."""
        with self._lock:
            key = text if text in self._counts or len(self._counts) < MOST_KINDS else "and others"
            new = key not in self._counts
            self._counts[key] = self._counts.get(key, 0) + times
        if new:
            self.say(text)

    def say(self, text: str) -> None:
        """Say something that is no problem of what was logged (a server that does not answer), once."""
        with self._lock:
            if text in self._told:
                return
            self._told.add(text)
        self._tell(text)

    def counted(self) -> Mapping[str, int]:
        """Return text -> how often."""
        with self._lock:
            return dict(self._counts)

    def reborn(self) -> None:
        """Make it usable in a forked child: another thread may have held the lock when the process was copied."""
        self._lock = threading.Lock()


def to_stderr(text: str) -> None:
    """Say a sentence on the process's own stderr: not on one that a run listens to."""
    out = sys.__stderr__
    if out is None:
        return
    try:
        out.write(f"modelloop: {text}\n")
        out.flush()
    except (OSError, ValueError):  # closed, or a full disk behind it: training goes on
        return
