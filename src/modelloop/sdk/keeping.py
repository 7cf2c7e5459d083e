"""The thread that keeps: five times a second it writes what was logged into the spool.

The caller's side of `run.log` is one append to a queue. Where the queue grows long the caller writes it into the spool
itself, so memory stays bounded, and waits for nobody else.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ground.flow.failure import attempt
from .names import plain, wrong_path
from .problems import Problems
from .spool import Record, Spool
from .values import Piece

EVERY = 0.2
LONGEST_QUEUE = 20_000
ROWS = 1000
"""A frame of metrics holds at most so many: what one request may hold."""
PAIRS = 100
INLINE = 16 * 1024 * 1024
"""Bytes for which the disk has no room wait in memory, up to this size each."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Params or tags."""

    kind: str
    """p or t"""
    items: dict[str, str]


@dataclass(frozen=True, slots=True)
class Printed:
    """A piece of output."""

    text: str


Point = tuple[str, float, int, int]
Item = Point | Pairs | Printed | Piece


class Keeper:
    """Moves what is logged from the queue into the spool. `drain` may be called from any thread."""

    def __init__(self, spool: Spool, problems: Problems) -> None:
        self.queue: deque[Item] = deque()
        self._spool, self._problems = spool, problems
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="modelloop-keep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def relieve(self) -> None:
        """Write a queue that grew long, unless somebody is at it and it is not that long."""
        if self._writing.acquire(blocking=len(self.queue) > 10 * LONGEST_QUEUE):
            try:
                self._drain()
            finally:
                self._writing.release()

    def drain(self) -> None:
        """Write all that waits."""
        with self._writing:
            self._drain()

    def stop(self) -> None:
        """End the thread, then write what is left."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        self.drain()

    def write(self, record: Record) -> None:
        """Write one record behind all that waits."""
        with self._writing:
            self._drain()
            self._spool.append([record])

    def _work(self) -> None:
        while not self._stop.wait(EVERY):
            self.drain()

    def _drain(self) -> None:
        queue, rows, records, printed = self.queue, list[Point](), list[Record](), list[str]()
        for _ in range(len(queue)):
            item = queue.popleft()
            if type(item) is tuple:
                rows.append(item)
                if len(rows) == ROWS:
                    records.append({"k": "m", "rows": rows})
                    rows = []
            elif isinstance(item, Printed):
                printed.append(item.text)
            else:
                records += self._records(item)
        if rows:
            records.append({"k": "m", "rows": rows})
        if printed and not self._spool.print("".join(printed)):
            self._problems.add("Output was not kept: it is too long, or the disk is full.")
        lost = self._spool.lost
        if records:
            self._spool.append(records)
        if self._spool.lost > lost:
            self._problems.add("Values were lost: the disk is full, and so is the memory set aside for that.")

    def _records(self, item: Any) -> list[Record]:
        if isinstance(item, Pairs):
            listed = list(item.items.items())
            return [{"k": item.kind, "items": dict(listed[at : at + PAIRS])} for at in range(0, len(listed), PAIRS)]
        record, error = attempt(lambda: self._file(item))
        if error is not None:
            self._problems.add(f"The artifact {item.path[:80]!r} was not kept: {type(error).__name__}: {error}")
        return [record] if record else []

    def _file(self, piece: Piece) -> Record:
        """Return the record of a file, made now if it was left to the background."""
        assert piece.make is not None
        return file_record(self._spool, piece.path, piece.make())


def file_record(spool: Spool, path: str, source: Any) -> Record:
    """Copy a file or bytes into the spool and return its record; where there is no room, one that does without."""
    try:
        return {"k": "a", "path": path, "file": spool.keep(source)}
    except OSError:
        if not isinstance(source, bytes):
            source.stat()  # a file that is not there is another problem than a full disk
            return {"k": "a", "path": path, "source": str(source)}
        if len(source) > INLINE:
            raise
        return {"k": "a", "path": path, "data": source}


def checked(pieces: list[Piece], problems: Problems) -> list[Piece]:
    """Return the files whose names can be kept; the others are problems."""
    good = []
    for piece in pieces:
        wrong = wrong_path(piece.path)
        if wrong:
            problems.add(wrong)
        else:
            good.append(piece)
    return good


def pairs(kind: str, items: dict[str, str]) -> Pairs:
    """Return params or tags as they are kept."""
    return Pairs(kind, {name: plain(value) for name, value in items.items()})


def now_ms() -> int:
    """Return the time in milliseconds."""
    return time.time_ns() // 1_000_000


Clock = Callable[[], int]
