"""What each peer is asked, in its own form, and how it is started. The same row of 30 numbers for all."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from ..peers import peer

_SKLEARN = f"scikit-learn=={version('scikit-learn')}"
ROW = [0.1] * 30


def _v2(row: list[float]) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [1, len(row)], "datatype": "FP32", "data": row}]}


@dataclass(frozen=True)
class Peer:
    """One server, and how it is talked to."""

    requirements: tuple[str, ...]
    path: str
    body: Callable[[list[float]], Any]
    score: Callable[[Any], float]
    """Reads the probability in its answer."""
    environment: Mapping[str, str] = field(default_factory=dict)


PEERS: Mapping[str, Peer] = {
    "bentoml": Peer(("bentoml==1.4.39", _SKLEARN), "/predict", lambda row: {"x": [row]}, lambda told: told[0]),
    "kserve": Peer(
        ("kserve==0.21.0", _SKLEARN),
        "/v1/models/m:predict",
        lambda row: {"instances": [row]},
        lambda told: told["predictions"][0],
    ),
    "litserve": Peer(("litserve==0.2.19", _SKLEARN), "/predict", lambda row: {"x": [row]}, lambda told: told["y"][0]),
    "mlflow": Peer(
        ("mlflow==3.17.2", _SKLEARN),
        "/invocations",
        lambda row: {"inputs": [row]},
        lambda told: told["predictions"][0][1],
    ),
    "mlserver": Peer(
        ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0", _SKLEARN),
        "/v2/models/m/infer",
        lambda row: {**_v2(row), "outputs": [{"name": "predict_proba"}]},
        lambda told: told["outputs"][0]["data"][1],
    ),
    "pytriton": Peer(
        ("nvidia-pytriton==0.7.0", "numpy<2", "onnxruntime"),
        "/v2/models/m/infer",
        _v2,
        lambda told: told["outputs"][0]["data"][0],
    ),
    "ray": Peer(
        ("ray[serve]==2.60.0", _SKLEARN),
        "/",
        lambda row: {"x": [row]},
        lambda told: told["y"][0],
        {
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            # where clusters are off, Ray leaves 127.0.0.1 as it is, and its node listens on loopback only
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        },
    ),
}
PATIENCE, STEADY = 180.0, 1.0
CLOSE = 1e-4
SCRIPT = Path(__file__).parent / "peer.py"


def request(name: str, port: int) -> bytes:
    """Return the bytes that a caller sends to a peer."""
    body = json.dumps(PEERS[name].body(ROW)).encode()
    head = f"POST {PEERS[name].path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def started(name: str, kind: str, folder: Path, expected: float) -> Iterator[int]:
    """Start a peer, wait until it answers as `expected`, yield its port; end it with all that it started.

    Raises RuntimeError with the end of its log where it does not.
    """
    python, port = peer(name, *PEERS[name].requirements), _free()
    # its home is its folder: nothing is left behind
    environment = {**os.environ, "HOME": str(folder / name), "OMP_NUM_THREADS": "1", **PEERS[name].environment}
    if name == "pytriton":
        asked = [python, "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"]
        environment["LD_LIBRARY_PATH"] = subprocess.run(
            asked, check=True, capture_output=True, text=True
        ).stdout.strip()
    path = folder / f"{name}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [python, SCRIPT, name, kind, str(port), folder / name],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    try:
        score = _wait(name, port, process)
        if score is None:
            raise RuntimeError(f"{name} did not answer.\n{path.read_text(errors='replace')[-3000:]}")
        if abs(score - expected) > CLOSE:
            raise RuntimeError(f"{name} answers {score}, and the model says {expected}.")
        yield port
    finally:
        _end(process)


def _wait(name: str, port: int, process: subprocess.Popen[bytes]) -> float | None:
    """Return the score once a connection has been answered steadily, or None."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            if (score := _steady(name, port)) is not None:
                return score
        time.sleep(0.3)
    return None


def _steady(name: str, port: int) -> float | None:
    """Return the score, or None where it does not answer yet or ends the connection, as a proxy does that reloads."""
    one = PEERS[name]
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    until = time.monotonic() + STEADY
    with closing(line):
        while True:
            line.request("POST", one.path, json.dumps(one.body(ROW)), {"Content-Type": "application/json"})
            answer = line.getresponse()
            told = answer.read()
            if answer.status != 200 or answer.will_close:
                return None
            if time.monotonic() > until:
                return float(one.score(json.loads(told)))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a peer with all that descends from it: Ray's and BentoML's processes have sessions of their own."""
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        psutil.wait_procs(started, 8)
        for one in started:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free() -> int:
    """Return the first of three free ports beside each other: some peers speak gRPC and show metrics too.

    They are below those that the system gives to callers, of which a benchmark uses up many.
    """
    for first in random.sample(range(20_000, 30_000, 3), 100):
        with ExitStack() as held:
            try:
                for port in range(first, first + 3):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise RuntimeError("There are no three free ports between 20000 and 30000.")
