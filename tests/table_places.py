"""Places from which a gateway can follow its routing table, each with its switch: reachable or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from modelloop.deploy.gateway.runtime import LoadedArm
from modelloop.deploy.gateway.sources import Caller, FileTable, HttpTable, StoredTable, TableSource
from modelloop.deploy.records import Arm
from modelloop.deploy.table import TABLE_DOCUMENT
from modelloop.ground.store.blobs import Blobs
from modelloop.prepare.records import Columns, Datatype, InputColumn
from modelloop.register.records import Signature

ONE = Arm("delay:1", "a" * 64)
TWO = Arm("delay:2", "b" * 64)
TOKEN = "a-token-of-a-gateway"


class Same:
    """Answers the same to everybody."""

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        return np.full(len(next(iter(columns.values()))), 0.5)


def loaded(arm: Arm) -> LoadedArm:
    """Load a version that needs no package."""
    return LoadedArm(arm, Signature((InputColumn("x", Datatype.FP64),), "score", "binary"), Same())


class TablePlace(Protocol):
    """Where control writes and a gateway reads."""

    source: TableSource

    def write(self, data: bytes) -> None: ...

    def remove(self) -> None: ...


class StorePlace:
    def __init__(self, url: str) -> None:
        self.blobs = Blobs(url)
        self.source: TableSource = StoredTable(Blobs(url))

    def write(self, data: bytes) -> None:
        self.blobs.write_document(TABLE_DOCUMENT, data)

    def remove(self) -> None:
        self.blobs.drop_document(TABLE_DOCUMENT)


class FilePlace:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "table.json"
        self.source: TableSource = FileTable(self.path)

    def write(self, data: bytes) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_bytes(data)
        draft.replace(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


class TableServer(ThreadingHTTPServer):
    """Answers with one table, with or without ETags; counts what it sent."""

    daemon_threads = True
    table: bytes | None = None
    tagged = True
    status = 0
    """Answers this instead, if not 0."""
    whole = 0
    unchanged = 0


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TableServer

    def do_GET(self) -> None:
        server = self.server
        data = server.table
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            self._send(401, b'{"error": "The token is not valid."}')
        elif server.status:
            self._send(server.status, b"out of order")
        elif data is None:
            self._send(404, b"")
        else:
            tag = f'"{sha256(data).hexdigest()}"' if server.tagged else None
            if tag is not None and self.headers["if-none-match"] == tag:
                server.unchanged += 1
                self._send(304, b"", tag)
            else:
                server.whole += 1
                self._send(200, data, tag)

    def _send(self, status: int, data: bytes, tag: str | None = None) -> None:
        self.send_response(status)
        if tag is not None:
            self.send_header("etag", tag)
        if status != 304:
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        if status != 304:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


class HttpPlace:
    def __init__(self, server: TableServer, token_file: Path) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{server.server_port}/api/routing"
        self.caller = Caller(self.url, token_file, seconds=2.0)
        self.source: TableSource = HttpTable(self.caller)

    def write(self, data: bytes) -> None:
        self.server.table = data

    def remove(self) -> None:
        self.server.table = None


@contextmanager
def http_place(folder: Path) -> Iterator[HttpPlace]:
    """Serve a table over HTTP; the token is in a file of its own."""
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    server = TableServer(("127.0.0.1", 0), _Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    place = HttpPlace(server, token)
    try:
        yield place
    finally:
        place.caller.close()
        server.shutdown()
        server.server_close()
        thread.join()
