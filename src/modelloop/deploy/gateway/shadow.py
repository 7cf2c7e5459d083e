"""The shadow: challengers score answered requests off the path, in one thread, in small batches. No caller waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...ground.core.errors import ModelloopError
from ...ground.core.later import numpy as np
from ...register.signature import array
from ..log import frame
from .protocol import Asked
from .runtime import LoadedArm, run, score, values_for

CAPACITY = 10_000
BATCH_ROWS = 512
GATHER_SECONDS = 0.02

Write = Callable[[list[bytes]], object]


@dataclass(frozen=True, slots=True)
class ShadowJob:
    """One answered request that the challenger also scores."""

    prediction: str
    arm: LoadedArm
    asked: Asked


class Shadow:
    """A bounded queue and its thread. A full queue drops and counts: the path never waits."""

    def __init__(self, write: Write, *, capacity: int = CAPACITY) -> None:
        self.scored = 0
        self.dropped = 0
        self.failed = 0
        self._write = write
        self._capacity = capacity
        self._queue: deque[ShadowJob] = deque()
        self._some = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def offer(self, job: ShadowJob) -> None:
        """Queue a job, or drop and count it."""
        if len(self._queue) >= self._capacity:
            self.dropped += 1
            return
        self._queue.append(job)
        self._some.set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Score what is queued, then end; gives up after `seconds`."""
        self._stop.set()
        self._some.set()
        self._thread.join(seconds)

    def drain(self) -> None:
        """Score everything that is queued, in batches of one version each."""
        while self._queue:
            results = self._batch_results(self._next_batch())
            self._write([frame(result) for result in results])

    def _run(self) -> None:
        while not self._stop.is_set():
            self._some.wait()
            self._stop.wait(GATHER_SECONDS)
            self._some.clear()
            self.drain()

    def _next_batch(self) -> list[ShadowJob]:
        batch = [self._queue.popleft()]
        rows = batch[0].asked.rows
        while self._queue and self._queue[0].arm is batch[0].arm and rows + self._queue[0].asked.rows <= BATCH_ROWS:
            batch.append(self._queue.popleft())
            rows += batch[-1].asked.rows
        return batch

    def _batch_results(self, batch: Sequence[ShadowJob]) -> Iterable[dict[str, Any]]:
        try:
            parts = _together(batch)
        except ModelloopError:  # one request of many did it: each answers for itself
            return [self._alone(job) for job in batch]
        self.scored += len(batch)
        return [_result(job, part) for job, part in zip(batch, parts, strict=True)]

    def _alone(self, job: ShadowJob) -> dict[str, Any]:
        try:
            found = score(job.arm, job.asked).scores
        except ModelloopError as error:
            self.failed += 1
            return _result(job, None) | {"err": str(error)[:500]}
        self.scored += 1
        return _result(job, found)


def _together(batch: Sequence[ShadowJob]) -> list[list[float]]:
    """Score all jobs in one call; raises if anything is wrong with any of them."""
    arm = batch[0].arm
    values = [values_for(arm, job.asked) for job in batch]
    columns = {
        column.name: np.concatenate([array(column, part[column.name]) for part in values])
        for column in arm.signature.inputs
    }
    rows = [job.asked.rows for job in batch]
    found = run(arm, columns, sum(rows))
    return [part.tolist() for part in np.split(found, np.cumsum(rows)[:-1])]


def _result(job: ShadowJob, scores: list[float] | None) -> dict[str, Any]:
    return {"k": "s", "id": job.prediction, "v": job.arm.arm.version, "s": scores}
