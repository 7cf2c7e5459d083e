"""A model in a process of its own, asked like any other. What happens to the process happens to nothing else.

A keeper thread starts the process, looks at it about once a second, and starts another one where it ended, hangs or has
grown: at once the first time, then after ever longer pauses. In between, calls fail at once and say why.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

from ...ground.core.errors import ModelloopError
from ...ground.core.later import numpy as np
from ...prepare.records import Columns
from .places import make_place
from .records import Gone, Limits, Served
from .started import Started

if TYPE_CHECKING:
    import numpy.typing as npt

STEADY = 10.0
"""Seconds after which a process counts as well: the next one that follows it is started at once."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
_KINDS = {"FP64": "f", "FP32": "f", "INT64": "iu", "BOOL": "b", "BYTES": "O"}


class ProcessRuntime:
    """Answers through a process that it starts at the first question. Safe to call from several threads.

    `write` puts the model's files into a folder. The process ends with `close`, or when nobody holds this object.
    """

    def __init__(
        self, served: Served, write: Callable[[Path], None], *, name: str = "the model", limits: Limits | None = None
    ) -> None:
        self.served = served
        self._kept = Kept(served, write, name, limits or Limits())
        self.close = finalize(self, self._kept.close)
        """End the process for good."""

    @property
    def trouble(self) -> str:
        """Return why it cannot answer at present; empty: it can, or nobody has asked yet."""
        return self._kept.trouble

    @property
    def pid(self) -> int | None:
        """Return the number of the process that answers."""
        process = self._kept.process
        return None if process is None else process.pid

    @property
    def restarts(self) -> int:
        """Return how many processes were started in place of another."""
        return self._kept.restarts

    @property
    def recycled(self) -> int:
        """Return how many of them took the place of one that had grown."""
        return self._kept.recycled

    def outputs(self, columns: Columns) -> Mapping[str, npt.NDArray[Any]]:
        """Return all outputs by name, the headline first. Raises Gone where there is no process, or it ended."""
        rows = len(columns[self.served.inputs[0].name])
        if not rows:
            return {name: np.empty((0, *shape), _empty(kind)) for name, (kind, shape) in _ordered(self.served)}
        return _checked(self.served, self._kept.ask(columns), rows)

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return the headline as one number a row; of probabilities the place of the largest."""
        found = self.outputs(columns)[self.served.output]
        made = found.argmax(axis=1) if found.ndim == 2 else found
        return np.asarray(made, dtype=np.float64)


class Kept:
    """The process behind a runtime, whichever it is at the moment."""

    def __init__(self, served: Served, write: Callable[[Path], None], name: str, limits: Limits) -> None:
        self.served = served
        self.limits = limits
        self.restarts = 0
        """Processes that were started in place of another."""
        self.recycled = 0
        """Those of them that took the place of one that had grown."""
        self._write = write
        self._name = name
        self._asking = threading.Lock()
        self._changed = threading.Condition()
        self.process: Started | None = None
        self._why = "its process is being started"
        self._keeper: threading.Thread | None = None
        self._closed = False

    @property
    def trouble(self) -> str:
        """Return why it cannot answer at present; empty: it can, or nobody has asked yet."""
        return "" if self.process is not None or self._keeper is None else self._why

    def ask(self, columns: Columns) -> Mapping[str, npt.NDArray[Any]]:
        """Return what the process answers; raises Gone where there is none, or it ended."""
        self._begun()
        with self._asking:
            process = self.process
            if process is None:
                raise Gone(f"{self._name}: {self._why}.", hint="It is started again by itself.")
            try:
                return process.ask(columns, self.limits.answer_seconds)
            except Gone as error:
                self._lost(process, error.message)
                raise Gone(f"{self._name}: {error.message}.", hint="It is started again by itself.") from error

    def close(self) -> None:
        """End the process for good."""
        with self._changed:
            self._closed = True
            process, self.process, self._why = self.process, None, "it was closed"
            self._changed.notify_all()
        if process is not None:
            process.end()
        if self._keeper is not None and self._keeper is not threading.current_thread():
            self._keeper.join(5.0)

    def _begun(self) -> None:
        """Start the keeper with the first question, and wait until it has tried once."""
        with self._changed:
            if self._closed:
                raise Gone(f"{self._name}: {self._why}.")
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name=f"keeper {self._name}", daemon=True)
                self._keeper.start()
                self._changed.wait_for(lambda: self.process or self._closed or self._tried, self.limits.start_seconds)

    @property
    def _tried(self) -> bool:
        return self._why != "its process is being started"

    def _keep(self) -> None:
        """Keep a process there. Only this thread starts any: the kernel ends them with the thread that did."""
        place = make_place()
        try:
            self._write(place / "model")
        except ModelloopError as error:
            self._say(f"its files cannot be read: {error}")
            shutil.rmtree(place, ignore_errors=True)
            return
        failures = 0
        while not self._closed:
            process = self.process
            if process is None:
                self._pause(failures)
                self._start(place, again=failures > 0)
                failures += 1
            else:
                if time.monotonic() - process.since > STEADY:
                    failures = min(failures, 1)
                self._rest(process)
                if self.process is process and not self._closed:
                    self._look(process, place)
        shutil.rmtree(place, ignore_errors=True)

    def _rest(self, process: Started) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.process is not process, self.limits.beat_seconds)

    def _pause(self, failures: int) -> None:
        if failures < 2:  # the first start, and the first one after it was well
            return
        seconds = min(FIRST_PAUSE * 2 ** min(failures - 2, 20), LONGEST_PAUSE)
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)

    def _start(self, place: Path, *, again: bool) -> None:
        if self._closed:
            return
        self.restarts += again
        try:
            process = Started(place, self.served, self.limits)
            process.wait_ready(self.limits.start_seconds)
        except Gone as error:
            self._say(error.message)
            return
        if not self._put(process, in_place_of=None):
            process.end()

    def _put(self, process: Started, *, in_place_of: Started | None) -> bool:
        """Have a process answer from now on; say whether it does: not after `close`, nor where another one came."""
        with self._changed:
            kept = self.process is in_place_of and not self._closed
            if kept:
                self.process = process
                self._changed.notify_all()
            return kept

    def _look(self, process: Started, place: Path) -> None:
        """See that it lives, listens, and takes no more than it may."""
        most = self.limits.memory or self.served.memory
        taken = process.memory()
        if (ended := process.ended()) is not None:
            self._lost(process, ended)
        elif taken > most:
            why = f"Its process took {taken >> 20} MB of memory, at most {most >> 20} are allowed"
            process.end(why)
            self._lost(process, why)
        elif process.asked and not process.first_memory:
            process.first_memory = taken
        elif process.first_memory and taken - process.first_memory > self.limits.growth:
            self._recycle(process, place)
        elif self._asking.acquire(blocking=False):
            try:
                process.beat(self.limits.answer_seconds)
            except Gone as error:
                self._lost(process, error.message)
            finally:
                self._asking.release()

    def _recycle(self, old: Started, place: Path) -> None:
        """Put another process in the place of one that has grown; whoever asks waits for nothing."""
        try:
            process = Started(place, self.served, self.limits)
            process.wait_ready(self.limits.start_seconds)
        except Gone:
            return  # the old one answers still; it is tried again at the next look
        with self._asking:
            kept = self._put(process, in_place_of=old)
        self.restarts += kept
        self.recycled += kept
        (old if kept else process).end()

    def _lost(self, process: Started, why: str) -> None:
        process.end()
        with self._changed:
            if self.process is process:
                self.process, self._why = None, why.rstrip(".")
                self._changed.notify_all()

    def _say(self, why: str) -> None:
        with self._changed:
            self._why = why.rstrip(".")
            self._changed.notify_all()


def _ordered(served: Served) -> list[tuple[str, tuple[str, tuple[int, ...]]]]:
    return sorted(served.outputs.items(), key=lambda item: item[0] != served.output)


def _checked(served: Served, found: Mapping[str, npt.NDArray[Any]], rows: int) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs in order; raises WrongAnswer unless they are as the signature says."""
    made = {}
    for name, (kind, shape) in _ordered(served):
        one = found.get(name)
        fits = one is not None and one.ndim == len(shape) + 1 and len(one) == rows and _alike(one.shape[1:], shape)
        if one is None or not fits or one.dtype.kind not in _KINDS.get(kind, ""):
            said = "is missing" if one is None else f"is {one.dtype} {one.shape}"
            raise WrongAnswer(f"{rows} rows were answered wrongly: {name} {said}; {kind} {(rows, *shape)} is expected.")
        made[name] = one
    more = sorted(found.keys() - made.keys())
    if more:  # words where a number was answered, or several numbers: the headline is made of them, and means nothing
        raise WrongAnswer(f"{rows} rows were answered wrongly: {more[0]} came too; {', '.join(made)} is expected.")
    return made


class WrongAnswer(ModelloopError):
    """The model answered otherwise than its signature says."""


def _alike(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return all(want in (-1, have) for have, want in zip(found, expected, strict=True))


def _empty(kind: str) -> Any:
    return {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "BOOL": np.bool_}.get(kind, np.object_)
