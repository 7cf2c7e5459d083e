"""A gateway on a real socket, in a thread: for tests of what goes over the wire, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop

from modelloop.deploy.gateway.answer import Answerer
from modelloop.deploy.gateway.server import App, Gate, Server, configuration
from modelloop.deploy.gateway.watching import Watch

INFER = "/v2/models/late/infer"


@dataclass
class Told:
    """A response off the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class Line:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.port = port
        self.held = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, *, head_only: bool = False) -> Told:
        while b"\r\n\r\n" not in self.held:
            self._more()
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split()[1])
        length = 0 if head_only or status == 100 else int(headers.get("content-length", "0"))
        while len(self.held) < length:
            self._more()
        body, self.held = self.held[:length], self.held[length:]
        return Told(status, headers, body)

    def ask(self, body: Any, path: str = INFER, **headers: str) -> Told:
        self.send(self.request(body, path, **headers))
        return self.read()

    def request(self, body: Any, path: str = INFER, *, method: str = "POST", **headers: str) -> bytes:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        lines = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(raw))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + raw

    @property
    def closed(self) -> bool:
        """Wait for the other side to close."""
        while data := self.socket.recv(65536):
            self.held += data
        return True

    def close(self) -> None:
        self.socket.close()

    __del__ = close

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed after {self.held!r}")
        self.held += data


@contextmanager
def listening(answerer: Answerer, http: str, watch: Watch | None = None) -> Iterator[int]:
    """Serve in a thread; yield the port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    ready = threading.Event()
    app = App(answerer, Gate(frozenset({f"127.0.0.1:{port}"})))
    config = configuration(app, http=http, watch=watch)
    config.timeout_graceful_shutdown = 1
    server = Server(config, ready.set)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    thread = threading.Thread(target=lambda: uvloop.run(server.serve([listener])), daemon=True)
    thread.start()
    try:
        assert ready.wait(10)
        yield port
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
