"""Slow and idle connections: one look a second at all of them, in place of timers that each request would set.

Nobody who dawdles takes anything from others: a connection costs a few kilobytes, bodies that are half sent share one
budget, and where there is no room for more connections, those go that have waited longest.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterable
from enum import IntEnum
from typing import Protocol

KEEP_ALIVE_SECONDS = 75.0
HEAD_SECONDS = 15.0
BODY_SECONDS = 30.0
READING_SECONDS = 60.0
"""How long a caller may leave an answer unread."""
LOOK_SECONDS = 1.0
BODIES = 256_000_000
"""Bytes of half-sent bodies that are held at once."""
SPARE_FILES = 128


class Phase(IntEnum):
    """What a connection is doing."""

    NEW = 0
    """Nothing has come yet."""
    IDLE = 1
    """Between two requests."""
    HEAD = 2
    BODY = 3
    ANSWERING = 4
    """A request is whole; its answer is being made or read."""


PATIENCE = {
    Phase.NEW: HEAD_SECONDS,
    Phase.IDLE: KEEP_ALIVE_SECONDS,
    Phase.HEAD: HEAD_SECONDS,
    Phase.BODY: BODY_SECONDS,
    Phase.ANSWERING: READING_SECONDS,
}


class Watched(Protocol):
    """A connection as the watch sees it."""

    phase: Phase
    since: float
    """The watch's time at which the phase began."""
    unfinished: int
    """Bytes of the body that is being sent."""

    @property
    def stuck(self) -> bool:
        """Say whether an answer waits for the caller to read."""
        ...

    def give_up(self, why: str) -> None:
        """Say why, where the caller can still be told, and close."""
        ...


class Watch:
    """Looks after the connections of one process. One thread: the event loop's."""

    def __init__(self, *, most: int | None = None, bodies: int = BODIES) -> None:
        """`most`: connections at once; by default what the limit of open files leaves."""
        self.now = 0.0
        """The loop's time at the last look: good enough to date what happens, and free."""
        self.held = 0
        """Bytes of all half-sent bodies."""
        self.closed = 0
        """Connections that were given up."""
        self._most = _room() if most is None else most
        self._bodies = bodies
        self._connections: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Watched, loop: asyncio.AbstractEventLoop) -> None:
        """Look after a new connection; the longest waiting ones make room for it."""
        self.now = loop.time()
        self._connections.add(connection)
        connection.since = self.now
        if len(self._connections) > self._most:
            waiting = [one for one in self._connections if one.phase is not Phase.ANSWERING and one is not connection]
            self._end(_oldest(waiting)[: max(1, self._most // 50)], "There are too many connections.")
        if self._timer is None:
            self._timer = loop.call_later(LOOK_SECONDS, self._look, loop)

    def remove(self, connection: Watched) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        self.held -= connection.unfinished
        connection.unfinished = 0

    def hold(self, connection: Watched, size: int) -> None:
        """Note bytes of a body that is not whole yet; where they are too many, the slowest senders go."""
        connection.unfinished += size
        self.held += size
        if self.held > self._bodies:
            for one in _oldest(one for one in self._connections if one.unfinished):
                if self.held <= self._bodies * 3 // 4:
                    break
                self._end([one], "There is no room for more bodies that are half sent. Send again.")

    def release(self, connection: Watched) -> None:
        """Note that a body is whole."""
        self.held -= connection.unfinished
        connection.unfinished = 0

    def look(self, now: float) -> None:
        """Give up on whoever has taken too long."""
        self.now = now
        for one in list(self._connections):
            if now - one.since > PATIENCE[one.phase] and (one.phase is not Phase.ANSWERING or one.stuck):
                self._end([one], f"The request was not complete after {PATIENCE[one.phase]:.0f} s.")

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.look(loop.time())
        self._timer = loop.call_later(LOOK_SECONDS, self._look, loop) if self._connections else None

    def _end(self, connections: Iterable[Watched], why: str) -> None:
        for one in connections:
            self.remove(one)
            self.closed += 1
            one.give_up(why)


def _oldest(connections: Iterable[Watched]) -> list[Watched]:
    return sorted(connections, key=lambda one: one.since)


def _room() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(64, min(soft, 1_000_000) - SPARE_FILES)
