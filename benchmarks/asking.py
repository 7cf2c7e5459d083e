"""A load generator: raw sockets, one request at a time on each connection, checked answers, little CPU.

python -m benchmarks.asking PORT CONNECTIONS SECONDS < request      # prints answers, seconds, latencies as JSON
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop


class Caller(asyncio.Protocol):
    """Sends the request again as soon as its answer is whole."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self.request, self.until, self.done = request, until, done
        self.latencies: list[float] = []
        self.missing = -1
        self.head = b""

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
            at = self.head.index(b"\ncontent-length: ") + 17
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
            self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
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
    print(json.dumps(told))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read()))
