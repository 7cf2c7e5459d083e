"""How a gateway process is started: its command, and what its starter holds for it."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from ...ground.core.errors import AddressRefused
from ...ground.core.settings import Settings
from .listening import bound

BACKLOG = 2048


def gateway_argv(
    settings: Settings, port: int, name: str, *, face: str = "http", share: bool = False
) -> tuple[str, ...]:
    """Return the command of a gateway: it gets the store's address and folders, no database."""
    state = settings.home / "gateways"
    words = [
        sys.executable, "-m", "modelloop.deploy.gateway", "--blobs", settings.blobs_url, "--predictions",
        str(settings.predictions), "--state", str(state), "--host", settings.host, "--port", str(port), "--id", name,
        "--face", face, "--http", settings.gateway_http,
    ]  # fmt: skip
    if settings.routing is not None:
        words += ["--routing", settings.routing]
    if settings.routing_token_file is not None:
        words += ["--routing-token", str(settings.routing_token_file)]
    key = settings.home / "secrets" / "log-key"
    if key.exists():
        words += ["--log-key", str(key)]
    if not settings.is_local and settings.allow_remote:
        words.append("--allow-remote")
    if share:
        words.append("--share-port")
    return tuple(words)


@dataclass(slots=True)
class Held:
    """A listening socket that outlives the processes which answer at it, and a pipe on which each says that it does.

    Callers that come while a process is started again wait in the socket's queue.
    """

    host: str
    port: int
    share: bool
    """Several sockets are bound to this port."""
    _listener: socket.socket | None = None
    _pipe: int = -1
    _up: bool = field(default=False)

    def hand_down(self) -> tuple[tuple[str, ...], tuple[int, int]]:
        """Return the words to add to the command, and the descriptors that it inherits; close the second afterwards."""
        self.forget()
        if self._listener is None:
            host = self.host.strip("[]")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                self._listener = bound(family, (host, self.port), share=self.share)
                self._listener.listen(BACKLOG)
            except OSError as error:
                raise AddressRefused(f"Cannot listen at {self.host}:{self.port}: {error}.") from error
        self._pipe, end = os.pipe()
        os.set_blocking(self._pipe, False)
        number = self._listener.fileno()
        return ("--listen-fd", str(number), "--ready-fd", str(end)), (number, end)

    def up(self) -> bool:
        """Say whether the process that has the socket now answers."""
        if not self._up and self._pipe >= 0:
            with suppress(BlockingIOError):
                self._up = os.read(self._pipe, 1) == b"1"
        return self._up

    def forget(self) -> None:
        """The process is gone: the socket stays."""
        self._up = False
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def release(self) -> None:
        """Close the socket too: what keeps dying must not keep callers waiting."""
        self.forget()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
