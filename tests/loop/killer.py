"""Sends SIGKILL to the processes of a project, a random one at random moments, from a fixed seed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelloop.ground.pool.records import MAX_ATTEMPTS

KINDS = ("control", "worker", "gateway", "run")
SPARED = MAX_ATTEMPTS - 2
"""So often the process of one run is killed: a run that dies MAX_ATTEMPTS times by itself is rightly given up."""
RARE_SECONDS = 3.0
"""So long the killer waits for a process of the next kind before it takes another kind first."""


class Killer(threading.Thread):
    """Kills `kills` processes, as many of each kind: what `modelloop up` started, and the run that a worker started."""

    def __init__(self, state: Callable[[], dict[str, Any]], kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._state = state
        self._chance = random.Random(seed)
        self._deck = [KINDS[number % len(KINDS)] for number in range(kills)]
        self._chance.shuffle(self._deck)
        self._runs: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.enough = threading.Event()
        self.stopped = threading.Event()

    def run(self) -> None:
        while self._deck and not self.stopped.is_set():
            self.stopped.wait(self._chance.uniform(0.2, 1.5))
            self._kill_one()
        self.enough.set()

    def _kill_one(self) -> None:
        deadline = time.monotonic() + RARE_SECONDS
        while not self.stopped.is_set():
            patient = time.monotonic() < deadline
            for kind in dict.fromkeys(self._deck[:1] if patient else self._deck):
                if self._kill(kind):
                    self._deck.remove(kind)
                    self.done[kind] += 1
                    return
            self.stopped.wait(0.02)

    def _kill(self, kind: str) -> bool:
        wanted = "worker" if kind == "run" else kind
        living = [p["pid"] for p in self._state().get("processes", []) if p["kind"] == wanted and p["pid"]]
        if not living:
            return False
        pid, run = living[0], None
        if kind == "run":
            pid, run = next(iter(runs_of(living[0])), (None, None))
            if pid is None or self._runs[str(run)] >= SPARED:
                return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self._runs[str(run)] += 1
        return True


def runs_of(worker: int) -> list[tuple[int, str]]:
    """Return process and run id of the runs that a worker carries out, from /proc."""
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            argv = (place / "cmdline").read_text().split("\0")
        except (OSError, ValueError, IndexError):  # it ended while we looked
            continue
        if parent == worker and "run-child" in argv and "--run" in argv:
            found.append((int(place.name), argv[argv.index("--run") + 1]))
    return found
