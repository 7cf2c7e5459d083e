"""The fast way in: an inference is answered in the parser's callback, and a head seen before is not parsed again.

uvicorn keeps sockets, TLS, keep-alive, draining and every other path. Anything that is not a plain POST of known length
to `/v2/models/*/infer` falls through to it, and so does whatever arrives while an answer is outstanding: uvicorn queues
it, so the order of pipelined requests holds. Written against uvicorn 0.5x; one suite of behaviour runs over both ways.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from time import perf_counter
from typing import Any, cast

import orjson
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .answer import Answerer, Request, Response
from .fast import Fast, Head
from .watching import Phase, Watch

MOST_HEADS = 4096
LONGEST_HEAD = 2048
MOST_HEAD = 65_536
"""Bytes of a head that is read at all: the parser copies a long one anew with each piece that comes."""
TOO_LONG = f"The head of the request is longer than {MOST_HEAD} bytes. Send a shorter address, and fewer headers."
NO_HTTP = "What came is no HTTP/1.1 request. Expected, for instance, POST /v2/models/ENDPOINT/infer and its length."
_UPGRADE = re.compile(rb"\r\nupgrade(?=[ \t]*:)", re.IGNORECASE)
_BEFORE = b"/v2/models/"
_AFTER = b"/infer"


class _Flow(FlowControl):
    """Reads nothing while requests wait: uvicorn's own goes on after each answer, and what waits grows without end."""

    def __init__(self, transport: asyncio.Transport, waiting: Collection[Any]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on."""
        if not self._waiting:
            super().resume_reading()


class WatchedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on slow callers; everything is answered by the ASGI application."""

    def __init__(self, watch: Watch, **more: Any) -> None:
        super().__init__(**more)
        self.phase = Phase.NEW
        self.since = 0.0
        self.unfinished = 0
        self.watch = watch
        self._heading = 0
        """Bytes of the present head in its headers so far."""
        self._pieces = 0
        """Bytes of it in pieces after its first, or -1: none yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.flow = _Flow(self.transport, self.pipeline)
        self.watch.add(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.watch.remove(self)
        super().connection_lost(exc)

    @property
    def stuck(self) -> bool:
        """Say whether an answer waits for the caller to read."""
        return self.flow.write_paused

    def give_up(self, why: str) -> None:
        """Say why, where the caller can still be told, and close."""
        if self.transport.is_closing():
            return
        if self.phase is Phase.ANSWERING:
            self.transport.abort()
            return
        if self.phase in (Phase.HEAD, Phase.BODY):
            self._refuse(408, why)
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what has come; a head without end is refused before all of it is there."""
        if self.phase is not Phase.BODY:
            data = _without_upgrade(data)
        super().data_received(data)
        if self.phase is Phase.HEAD and self._heading <= MOST_HEAD:
            self._pieces = 0 if self._pieces < 0 else self._pieces + len(data)
            if self._pieces > MOST_HEAD:
                self._heading = self._pieces
                self.send_400_response(TOO_LONG)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the address."""
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._measure(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _measure(self, size: int) -> None:
        self._heading += size
        if self._heading > MOST_HEAD:
            raise ValueError(TOO_LONG)  # the parser stops, and uvicorn calls `send_400_response`

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        self._heading, self._pieces = 0, -1
        self.phase = Phase.HEAD
        self.since = self.watch.now
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hand a request to the application."""
        self.phase = Phase.BODY
        self.since = self.watch.now
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self.watch.hold(self, len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a body."""
        if self.unfinished:
            self.watch.release(self)
        self.phase = Phase.ANSWERING
        self.since = self.watch.now
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with what was pipelined, or wait."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            self.flow.resume_reading()
            return
        self.flow.resume_reading()
        if self.phase is Phase.ANSWERING:
            self.phase = Phase.IDLE
            self.since = self.watch.now

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; where a request before it is still being answered, that answer is the last one."""
        status, msg = (431, TOO_LONG) if self._heading > MOST_HEAD else (400, NO_HTTP)
        if self.phase is Phase.BODY and not self.pipeline:  # it is the body of the request that nobody answers yet
            self._refuse(status, msg)
            self.transport.close()
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self.pipeline.clear()
            self.transport.pause_reading()
            return
        self._refuse(status, msg)
        self.transport.close()

    def _refuse(self, status: int, why: str) -> None:
        body = orjson.dumps({"error": why})
        head = [b"content-type: application/json", b"content-length: %d" % len(body), b"connection: close"]
        self.transport.write(STATUS_LINE[status] + b"\r\n".join([*head, b"", body]))


class _Answering:
    """Stands where uvicorn looks for the request that is being answered, so that it queues what comes after."""

    __slots__ = ("disconnected", "keep_alive", "response_complete")

    def __init__(self) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    @property
    def message_event(self) -> _Answering:
        return self

    def set(self) -> None:
        """Nobody waits."""


class HotProtocol(WatchedProtocol):
    """Answers inferences itself."""

    def __init__(self, fast: Fast, watch: Watch, heads: dict[bytes | None, Head], **more: Any) -> None:
        """`heads`: what heads came to that were parsed before, shared by all connections of the process."""
        super().__init__(watch, **more)
        self._fast = fast
        self._heads = heads
        self._between = True
        """No request is half read."""
        self._raw: bytes | None = None
        """The head that is being parsed, where it came in one piece."""
        self._hot: Head | None = None
        self._parts: list[bytes] = []
        self._defaults: list[tuple[bytes, bytes]] = []
        self._front = b""
        self._last = False
        """The server wants no more requests on this connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._fast.answerer.attach(self.loop.call_soon_threadsafe)

    def data_received(self, data: bytes) -> None:
        """Take what has come: a whole request with a known head is answered at once."""
        if self._between:
            end = data.find(b"\r\n\r\n") + 4
            raw = data[:end] if 3 < end <= LONGEST_HEAD else None
            head = self._heads.get(raw)
            if head is not None and len(data) == end + head.length:
                cycle: Any = self.cycle  # `_free`, without a call: this is what nearly every request runs through
                if (cycle is None or cycle.response_complete) and not self.flow.write_paused:
                    self._answer(head, data[end:])
                    return
            self._raw = raw
        super().data_received(data)
        self._raw = None

    def on_message_begin(self) -> None:
        """Begin to read a request; uvicorn's scope is made where the request turns out to be its own."""
        self._between = False
        self._hot = None
        self._heading, self._pieces = 0, -1
        self.phase = Phase.HEAD
        self.since = self.watch.now
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Decide who answers."""
        raw, self._raw = self._raw, None
        head = self._head() if self._free() else None
        if head is None:
            url, headers, expect = self.url, self.headers, self.expect_100_continue
            HttpToolsProtocol.on_message_begin(self)
            self.url, self.expect_100_continue = url, expect
            self.headers.extend(headers)
            super().on_headers_complete()
            return
        self.phase = Phase.BODY
        self.since = self.watch.now
        self._hot = head
        if raw is not None:
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()
            self._heads[raw] = head

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if self._hot is None:
            super().on_body(body)
            return
        self._parts.append(body)
        if len(body) < self._hot.length:
            self.watch.hold(self, len(body))

    def on_message_complete(self) -> None:
        """Answer."""
        self._between = True
        head = self._hot
        if head is None:
            super().on_message_complete()
            return
        self._hot = None
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        if self.unfinished:
            self.watch.release(self)
        self._answer(head, body)

    def _free(self) -> bool:
        """Say whether the next answer may be written at once."""
        cycle: Any = self.cycle
        return (cycle is None or cycle.response_complete) and not self.flow.write_paused

    def _head(self) -> Head | None:
        """Return what the head comes to, where it is one of ours."""
        parser: Any = self.parser
        if parser.get_method() != b"POST" or self.expect_100_continue or parser.should_upgrade():
            return None
        url = self.url
        if not (url.startswith(_BEFORE) and url.endswith(_AFTER)) or b"%" in url or b"?" in url:
            return None
        if parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        return self._fast.head(url, self.headers)

    def _answer(self, head: Head, body: bytes) -> None:
        started = perf_counter()
        found = self._fast.answer(head, body, started)
        if found is None:
            self._carefully(head, body, started)
            return
        if self.server_state.default_headers is not self._defaults:
            self._refresh()
        self.transport.write(self._front + found)
        self.phase = Phase.IDLE
        self.since = self.watch.now
        if self._last:
            self.transport.close()

    def _carefully(self, head: Head, body: bytes, started: float) -> None:
        """Have it answered now or later, with words for whatever is wrong with it."""
        cycle = _Answering()
        self.cycle = cast("Any", cycle)
        self.phase = Phase.ANSWERING
        self.since = self.watch.now
        request = Request("POST", head.path, head.headers, body)
        done = partial(self._told, cycle)
        prediction = self._fast.prediction
        self._fast.answerer.infer(request, done, prediction=prediction, started=started)

    def _told(self, cycle: _Answering, response: Response) -> None:
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        if self.server_state.default_headers is not self._defaults:
            self._refresh()
        lines = [STATUS_LINE[response.status]]
        for name, value in (*self._defaults, *response.headers):
            lines += [name, b": ", value, b"\r\n"]
        closing = self._last or not cycle.keep_alive
        if closing and not self._last:
            lines.append(b"connection: close\r\n")
        self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (b"".join(lines), len(response.body), response.body))
        if closing:
            self.transport.close()
        self.on_response_complete()

    def _refresh(self) -> None:
        """Take over the headers that the server adds to every answer: the date, and when it drains, a goodbye."""
        self._defaults = self.server_state.default_headers
        added = b"".join(b"%b: %b\r\n" % one for one in self._defaults)
        self._front = STATUS_LINE[200] + added
        self._last = (b"connection", b"close") in self._defaults


def _without_upgrade(data: bytes) -> bytes:
    """Hide from the parser that another protocol is offered (Java's client does, with each request): it would not read
    the body. The offer may be ignored, and is.
    """
    head = data[: data.find(b"\r\n\r\n") + 2]
    return _UPGRADE.sub(b"\r\nx-upgrade", head) + data[len(head) :] if b"pgrade" in head.lower() else data


def hot(answerer: Answerer, check: Callable[[Mapping[bytes, bytes]], None], watch: Watch) -> Any:
    """Return what makes the protocol of each connection; `check` raises for callers that are turned away."""
    return partial(HotProtocol, Fast(answerer, check), watch, {})


def plain(watch: Watch) -> Any:
    """Return what makes a protocol that leaves everything to the application."""
    return partial(WatchedProtocol, watch)
