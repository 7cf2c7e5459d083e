"""The HTTP side: uvicorn and a plain ASGI function. `hot.py` answers before it where it can."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import uvicorn

from ...ground.core.errors import AddressRefused, ModelloopError, RequestInvalid
from . import faces
from .answer import Answerer, Request, Response, is_inference, refusal
from .hot import hot, plain
from .protocol import too_large
from .watching import Watch

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SWITCH_SECONDS = 0.0005
"""How long a thread beside the event loop (shadow, follower) may keep the interpreter while a request waits."""
DRAIN_BYTES = 8_000_000
BODY_SECONDS = 30.0
CLOSE = (b"connection", b"close")


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

    def __init__(self, answerer: Answerer, gate: Gate) -> None:
        self.answerer = answerer
        self.gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        try:
            self.gate.check(headers)
            body = await self._body(scope, headers, receive)
        except ModelloopError as error:
            await _send(send, refusal(error), CLOSE)
            return
        if body is None:  # the caller went away
            return
        loop = asyncio.get_running_loop()
        self.answerer.attach(loop.call_soon_threadsafe)
        request = Request(scope["method"], scope["path"], headers, body)
        told: asyncio.Future[Response] = loop.create_future()
        self.dispatch(request, partial(_resolve, told))
        await _send(send, told.result() if told.done() else await told)

    def dispatch(self, request: Request, done: Callable[[Response], None]) -> None:
        """Have a request answered, by what stands at its path."""
        if is_inference(request.path) and request.method == "POST":
            self.answerer.infer(request, done)
        else:
            faces.answer(self.answerer, request, done)

    async def _body(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive) -> bytes | None:
        limit = self.answerer.body_limit(scope["path"])
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
        gc.collect()
        gc.freeze()  # what was made so far stays for good: no collection need look at it again
        gc.set_threshold(50_000, 20, 100)
        sys.setswitchinterval(SWITCH_SECONDS)
        if self.started:
            self._listening()


def configuration(app: App, *, http: str = "hot", watch: Watch | None = None) -> uvicorn.Config:
    """Return how uvicorn runs here: httptools, uvloop, one process, nothing of its own on the wire.

    `http`: `hot` answers inferences in the parser's callback, `asgi` leaves everything to the application.
    """
    watch = watch or Watch()
    return uvicorn.Config(
        app,
        http=hot(app.answerer, app.gate.check, watch) if http == "hot" else plain(watch),
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",  # a line for each caller who sends no HTTP would fill the disk
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )


def _resolve(told: asyncio.Future[Response], response: Response) -> None:
    if not told.done():  # else the caller went away
        told.set_result(response)


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
