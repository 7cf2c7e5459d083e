"""A load generator: raw sockets, one request at a time on each connection, checked answers, little CPU.

python -m benchmarks.asking PORT CONNECTIONS SECONDS < request  # prints answers, seconds, latencies, waiting as JSON
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop


class Caller(asyncio.Protocol):
    """Sends the request again as soon as its answer is whole."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.request, self.until, self.done = request, until, done
        self.latencies: list[float] = []
        self.missing = -1
        self.head = b""
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.missing < 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self.head.startswith(b"HTTP/1.1 200"), self.head
            at = self.head.find(b"\ncontent-length: ") + 17
            if at == 16:
                self._otherwise(end)
            else:
                length = int(self.head[at : self.head.index(b"\r", at)])
                self.missing = end + 4 + length - len(self.head)
        else:
            self.missing -= len(data)
        if self.missing:
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent)
        self.missing, self.head = -1, b""
        if now < self.until:
            if self.closing:
                self._connect_again()
            else:
                self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def _otherwise(self, end: int) -> None:
        """Read a head as other servers write it: in capitals, in chunks, with a connection that ends."""
        fields = self.head[:end].lower()
        self.closing = b"\nconnection: close" in fields
        at = fields.find(b"\ncontent-length: ") + 17
        if at > 16:
            length = int(fields[at:].partition(b"\r")[0])
            self.missing = end + 4 + length - len(self.head)
        else:
            assert b"\ntransfer-encoding: chunked" in fields, self.head
            self.missing = 0 if self.head.endswith(b"\r\n0\r\n\r\n") else -1

    def _connect_again(self) -> None:
        host, port = self.transport.get_extra_info("peername")
        self.transport.close()
        loop = asyncio.get_running_loop()
        self.again = loop.create_task(loop.create_connection(lambda: self, host, port))
        self.again.add_done_callback(lambda made: made.cancelled() or made.exception() is None or self._give_up(made))

    def _give_up(self, made: asyncio.Task[object]) -> None:
        self.done.set_exception(ConnectionError(f"not connected again: {made.exception()}"))

    def connection_lost(self, error: Exception | None) -> None:
        if self.closing:
            self.closing = False
        elif not self.done.done():
            self.done.set_exception(ConnectionError(f"closed: {error}"))


async def main(port: int, connections: int, seconds: float, request: bytes) -> None:
    loop = asyncio.get_running_loop()
    until = time.perf_counter() + seconds
    callers = []
    begun = time.perf_counter()
    for _ in range(connections):
        done = loop.create_future()
        _, caller = await loop.create_connection(lambda done=done: Caller(request, until, done), "127.0.0.1", port)
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    spent = time.perf_counter() - begun
    latencies = sorted(one for caller in callers for one in caller.latencies)
    told = {"answers": len(latencies), "seconds": spent}
    told |= {f"p{name}": latencies[int(len(latencies) * share)] for name, share in ((50, 0.5), (99, 0.99))}
    told["waited"] = waited("self")
    print(json.dumps(told))


def waited(process: int | str) -> float:
    """Return for how many seconds the main thread of a process could have run, and had no core (Linux)."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read()))
