"""A stop that no caller notices: take no new connections, tell each caller with its next answer to go elsewhere, end.

An answer that says `connection: close` is the one way in HTTP/1.1 to end a connection without a race: a server that
just closes an idle one may do so while the next request is on its way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from .server import Server

LOOK_SECONDS = 0.02
CLOSE = (b"connection", b"close")


class DrainingServer(Server):
    """A server whose first SIGTERM begins a drain; a second one ends it at once."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None], *, seconds: float = 1.0) -> None:
        """`seconds`: how long callers may keep an idle connection before it is closed."""
        super().__init__(config, self._begun)
        self._say = listening
        self._seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._until: float | None = None
        self.draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; asked again, or before it listens, end."""
        if self._loop is None or self.draining:
            super().handle_exit(sig, frame)
            return
        self.draining = True
        self._loop.call_soon_threadsafe(self._drain)

    def _begun(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._say()

    def _drain(self) -> None:
        assert self._loop is not None
        for server in self.servers:
            server.close()
        # both ways of answering take these headers over, and close where they say so
        self.config.encoded_headers.append(CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]
        self._until = time.monotonic() + self._seconds
        self._look()

    def _look(self) -> None:
        assert self._loop is not None
        assert self._until is not None
        if not self.server_state.connections or time.monotonic() >= self._until:
            self.should_exit = True
            return
        self._loop.call_later(LOOK_SECONDS, self._look)
