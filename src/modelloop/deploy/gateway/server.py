"""The HTTP side: uvicorn, a plain ASGI function, and the group commit of the log. The only async file of Modelloop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from ...ground.core.errors import AddressRefused, ModelloopError, RequestInvalid
from .answer import Answerer, Request, Response, refusal
from .protocol import too_large
from .shadow import ShadowJob

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DRAIN_BYTES = 8_000_000
BODY_SECONDS = 30.0
CLOSE = (b"connection", b"close")


class Commit:
    """Group commit: the records of one tick of the event loop are written at once, then their answers go out."""

    def __init__(self, write: Callable[[list[bytes]], object]) -> None:
        self._write = write
        self._frames: list[bytes] = []
        self._done: asyncio.Future[None] | None = None

    async def append(self, record: bytes) -> None:
        """Return when the record is in the log (or was refused by the disk, which the writer counts)."""
        self._frames.append(record)
        if self._done is None:
            loop = asyncio.get_running_loop()
            self._done = loop.create_future()
            loop.call_soon(self.flush)
        await asyncio.shield(self._done)

    def flush(self) -> None:
        """Write what has gathered."""
        frames, done = self._frames, self._done
        self._frames, self._done = [], None
        if frames:
            self._write(frames)
        if done is not None and not done.done():
            done.set_result(None)


class Gate:
    """Turns away what a page of another site may send: a foreign Origin, or a foreign name of a loopback address."""

    def __init__(self, hosts: frozenset[str] | None) -> None:
        """`hosts`: the Host headers that are answered; None: any (the gateway stands behind something that checks)."""
        self._hosts = hosts

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raise AddressRefused."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._hosts is not None and host not in self._hosts:
            raise AddressRefused(
                f"The host {host[:80]!r} is not this gateway.", hint=f"Use one of {', '.join(sorted(self._hosts))}."
            )
        origin = headers.get(b"origin")
        if origin is not None and _site(origin) != host:
            raise AddressRefused("Pages of other sites may not ask here.", hint="Ask from a program, not from a page.")


def _site(origin: bytes) -> str | None:
    try:
        return urlsplit(origin.decode("latin-1").lower()).netloc
    except ValueError:  # `http://[x`: no site at all
        return None


class App:
    """The ASGI application."""

    def __init__(self, answerer: Answerer, commit: Commit, shadow: Callable[[ShadowJob], None], gate: Gate) -> None:
        self._answerer = answerer
        self._commit = commit
        self._shadow = shadow
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        try:
            self._gate.check(headers)
            body = await self._body(scope, headers, receive)
        except ModelloopError as error:
            await _send(send, refusal(error), CLOSE)
            return
        if body is None:  # the caller went away
            return
        response = self._answerer.answer(Request(scope["method"], scope["path"], headers, body))
        if response.record is not None:
            await self._commit.append(response.record)
        await _send(send, response)
        if response.shadow is not None:
            self._shadow(response.shadow)

    async def _body(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
        limit = self._answerer.body_limit(scope["path"])
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit + DRAIN_BYTES:
            raise too_large(limit)
        first = await receive()
        if first["type"] == "http.disconnect":
            return None
        if not first.get("more_body", False) and len(first.get("body", b"")) <= limit:
            return bytes(first.get("body", b""))
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await _rest(first, receive, limit)
        except TimeoutError as error:
            raise RequestInvalid(f"The body was not complete after {BODY_SECONDS:.0f} s.") from error


class Server(uvicorn.Server):
    """uvicorn that says when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._listening()


def configuration(app: App) -> uvicorn.Config:
    """Return how uvicorn runs here: httptools, uvloop, one process, nothing of its own on the wire."""
    return uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )


async def _rest(first: MutableMapping[str, Any], receive: Receive, limit: int) -> bytes | None:
    """Return the whole body. One that is too long is read on for a while, so that its sender gets to hear why."""
    parts, size, message = [first.get("body", b"")], len(first.get("body", b"")), first
    while message.get("more_body", False) and size <= limit + DRAIN_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
    if size > limit:
        raise too_large(limit)
    return b"".join(parts)


async def _send(send: Send, response: Response, *extra: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(response.body)).encode())
    headers = [*response.headers, length, *extra]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
