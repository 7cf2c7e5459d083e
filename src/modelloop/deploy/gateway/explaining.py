"""Explanations are computed in a thread of their own: a few thousand scores must not hold up anybody's answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import Full, Queue
from threading import Thread
from typing import Any

from ...ground.core.errors import InvalidInput, ModelloopError, NotReady
from ...prepare.records import Columns
from .edge import contained
from .explain import BUDGET, contributions
from .runtime import LoadedArm

WAITING = 64
"""Requests that may wait to be explained."""
_Job = tuple[LoadedArm, Columns, Callable[[Any], None]]


class Explainer:
    """Explains one request after the other; `submit` is what the gateway asks (`asking.Explains`)."""

    def __init__(self, *, waiting: int = WAITING, budget: int = BUDGET) -> None:
        self._budget = budget
        self._queue: Queue[_Job | None] = Queue(waiting)
        self._thread = Thread(target=self._work, name="explainer", daemon=True)
        self._thread.start()

    def submit(self, arm: LoadedArm, columns: Columns, done: Callable[[Any], None]) -> None:
        """Call `done` once, with `{"base": [...], "contributions": {input: [...]}}` or a ModelloopError."""
        try:
            self._queue.put_nowait((arm, columns, done))
        except Full:
            done(NotReady("Too many requests wait to be explained.", hint="Ask again later, or leave explain out."))

    def close(self) -> None:
        """Explain what waits, then stop."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            arm, columns, done = job
            try:
                found: Any = contained(partial(self._explained, arm, columns))
            except ModelloopError as error:
                found = error
            done(found)

    def _explained(self, arm: LoadedArm, columns: Columns) -> dict[str, Any]:
        if arm.background is None or arm.signature.tensors:
            raise InvalidInput(
                f"{arm.arm.version} cannot be explained: it is not asked with columns.", hint="Leave explain out."
            )
        if any(one.raw for one in arm.signature.inputs):
            raise InvalidInput(f"{arm.arm.version} looks at pictures, which are not explained.")
        scorer: Any = arm.scorer
        return contributions(scorer, columns, arm.background, budget=self._budget).as_json()
