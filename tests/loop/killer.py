"""Sends SIGKILL to the processes of a project, a random one at random moments, from a fixed seed."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from modelloop.ground.pool.records import MAX_ATTEMPTS

KINDS = ("control", "worker", "gateway", "run")
SPARED = MAX_ATTEMPTS - 2
"""So often the process of one run is killed: a run that dies MAX_ATTEMPTS times by itself is rightly given up."""
RUN_SECONDS = 4.0
"""About so long a run of this test takes: its process is killed at a random age up to that, or at a wanted moment."""
Moment = Callable[[str], bool]
"""Says of a run whether this is the moment to kill its process."""
RARE_SECONDS = 6.0
"""So long the killer waits for a process of the next kind before it takes another kind first."""


class Killer(threading.Thread):
    """Kills `kills` processes, as many of each kind: what `modelloop up` started, and the run that a worker started."""

    def __init__(
        self, state: Callable[[], dict[str, Any]], kills: int, seed: int, moments: Sequence[Moment] = ()
    ) -> None:
        super().__init__(daemon=True)
        self._state = state
        self._chance = random.Random(seed)
        self._deck = [KINDS[number % len(KINDS)] for number in range(kills)]
        self._chance.shuffle(self._deck)
        self._runs: Counter[str] = Counter()
        self._ages: dict[str, float] = {}
        self._moments = cycle([self._old_enough, *moments])
        self._age = 0.0
        self.done: Counter[str] = Counter()
        self.enough = threading.Event()
        self.stopped = threading.Event()

    def run(self) -> None:
        while self._deck and not self.stopped.is_set():
            self.stopped.wait(self._chance.uniform(0.2, 1.2))
            self._kill_one()
        self.enough.set()

    def _kill_one(self) -> None:
        deadline = time.monotonic() + RARE_SECONDS
        self._age = self._chance.uniform(0.0, RUN_SECONDS)
        self._moment = next(self._moments) if self._deck[0] == "run" else self._old_enough
        while not self.stopped.is_set():
            patient = time.monotonic() < deadline
            for kind in dict.fromkeys(self._deck[:1] if patient else self._deck):
                if self._kill(kind):
                    self._deck.remove(kind)
                    self.done[kind] += 1
                    return
            self.stopped.wait(0.02)

    def _kill(self, kind: str) -> bool:
        run: str | None = None
        wanted = "worker" if kind == "run" else kind
        living = [p["pid"] for p in self._state().get("processes", []) if p["kind"] == wanted and p["pid"]]
        if not living:
            return False
        pid = living[0]
        if kind == "run":
            self._ages = {run: age for _, run, age in runs_of(living[0])}
            ripe = [one for one in runs_of(living[0]) if self._runs[one[1]] < SPARED and self._moment(one[1])]
            if not ripe:
                return False
            pid, run, _ = ripe[0]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        if run is not None:
            self._runs[run] += 1
        return True

    def _old_enough(self, run: str) -> bool:
        return self._ages.get(run, 0.0) >= self._age


def runs_of(worker: int) -> list[tuple[int, str, float]]:
    """Return process, run id and age in seconds of the runs that a worker carries out, from /proc."""
    found = []
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            facts = (place / "stat").read_text().rpartition(")")[2].split()
            argv = (place / "cmdline").read_text().split("\0")
        except (OSError, ValueError, IndexError):  # it ended while we looked
            continue
        if int(facts[1]) == worker and "run-child" in argv and "--run" in argv:
            age = uptime - int(facts[19]) / os.sysconf("SC_CLK_TCK")
            found.append((int(place.name), argv[argv.index("--run") + 1], age))
    return found
