"""What a person sees while trials are under way: a bar, the best so far, the time left. Nothing where nobody looks."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .events import Event, Failed, Finished, Reported, Stopped, Value


class Watch:
    """Follows the events of a crew: counts what is over, keeps the best, estimates the time left. Shows nothing."""

    def __init__(self, total: int | None, *, metric: str, direction: str, at_once: int = 1) -> None:
        self.total, self.metric, self.direction, self.at_once = total, metric, direction, at_once
        self.done = self.failed = self.stopped = 0
        self.best: float | None = None
        self.best_number = -1
        self.last_error = ""
        self._seconds = 0.0
        self._began = time.monotonic()

    def take(self, event: Event) -> bool:
        """Take an event in; return whether a trial is over with it."""
        if isinstance(event, Reported):
            return False
        self.done += 1
        self._seconds += event.seconds
        if isinstance(event, Failed):
            self.failed += 1
            self.last_error = event.error.partition("\n")[0]
        elif isinstance(event, Stopped):
            self.stopped += 1
        elif isinstance(event, Finished):
            self._weigh(event.number, headline(event.value, self.metric))
        return True

    @property
    def seconds_left(self) -> float | None:
        """Return how long the rest will take as trials have taken so far; None: not known."""
        if not self.done or self.total is None:
            return None
        return max(0, self.total - self.done) * self._seconds / self.done / max(1, self.at_once)

    @property
    def told(self) -> str:
        """Return how it stands, in a few words."""
        best = "" if self.best is None else f"best {self.metric} {self.best:.5g} (#{self.best_number})"
        return ", ".join(word for word in (best, self.counted) if word)

    @property
    def counted(self) -> str:
        """Return how many were stopped or failed."""
        words = [f"{self.stopped} stopped"] if self.stopped else []
        words += [f"{self.failed} failed: {self.last_error[:60]}"] if self.failed else []
        return ", ".join(words)

    def _weigh(self, number: int, value: float | None) -> None:
        if value is None or not math.isfinite(value):
            return
        better = self.best is None or (value > self.best if self.direction == "higher" else value < self.best)
        if better:
            self.best, self.best_number = value, number


class Bar:
    """A bar on the terminal, fed with events. `shown`: None is only where standard error is a terminal.

    Used as a context: what it drew stays when it is left, as one line.
    """

    def __init__(self, watch: Watch, *, title: str = "trials", shown: bool | None = None, file: TextIO | None = None):
        out = file or sys.stderr
        self.watch = watch
        self._shown = out.isatty() if shown is None else shown
        self._title = title
        self._progress = _drawn(out) if self._shown else None
        self._task: Any = None

    def __enter__(self) -> Bar:
        if self._progress is not None:
            self._progress.start()
            self._task = self._progress.add_task(self._title, total=self.watch.total, told="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def take(self, event: Event, told: str = "") -> None:
        """Take an event in, and draw. `told`: what is said of the best, where that is no single trial."""
        over = self.watch.take(event)
        if self._progress is not None and over:
            words = ", ".join(word for word in (told, self.watch.counted) if word) if told else self.watch.told
            self._progress.update(self._task, completed=self.watch.done, total=self.watch.total, told=words)


def headline(value: Value, metric: str) -> float | None:
    """Return the one number of a value that counts: that named as the metric, or the first."""
    if isinstance(value, Mapping):
        return value.get(metric, next(iter(value.values()), None))
    if isinstance(value, tuple):
        return value[0] if value else None
    return value


def _drawn(out: TextIO) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        console=Console(file=out),
        refresh_per_second=4,
    )
