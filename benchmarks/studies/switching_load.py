"""Callers that come at a steady rate, whatever the answers take: an open load, so that a pause is felt by all who wait.

    python -m benchmarks.studies.switching_load PORT RATE SECONDS FILE < requests   # base64, one a line

Writes a JSON line for each request to FILE: [due, latency, status, which, id, version, score]; `due` on the monotonic
clock, latency from then on. A connection that breaks, or an answer that does not come, is a line with status 0. SIGTERM
ends it early.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import orjson
import uvloop

CONNECTIONS = 16
PATIENCE = 10.0


class Line(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.got = b""
        self.asked: tuple[float, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def ask(self, due: float, which: int) -> None:
        self.asked = (due, which)
        self.transport.write(self.load.requests[which])

    def data_received(self, data: bytes) -> None:
        self.got += data
        end = self.got.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        at = self.got.index(b"content-length: ") + 16
        if len(self.got) < end + int(self.got[at : self.got.index(b"\r", at)]):
            return
        whole, self.got = self.got, b""
        self.load.told(self, int(whole[9:12]), whole[end:])

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it
        self.load.lost(self)


class Load:
    """All connections, and who waits for one that is free."""

    def __init__(self, requests: list[bytes], file: Any) -> None:
        self.requests = requests
        self.free: deque[Line] = deque()
        self.waiting: deque[tuple[float, int]] = deque()
        self.busy: set[Line] = set()
        self._file = file

    def ask(self, due: float, which: int) -> None:
        """Send a request, or let it wait for a connection."""
        if not self.free:
            self.waiting.append((due, which))
            return
        line = self.free.popleft()
        self.busy.add(line)
        line.ask(due, which)

    def told(self, line: Line, status: int, body: bytes) -> None:
        """Note an answer; go on with whoever waits."""
        assert line.asked is not None
        due, which = line.asked
        line.asked = None
        found = orjson.loads(body)
        said = found.get("parameters", {})
        score = found["outputs"][0]["data"][0] if status == 200 else found
        self._note(due, status, which, said.get("prediction_id"), said.get("version"), score)
        self.busy.discard(line)
        self.free.append(line)
        if self.waiting:
            self.ask(*self.waiting.popleft())

    def lost(self, line: Line) -> None:
        """Note a request whose connection broke."""
        if line.asked is not None:
            self._note(line.asked[0], 0, line.asked[1], None, None, "the connection broke")
            line.asked = None
        self.busy.discard(line)
        if line in self.free:
            self.free.remove(line)

    def end(self) -> None:
        """Note what was never answered."""
        for due, which in [line.asked for line in self.busy if line.asked] + list(self.waiting):
            self._note(due, 0, which, None, None, "no answer")

    def _note(self, due: float, *rest: Any) -> None:
        self._file.write(orjson.dumps([due, time.monotonic() - due, *rest]) + b"\n")


async def main(port: int, rate: float, seconds: float, path: str, requests: list[bytes]) -> None:
    """Ask for so long; return when all have heard."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    with Path(path).open("wb") as file:
        load = Load(requests, file)
        for _ in range(CONNECTIONS):
            _, line = await loop.create_connection(lambda: Line(load), "127.0.0.1", port)
            load.free.append(line)
        print(json.dumps({"began": time.monotonic()}), flush=True)
        begun, number = time.monotonic(), 0
        while number < rate * seconds and not over.is_set():
            due = begun + number / rate
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            load.ask(due, number % len(requests))
            number += 1
        until = time.monotonic() + PATIENCE
        while (load.busy or load.waiting) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        load.end()


if __name__ == "__main__":
    asked = [base64.b64decode(line) for line in sys.stdin.buffer]
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), sys.argv[4], asked))
