"""Lanes: where versions answer that are too slow for the event loop, or live in another process.

Opportunistic batching: whoever is free takes what is already waiting, at most `batch_rows`, and never waits for more.
Rows of several callers are put together, answered once and split; each caller gets the answers to its own rows, and an
error of one is nobody else's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ...ground.core.errors import InvalidInput, ModelloopError
from ...ground.core.later import numpy as np
from ...prepare.records import Columns
from ...register.parity import Runtime
from ...train.outside.records import Gone
from .edge import ArmError, contained

if TYPE_CHECKING:
    import numpy.typing as npt

    from ...register.package import LoadedPackage

Outputs: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
Done: TypeAlias = "Callable[[Outputs | ModelloopError], None]"
TRIES = 5
SLOW = 0.002
"""Seconds for one row: a version that takes longer answers in a lane, or everybody would wait for it."""
LINGER = 1.0
"""Seconds for which a closed lane still answers: a request that chose its version before the swap is not failed."""


class Lane(Protocol):
    """Where a version answers beside the event loop."""

    def submit(self, columns: Columns, rows: int, done: Done) -> None:
        """Have rows answered; never blocks.

        `done` is called exactly once, with the outputs of these rows alone, or an error: InvalidInput where the values
        are at fault, ArmError where the version is. It is called in a thread of the lane, or within this call where
        the lane is full, stuck or closed. It must not block.
        """
        ...

    def close(self) -> None:
        """Take nothing more after a moment's grace, answer what waits, and end what the lane has started.

        Returns at once.
        """
        ...

    @property
    def trouble(self) -> str:
        """Return why the version cannot answer at present; empty: it can."""
        ...

    @property
    def counts(self) -> LaneCounts:
        """Return what was counted so far."""
        ...


def lane_for(package: LoadedPackage, name: str, *, batch_rows: int = 64, timeout: float = 10.0) -> ThreadLane | None:
    """Let a version answer its golden sample, and return the lane it needs; None: it is fast enough for the loop.

    Raises ParityFailed where it answers otherwise than when it was registered, with whatever it started ended.
    """
    try:
        package.golden()
    except ModelloopError:
        package.close()
        raise
    if package.outside is None and _seconds_for_one(package) <= SLOW:
        return None
    return ThreadLane(package.scorer, name=name, batch_rows=batch_rows, timeout=timeout)


class Busy(ArmError):
    """Too many requests wait for the version."""

    status = 503


@dataclass(frozen=True, slots=True)
class LaneCounts:
    """What a lane has done, in requests but for `batches` and `rows`."""

    waiting: int = 0
    answered: int = 0
    failed: int = 0
    refused: int = 0
    """Turned away because too many were waiting."""
    timed_out: int = 0
    batches: int = 0
    rows: int = 0
    restarts: int = 0
    """Processes that were started in place of one that ended, hung or leaked."""


@dataclass(slots=True, eq=False)
class _Waiting:
    columns: Columns
    rows: int
    done: Done
    kind: tuple[Any, ...]
    """Only rows of the same types and sizes can be put together."""
    deadline: float
    over: bool = False


@dataclass(slots=True)
class _Tally:
    answered: int = 0
    failed: int = 0
    refused: int = 0
    timed_out: int = 0
    batches: int = 0
    rows: int = 0


@dataclass(slots=True)
class _Queue:
    """What is shared between callers, the worker and the watch; guarded by `awake`."""

    awake: threading.Condition = field(default_factory=threading.Condition)
    waiting: deque[_Waiting] = field(default_factory=deque)
    open: deque[_Waiting] = field(default_factory=deque)
    """All that have no answer yet, oldest first; waiting or being answered."""
    running_since: float | None = None
    stuck: str = ""
    closed_at: float | None = None
    over: bool = False


class ThreadLane:
    """A lane of one thread, which asks `scorer`; a second thread watches the time.

    A call that takes longer than `timeout` seconds makes the lane stuck: whoever waits or comes gets an ArmError at
    once, until the call returns. At most `most_waiting` requests wait. `scorer.close`, where there is one, is called
    when the lane ends.
    """

    def __init__(
        self,
        scorer: Runtime,
        *,
        name: str = "the version",
        batch_rows: int = 64,
        timeout: float = 10.0,
        most_waiting: int = 1024,
    ) -> None:
        self._scorer = scorer
        self._name = name
        self._batch_rows = batch_rows
        self._timeout = timeout
        self._most = most_waiting
        self._queue = _Queue()
        self._tally = _Tally()
        for work in (self._work, self._watch):
            threading.Thread(target=work, name=f"lane {name} {work.__name__}", daemon=True).start()

    def submit(self, columns: Columns, rows: int, done: Done) -> None:
        """Have rows answered; see `Lane`."""
        kind = tuple((name, array.dtype.char, array.shape[1:]) for name, array in columns.items())
        one = _Waiting(columns, rows, done, kind, time.monotonic() + self._timeout)
        queue = self._queue
        with queue.awake:
            refusal = self._refusal()
            if refusal is None:
                queue.waiting.append(one)
                queue.open.append(one)
                if queue.running_since is None:
                    queue.awake.notify()
        if refusal is not None:
            self._tell(one, refusal)

    def close(self) -> None:
        """Answer what waits, then end; see `Lane`."""
        with self._queue.awake:
            if self._queue.closed_at is None:
                self._queue.closed_at = time.monotonic()
            self._queue.awake.notify()

    @property
    def trouble(self) -> str:
        """Return why it cannot answer at present; empty: it can."""
        return self._queue.stuck or str(getattr(self._scorer, "trouble", ""))

    @property
    def counts(self) -> LaneCounts:
        """Return what was counted so far."""
        tally = self._tally
        return LaneCounts(
            waiting=len(self._queue.waiting),
            answered=tally.answered,
            failed=tally.failed,
            refused=tally.refused,
            timed_out=tally.timed_out,
            batches=tally.batches,
            rows=tally.rows,
            restarts=int(getattr(self._scorer, "restarts", 0)),
        )

    def _refusal(self) -> ArmError | None:
        """Return why a request cannot be taken. Call it with the lock held."""
        queue = self._queue
        if queue.over:
            return ArmError(f"{self._name} was taken out of service.")
        if queue.stuck:
            return ArmError(queue.stuck)
        if len(queue.waiting) < self._most:
            return None
        self._tally.refused += 1
        return Busy(f"{self._name} is busy: {len(queue.waiting)} requests wait for it.", hint="Ask again later.")

    def _work(self) -> None:
        while batch := self._take():
            self._answer(batch)
            with self._queue.awake:
                self._queue.running_since = None
                self._queue.stuck = ""
        close = getattr(self._scorer, "close", None)
        if close is not None:
            with suppress(ModelloopError):
                contained(close)

    def _take(self) -> list[_Waiting]:
        """Return what waits, as much as may go together; waits for the first only. Nothing: the lane has ended."""
        queue = self._queue
        with queue.awake:
            while True:
                while queue.waiting and queue.waiting[0].over:
                    queue.waiting.popleft()
                if queue.waiting:
                    break
                if queue.closed_at is not None and time.monotonic() >= queue.closed_at + LINGER:
                    queue.over = True
                    return []
                queue.awake.wait(None if queue.closed_at is None else LINGER)
            batch = [queue.waiting.popleft()]
            rows = batch[0].rows
            while queue.waiting and rows + queue.waiting[0].rows <= self._batch_rows:
                if queue.waiting[0].kind != batch[0].kind:
                    break
                one = queue.waiting.popleft()
                if not one.over:
                    batch.append(one)
                    rows += one.rows
            queue.running_since = time.monotonic()
            return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        if len(batch) > 1:
            found = self._run(_joined(batch), sum(one.rows for one in batch))
            if not isinstance(found, ModelloopError):
                _split(batch, found, self._tell)
                return
            if isinstance(found, _Ended):  # asking each for itself would take down the next process too
                for one in batch:
                    self._tell(one, found)
                return
        for one in batch:
            if not one.over:
                with self._queue.awake:
                    self._queue.running_since = time.monotonic()
                self._tell(one, self._run(one.columns, one.rows))

    def _run(self, columns: Columns, rows: int) -> Outputs | ModelloopError:
        """Return the outputs, of `rows` rows each, or why there are none."""
        self._tally.batches += 1
        self._tally.rows += rows
        try:
            found = contained(partial(self._scorer.outputs, columns))
        except InvalidInput as error:
            return error
        except Gone as error:
            return _Ended(f"{self._name} cannot answer: {error}")
        except ModelloopError as error:
            return ArmError(f"{self._name} failed: {error}")
        wrong = [name for name, one in found.items() if not isinstance(one, np.ndarray) or one.shape[:1] != (rows,)]
        if wrong or not found:
            shapes = ", ".join(f"{name} {getattr(found[name], 'shape', type(found[name]).__name__)}" for name in wrong)
            return ArmError(f"{self._name} gave a wrong answer to {rows} rows: {shapes or 'no outputs'}.")
        return {name: np.ascontiguousarray(one) for name, one in found.items()}

    def _tell(self, one: _Waiting, answer: Outputs | ModelloopError) -> None:
        """Give a caller its answer, unless it has one."""
        with self._queue.awake:
            if one.over:
                return
            one.over = True
            failed = isinstance(answer, ModelloopError)
            self._tally.failed += failed
            self._tally.answered += not failed
        with suppress(ModelloopError):  # a caller that is gone takes nobody else along
            contained(partial(one.done, answer))

    def _watch(self) -> None:
        """Fail what is too late, and see when a call does not return."""
        pause = min(max(self._timeout / 10, 0.01), 0.25)
        while not (self._queue.over and not self._queue.open):
            time.sleep(pause)
            for one, why in self._late(time.monotonic()):
                self._tell(one, ArmError(why))

    def _late(self, now: float) -> list[tuple[_Waiting, str]]:
        queue = self._queue
        late = f"{self._name} did not answer within {self._timeout:g} seconds."
        with queue.awake:
            if queue.running_since is not None and now - queue.running_since > self._timeout:
                queue.stuck = f"{self._name} hangs: one call has taken longer than {self._timeout:g} seconds."
                if queue.closed_at is not None:
                    queue.over = True
            found = [(one, queue.stuck or late) for one in queue.open if queue.stuck or one.deadline <= now]
            found = [(one, why) for one, why in found if not one.over]
            self._tally.timed_out += len(found)
            while queue.open and (queue.open[0].over or queue.stuck or queue.open[0].deadline <= now):
                queue.open.popleft()
            return found


class _Ended(ArmError):
    """The process in which the version answers has ended."""

    status = 503


def _seconds_for_one(package: LoadedPackage) -> float:
    """Return how long one row takes, of a few tries the median; nothing where the sample is empty."""
    one = {name: values[:1] for name, values in package.sample.items()}
    if not all(map(len, one.values())):
        return 0.0
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        package.scorer.outputs(one)
        taken.append(time.perf_counter() - began)
    return sorted(taken)[TRIES // 2]


def _joined(batch: list[_Waiting]) -> Columns:
    return {name: np.concatenate([one.columns[name] for one in batch]) for name in batch[0].columns}


def _split(batch: list[_Waiting], found: Outputs, tell: Callable[[_Waiting, Outputs], None]) -> None:
    start = 0
    for one in batch:
        end = start + one.rows
        tell(one, {name: array[start:end] for name, array in found.items()})
        start = end
