"""One thread that writes for all clients of a process: what waits is written together (group commit).

SQLite has one writer at a time; threads that each open a transaction would wait for one another by sleeping. Here they
hand over what they have, and one transaction takes the batches of all of them. The answer comes after the commit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from ...ground.core.errors import InvalidInput, StoreUnavailable
from ...ground.store.context import Context
from .actions.logging import apply, apply_points
from .records import Batch

P = ParamSpec("P")
R = TypeVar("R")
GROUP = 20_000
"""How many metrics, params and tags one transaction takes, about: some tenths of a second of work."""

_Waiting = tuple[Batch, "Future[None]"]


class Writer:
    """Writes in the order in which it is told. Thread-safe; close it, or leave it to the end of the process.

    Whoever ends the process in order loses nothing: its end waits for what was handed over.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._woken = False
        self._driver: PoolProxiedConnection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="modelloop-writer")

    def submit(self, batch: Batch) -> Future[None]:
        """Hand over a batch; the future ends when it is committed, or raises why it was refused."""
        future: Future[None] = Future()
        with self._lock:
            if not self._woken:
                self._wake()
            self._waiting.append((batch, future))
        return future

    def _wake(self) -> None:
        try:
            self._thread.submit(self._write_groups)
        except RuntimeError as error:
            raise StoreUnavailable("This process ends: nothing is written any more.", hint="Send it again.") from error
        self._woken = True

    def run(self, action: Callable[Concatenate[Context, P], R], *args: P.args, **options: P.kwargs) -> Future[R]:
        """Carry out any other action that writes, in the writer's thread and in its turn."""
        return self._thread.submit(action, self._ctx, *args, **options)

    def close(self) -> None:
        """Write what was handed over, then end; afterwards `submit` raises StoreUnavailable."""
        self._thread.shutdown(wait=True)
        if self._driver is not None:
            self._driver.invalidate()  # in autocommit, it is no connection for others
            self._driver = None

    def _apply(self, batches: Sequence[Batch]) -> Sequence[Any]:
        """Write the shortest way, else the way that can say what is wrong. Points that came twice are one point."""
        try:
            self._driver = self._driver or self._ctx.db.driver()
            if apply_points(self._ctx, self._driver, batches):
                return [None] * len(batches)
        except self._ctx.db.engine.dialect.loaded_dbapi.Error:
            if self._driver is not None:
                self._driver.invalidate()
            self._driver = None
        return apply(self._ctx, batches)

    def _write_groups(self) -> None:
        """Write a group; other actions come before the next."""
        taken, more = self._take()
        try:
            if taken:
                self._write(taken)
        finally:
            if more:
                self._go_on()

    def _go_on(self) -> None:
        try:
            self._thread.submit(self._write_groups)
        except RuntimeError:  # being closed: there is no turn but this one
            self._write_groups()

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Return what is written next, and whether something else waits."""
        taken: list[_Waiting] = []
        weight = 0
        with self._lock:
            while self._waiting and weight < GROUP:
                one = self._waiting.popleft()
                weight += 1 + len(one[0].metrics) + len(one[0].params) + len(one[0].tags)
                taken.append(one)
            more = self._woken = bool(self._waiting)
        return [one for one in taken if one[1].set_running_or_notify_cancel()], more

    def _write(self, taken: Sequence[_Waiting]) -> None:
        try:
            answers: Sequence[Any] = self._apply([batch for batch, _ in taken])
        except SQLAlchemyError as error:
            if len(taken) > 1:  # what no check foresaw is the fault of one of them: the others are written
                for one in taken:
                    self._write([one])
                return
            answers = [_unforeseen(error)]
        except StoreUnavailable as error:
            answers = [error] * len(taken)
        except BaseException as error:
            for _, future in taken:
                future.set_exception(error)
            raise
        for (_, future), answer in zip(taken, answers, strict=True):
            if answer is None:
                future.set_result(None)
            else:
                future.set_exception(answer)


def _unforeseen(error: SQLAlchemyError) -> InvalidInput:
    reason = str(getattr(error, "orig", error)).strip().partition("\n")[0]
    return InvalidInput(f"The database does not take this: {reason}.", hint="Nothing of it was written.")
