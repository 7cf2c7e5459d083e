"""The ASGI application of the MLflow-compatible API, without a framework between the server and the actions.

Every request passes the same points in the same order: route, actor, right, size and form, action, encoding. What is
written goes to the one writer, which puts all that waits into one transaction; what is read runs in a few threads.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

from ..ground.core.errors import BodyTooLarge, InvalidInput, ModelloopError, NotReady, Unauthenticated
from ..ground.core.records import Actor, Role
from ..ground.core.rights import Right, require
from ..ground.store.context import Context
from ..web.session import Doorkeeper
from . import replies
from .bodies import from_body, from_query
from .desk import Desk
from .messages import Nothing
from .routing import Absent, Call, Gone, Route, Stream, Table

LARGEST_BODY = 32_000_000
"""Of a message; artifacts are streamed and have no limit."""
PREFIXES = ("/api/2.0/", "/api/3.0/", "/ajax-api/", "/v1/traces")
WHOLE = frozenset({"/version", "/get-artifact", "/model-versions/get-artifact"})
_JSON = [
    (b"content-type", b"application/json"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
]
_NOBODY = Actor("nobody", Role.VIEWER)


class Face:
    """Answers MLflow clients. `serves` says for which paths."""

    def __init__(self, ctx: Context, door: Doorkeeper, desk: Desk, routes: Sequence[Route]) -> None:
        self._ctx = ctx
        self._door = door
        self._desk = desk
        self._table = Table(routes)

    @staticmethod
    def serves(path: str) -> bool:
        """Say whether a path belongs to this face."""
        return path.startswith(PREFIXES) or path in WHOLE

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        routes, words = self._table.find(scope["raw_path"].decode("latin-1"))
        route = routes.get(scope["method"])
        if route is None:
            await _nothing(scope, routes, send)
            return
        try:
            actor = self._admitted(route, scope["headers"])
            if route.absent:
                raise Absent(route.absent)
            if route.stream is not None:
                await self._streamed(route, actor, words, scope, receive=receive, send=send)
            else:
                await _send(send, 200, await self._answer(route, actor, words, scope, receive))
        except Gone:
            return
        except Absent as absent:
            await _send(send, 501, replies.failure(replies.OUTSIDE, str(absent)))
        except ModelloopError as error:
            await _send(send, *replies.refusal(error, exists=route.exists))
        except _BrokenOff:
            raise
        except Exception:  # the log says what, the client that it broke
            await _send(send, 500, replies.failure("INTERNAL_ERROR", "Something broke; control's log says what."))
            raise

    async def _streamed(
        self, route: Route, actor: Actor, words: tuple[str, ...], scope: Any, *, receive: Any, send: Any
    ) -> None:
        assert route.stream is not None
        message = from_query(scope["query_string"], route.takes)
        stream = Stream(self._ctx.by(actor), self._desk, _decoded(words), receive, send, message)
        try:
            body = await route.stream(stream)
        except ModelloopError as error:
            if stream.started:
                raise _BrokenOff(str(error)) from error
            raise
        if body is not None:
            await _send(send, 200, body)

    async def _answer(self, route: Route, actor: Actor, words: tuple[str, ...], scope: Any, receive: Any) -> bytes:
        message = await _message(route, scope, receive)
        if route.change is not None:
            batch = route.change(message)
            if batch is not None:
                await asyncio.wrap_future(self._desk.writer.submit(batch))
            return replies.EMPTY
        if route.answer is None:
            raise NotReady(f"Nothing is done at {route.path}.")
        call = Call(self._ctx.by(actor), self._desk, message, _decoded(words))
        return await asyncio.get_running_loop().run_in_executor(self._desk.readers, route.answer, call)

    def _admitted(self, route: Route, headers: Any) -> Actor:
        header = next((value for name, value in headers if name == b"authorization"), None)
        actor = self._actor(header)
        if actor is None and (route.right is not Right.PUBLIC or header is not None):
            raise Unauthenticated(
                "This needs a token." if header is None else "The token is not valid.",
                hint="Set MLFLOW_TRACKING_TOKEN to the content of .modelloop/secrets/token (or send it as the password "
                "of MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD).",
            )
        require(actor or _NOBODY, route.right)
        return actor or _NOBODY

    def _actor(self, header: bytes | None) -> Actor | None:
        if header is None:
            return None
        kind, _, given = header.decode("latin-1").partition(" ")
        if kind.lower() != "basic":
            return self._door.bearer(f"{kind} {given}")
        try:
            _user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self._door.bearer(f"Bearer {password}")


class _BrokenOff(Exception):
    """An answer had begun and cannot be finished: the connection is closed before its end."""


async def _message(route: Route, scope: Any, receive: Any) -> Any:
    query = scope["query_string"]
    if query and scope["method"] == "GET":
        return from_query(query, route.takes)
    data = await _body(scope["headers"], receive)
    if route.takes is Nothing:
        return None
    return from_body(data, route.takes)


async def _body(headers: Any, receive: Any) -> bytes:
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > LARGEST_BODY:
            raise _too_large()
    parts: list[bytes] = []
    size = 0
    while True:
        part = await receive()
        if part["type"] != "http.request":
            raise Gone
        parts.append(part["body"])
        size += len(part["body"])
        if size > LARGEST_BODY:
            raise _too_large()
        if not part["more_body"]:
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {LARGEST_BODY} bytes.", hint="Send it in parts, or as an artifact.")


def _decoded(words: tuple[str, ...]) -> tuple[str, ...]:
    """Decode each word of the path, once; raises InvalidInput."""
    try:
        return tuple(unquote_to_bytes(word).decode() if "%" in word else word for word in words)
    except UnicodeDecodeError as error:
        raise InvalidInput("The address is not UTF-8.", hint="Encode names as UTF-8, then as %XX.") from error


async def _nothing(scope: Any, routes: Mapping[str, Route], send: Any) -> None:
    if routes:
        allowed = ", ".join(sorted(routes))
        text = f"{scope['method']} is not understood at {scope['path'][:200]}. Use {allowed}."
        await _send(send, 405, replies.failure(replies.NO_ADDRESS, text), [(b"allow", allowed.encode())])
        return
    text = f"There is nothing at {scope['path'][:200]}."
    await _send(send, 404, replies.failure(replies.NO_ADDRESS, text))


async def _send(send: Any, status: int, body: bytes, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
    headers = [*_JSON, (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
