"""A gateway and the limit side by side under the same load: CPU for each answer, answers a second, latencies."""

from __future__ import annotations

import http.client
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelloop.deploy.records import Route, RoutingTable
from modelloop.deploy.table import TABLE_DOCUMENT, encode_table
from modelloop.ground.store.blobs import Blobs

from .asking import waited
from .measure import environ
from .served import WIDTH


@dataclass(frozen=True)
class Server:
    """A process that answers."""

    name: str
    pid: int
    port: int


@dataclass(frozen=True)
class Load:
    """What one run under load came to."""

    cpu: float
    """CPU seconds of the server for an answer."""
    rate: float
    p50: float
    p99: float
    waited: float
    """Seconds that the server and the load generator could have run and had no core."""


def request(body: bytes, path: str = "/v2/models/bench/infer", *, head: int | None = None) -> bytes:
    """Return the bytes that a caller sends; `{port}` in them is filled in."""
    more = "" if head is None else f"Inference-Header-Content-Length: {head}\r\n"
    lines = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:%PORT%\r\n{more}Content-Type: application/json\r\n"
    return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def tensor_body(rows: int = 1, *, binary: bool = False) -> tuple[bytes, int | None]:
    """Return a request for one FP32 tensor, and the length of its JSON where the tensor is raw."""
    source = random.Random(7)
    values = [round(source.gauss(0, 1), 4) for _ in range(rows * WIDTH)]
    tensor: dict[str, Any] = {"name": "features", "shape": [rows, WIDTH], "datatype": "FP32"}
    if not binary:
        return json.dumps({"inputs": [tensor | {"data": values}]}, separators=(",", ":")).encode(), None
    raw = np.array(values, dtype=np.float32).tobytes()
    asked = {"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}]}
    head = json.dumps(asked | {"parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    return head + raw, len(head)


@contextmanager
def limit(home: Path) -> Iterator[Server]:
    """Start the limit."""
    with _started([sys.executable, "-m", "benchmarks.limit_server", str(home / "limit")]) as process:
        yield Server("limit", process.pid, int(_line(process)))


@contextmanager
def gateway(home: Path, route: Route, *options: str, name: str = "gateway") -> Iterator[Server]:
    """Start a gateway that follows one route, and wait until it answers."""
    argv = [sys.executable, "-m", "modelloop.deploy.gateway", "--id", name, "--port", "0", *options]
    folder = home / name
    folder.mkdir()
    (folder / "table.json").write_bytes(encode_table(RoutingTable(1, (route,))))
    Blobs(f"file://{home / 'blobs'}").write_document(TABLE_DOCUMENT, encode_table(RoutingTable(1, (route,))))
    argv += ["--blobs", f"file://{home / 'blobs'}", "--predictions", str(home / "predictions")]
    argv += ["--routing", f"file://{folder / 'table.json'}"]
    with _started(argv) as process:
        port = int(json.loads(_line(process))["address"].rsplit(":", 1)[1])
        for _ in range(400):
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            line.request("GET", f"/v2/models/{route.endpoint}/ready")
            if line.getresponse().status == 200:
                break
            time.sleep(0.05)
        yield Server(name, process.pid, port)


def load(server: Server, asked: bytes, connections: int, seconds: float) -> Load:
    """Put a server under load."""
    filled = asked.replace(b"%PORT%", str(server.port).encode())
    argv = [sys.executable, "-m", "benchmarks.asking", str(server.port), str(connections), str(seconds)]
    before, waiting = _spent(server.pid), waited(server.pid)
    told = json.loads(subprocess.run(argv, input=filled, capture_output=True, check=True, env=environ()).stdout)
    spent = _spent(server.pid) - before
    waiting = waited(server.pid) - waiting + told["waited"]
    return Load(spent / told["answers"], told["answers"] / told["seconds"], told["p50"], told["p99"], waiting)


def interleaved(
    servers: Sequence[Server], asked: bytes, connections: int, *, rounds: int = 5, seconds: float = 1.5
) -> dict[str, Load]:
    """Put all servers under load in turn; return the medians."""
    for server in servers:
        load(server, asked, connections, 0.3)
    runs: dict[str, list[Load]] = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers if number % 2 else reversed(servers):
            runs[server.name].append(load(server, asked, connections, seconds))
    return {name: _middle(found) for name, found in runs.items()}


def pair(
    ours: Server, theirs: Server, asked: bytes, connections: int, *, rounds: int = 21, by: str = "cpu"
) -> tuple[Load, Load]:
    """Put two servers under load in turn, each first as often; return the pair in the middle of the ratios of `by`.

    Neighbours on the machine take the cores away for milliseconds, and then a 99th percentile is their time slice. So
    only the quietest quarter of the pairs counts: those in which both sides together waited least for a core.
    """
    for server in (ours, theirs):
        load(server, asked, connections, 0.3)
    pairs = []
    for number in range(rounds):
        order = (ours, theirs) if number % 2 else (theirs, ours)
        found = {server.name: load(server, asked, connections, 0.6) for server in order}
        pairs.append((found[ours.name], found[theirs.name]))
    quiet = sorted(pairs, key=lambda one: one[0].waited + one[1].waited)[: rounds // 4]
    return sorted(quiet, key=lambda one: getattr(one[0], by) / getattr(one[1], by))[len(quiet) // 2]


def beside_the_limit(
    home: Path, asked: bytes, route: Route, *, connections: Sequence[int] = (1, 8, 32), by: str = "cpu"
) -> tuple[Load, Load, dict[str, float | str]]:
    """Return the worst pair of a gateway and the limit over these connections, and what came out at each."""
    with limit(home) as theirs, gateway(home, route) as ours:
        found = {count: pair(ours, theirs, asked, count, by=by) for count in connections}
    notes: dict[str, float | str] = {
        f"{count} connections": f"CPU {a.cpu * 1e6:.1f}/{b.cpu * 1e6:.1f} us, {a.rate:.0f}/{b.rate:.0f} answers/s, "
        f"p50 {a.p50 * 1e3:.3f}/{b.p50 * 1e3:.3f} ms, p99 {a.p99 * 1e3:.2f}/{b.p99 * 1e3:.2f} ms"
        for count, (a, b) in found.items()
    }
    worst = max(found.values(), key=lambda one: getattr(one[0], by) / getattr(one[1], by))
    return *worst, notes


def _spent(pid: int) -> float:
    """Return the CPU seconds of a process from its own clock (Linux): its ticks in /proc are 1 % of a run."""
    return time.clock_gettime(~pid << 3 | 2)


def _middle(found: Sequence[Load]) -> Load:
    columns = zip(*((one.cpu, one.rate, one.p50, one.p99, one.waited) for one in found), strict=True)
    return Load(*(statistics.median(column) for column in columns))


@contextmanager
def _started(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environ())
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
