"""Two gateway processes at one port beside one: what an answer costs in CPU, over all processes."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from modelloop.deploy.records import Route

from ..answering import Server, gateway, request, tensor_body
from ..measure import Measured, Work, environ, process_cpu, versions
from ..served import linear, put, trees

CONNECTIONS, SECONDS, ROUNDS = 32, 1.5, 7


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        route = Route("bench", put(home, trees(rounds=5), tensor=linear()))
        asked = request(tensor_body()[0])
        shared = ("--port", str(_free_port()), "--share-port")
        with (
            gateway(home, route, name="alone") as alone,
            gateway(home, route, *shared, name="first") as first,
            gateway(home, route, *shared, name="second") as second,
        ):
            both = [first, second]
            for servers in ([alone], both):
                _load(servers, asked, 0.3)
            pairs = [(_load(both, asked, SECONDS), _load([alone], asked, SECONDS)) for _ in range(ROUNDS)]
    ours = statistics.median(pair[0] for pair in pairs)
    reference = statistics.median(pair[1] for pair in pairs)
    return Measured(ours * 1e6, reference * 1e6, "CPU us an answer", {"connections": CONNECTIONS, "rounds": ROUNDS})


def _load(servers: list[Server], asked: bytes, seconds: float) -> float:
    """Put the processes of one port under load; return the CPU seconds of all of them for an answer."""
    port = servers[0].port
    filled = asked.replace(b"%PORT%", str(port).encode())
    argv = [sys.executable, "-m", "benchmarks.asking", str(port), str(CONNECTIONS), str(seconds)]
    before = [process_cpu(server.pid) for server in servers]
    told = json.loads(subprocess.run(argv, input=filled, capture_output=True, check=True, env=environ()).stdout)
    spent = [process_cpu(server.pid) - was for server, was in zip(servers, before, strict=True)]
    assert min(spent) > 0, "each of them answered"
    return sum(spent) / float(told["answers"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


WORK = Work(
    f"one answer, two gateway processes at one port, {CONNECTIONS} connections",
    f"the same by one process ({versions('uvicorn', 'uvloop', 'onnxruntime')})",
    1.05,
    _run,
)
