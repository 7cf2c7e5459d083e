"""The shadow: challengers score answered requests off the path, in one thread, in small batches. No caller waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import ModelloopError
from ...ground.core.later import numpy as np
from ...prepare.records import Columns
from ..log import frame
from .asked import Asked
from .edge import ArmError
from .recording import written_outputs
from .runtime import LoadedArm, Scored, columns_for, run, settled

if TYPE_CHECKING:
    import numpy.typing as npt

CAPACITY = 10_000
BATCH_ROWS = 512
GATHER_SECONDS = 0.1
"""How long jobs gather. A batch costs its core's caches what the event loop had in them: so there are ten a second."""
LANE_SECONDS = 60.0
"""After how long a lane that never answers is given up; lanes have a time limit of their own."""

Write = Callable[[list[bytes]], object]


@dataclass(slots=True)
class ShadowJob:
    """One answered request that the challenger also scores, with its columns, or what they can be made of.

    Not frozen, because that makes making one three times as dear; nobody changes it.
    """

    prediction: str
    arm: LoadedArm
    asked: Asked | None
    columns: Columns | None
    rows: int
    raw: bytes | None = None
    """In place of both: one row of the one FP32 tensor that the version takes, little-endian.

    A few bytes, where an array and what names it are five objects, made on one core and read and freed on another.
    """
    at: float = field(default_factory=time.monotonic)


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

    @property
    def waiting(self) -> int:
        """Return how many jobs are queued."""
        return len(self._queue)

    @property
    def lag(self) -> float:
        """Return for how many seconds the oldest job has waited."""
        try:
            return max(0.0, time.monotonic() - self._queue[0].at)
        except IndexError:
            return 0.0

    def offer(self, job: ShadowJob) -> None:
        """Queue a job, or drop and count it."""
        if len(self._queue) >= self._capacity:
            self.dropped += 1
            return
        self._queue.append(job)
        if not self._some.is_set():
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
            self._write(self._batch_frames(self._next_batch()))

    def _run(self) -> None:
        while not self._stop.is_set():
            self._some.wait()
            self._stop.wait(GATHER_SECONDS)
            self._some.clear()
            self.drain()

    def _next_batch(self) -> list[ShadowJob]:
        batch = [self._queue.popleft()]
        rows = batch[0].rows
        while self._queue and self._queue[0].arm is batch[0].arm and rows + self._queue[0].rows <= BATCH_ROWS:
            batch.append(self._queue.popleft())
            rows += batch[-1].rows
        return batch

    def _batch_frames(self, batch: Sequence[ShadowJob]) -> list[bytes]:
        try:
            scored = _together(batch)
        except ModelloopError:  # one request of many did it: each answers for itself
            return [self._alone(job) for job in batch]
        self.scored += len(batch)
        return _frames(batch, scored)

    def _alone(self, job: ShadowJob) -> bytes:
        try:
            scored = _together([job])
        except ModelloopError as error:
            self.failed += 1
            facts = {"k": "s", "id": job.prediction, "v": job.arm.arm.version, "s": None, "err": str(error)[:500]}
            return frame(facts)
        self.scored += 1
        return _frames([job], scored)[0]


def _together(batch: Sequence[ShadowJob]) -> Scored:
    """Score all jobs in one call; raises if anything is wrong with any of them."""
    arm = batch[0].arm
    raws = [job.raw for job in batch if job.raw is not None]
    if len(raws) == len(batch):
        return _run_anywhere(arm, _of_rows(arm, raws), len(raws))
    parts = [_columns(job) for job in batch]
    columns = parts[0] if len(parts) == 1 else _joined(parts)
    return _run_anywhere(arm, columns, sum(job.rows for job in batch))


def _frames(batch: Sequence[ShadowJob], scored: Scored) -> list[bytes]:
    """Return a record for each job."""
    arm, each = batch[0].arm, round(scored.milliseconds / len(batch), 4)
    facts: dict[str, Any] = {"k": "s", "v": arm.arm.version, "ms": each}
    frames, start = [], 0
    for job in batch:
        end = start + job.rows
        facts["id"], facts["s"] = job.prediction, scored.scores[start:end]
        if arm.signature.outputs:
            facts |= written_outputs(arm.signature, {name: one[start:end] for name, one in scored.outputs.items()})
        frames.append(frame(facts))
        start = end
    return frames


def _of_rows(arm: LoadedArm, raws: Sequence[bytes]) -> Columns:
    (spec,) = arm.signature.tensors
    return {spec.name: np.frombuffer(bytearray().join(raws), dtype="<f4").reshape(-1, *spec.shape[1:])}


def _columns(job: ShadowJob) -> Columns:
    if job.raw is not None:
        return _of_rows(job.arm, [job.raw])
    if job.columns is not None:
        return job.columns
    if job.asked is None:
        raise ArmError(f"{job.arm.arm.version} was given nothing to score.")
    return columns_for(job.arm, job.asked)


def _joined(parts: Sequence[Columns]) -> Columns:
    try:
        return {name: _concatenated([part[name] for part in parts]) for name in parts[0]}
    except ValueError as error:
        raise ArmError("Requests of other sizes are scored one by one.") from error


def _concatenated(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(arrays)


def _run_anywhere(arm: LoadedArm, columns: Columns, rows: int) -> Scored:
    """Score in this thread, or in the version's lane: it may live in another process."""
    if arm.lane is None:
        return run(arm, columns, rows)
    there = threading.Event()
    answers: list[Any] = []
    started = time.perf_counter()

    def done(found: Any) -> None:
        answers.append(found)
        there.set()

    arm.lane.submit(columns, rows, done)
    if not there.wait(LANE_SECONDS):
        raise ArmError(f"{arm.arm.version} did not answer.")
    if isinstance(answers[0], ModelloopError):
        raise answers[0]
    return settled(arm, answers[0], rows, (time.perf_counter() - started) * 1000)
