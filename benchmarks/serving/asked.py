"""What each peer is asked, in its own form, and how it is started. The same row of 30 numbers for all."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..peers import peer

_SKLEARN = "scikit-learn==1.7.2"
_V2: Callable[[list[float]], Any] = lambda row: {  # noqa: E731 - one form of several
    "inputs": [{"name": "x", "shape": [1, len(row)], "datatype": "FP32", "data": row}]
}
PEERS: Mapping[str, tuple[tuple[str, ...], str, Callable[[list[float]], Any]]] = {
    "bentoml": (("bentoml==1.4.39", _SKLEARN), "/predict", lambda row: {"x": [row]}),
    "kserve": (("kserve==0.21.0", _SKLEARN), "/v1/models/m:predict", lambda row: {"instances": [row]}),
    "litserve": (("litserve==0.2.19", _SKLEARN), "/predict", lambda row: {"x": [row]}),
    "mlflow": (("mlflow==3.17.2", _SKLEARN), "/invocations", lambda row: {"inputs": [row]}),
    "mlserver": (
        ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0", _SKLEARN),
        "/v2/models/m/infer",
        lambda row: {**_V2(row), "outputs": [{"name": "predict_proba"}]},
    ),
    "pytriton": (("nvidia-pytriton==0.7.0", "numpy<2", "onnxruntime"), "/v2/models/m/infer", _V2),
    "ray": (("ray[serve]==2.60.0", _SKLEARN), "/", lambda row: {"x": [row]}),
}
"""Name -> what is installed, path, body of a row."""
PATIENCE = 90.0
SCRIPT = Path(__file__).parent / "peer.py"


def request(name: str, row: list[float], port: int) -> bytes:
    """Return the bytes that a caller sends to a peer."""
    _, path, form = PEERS[name]
    body = json.dumps(form(row)).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def started(name: str, kind: str, folder: Path) -> Iterator[int]:
    """Start a peer, wait until it answers, yield its port; end it with all that it started."""
    python, port = peer(name, *PEERS[name][0]), _free()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if name == "ray":
        environment |= {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
    if name == "pytriton":
        asked = [python, "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"]
        environment["LD_LIBRARY_PATH"] = subprocess.run(
            asked, check=True, capture_output=True, text=True
        ).stdout.strip()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [python, SCRIPT, name, kind, str(port), folder / name],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            _wait(name, port, process)
            yield port
        finally:
            _end(name, process, python)


def _wait(name: str, port: int, process: subprocess.Popen[bytes]) -> None:
    _, path, form = PEERS[name]
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            line.request("POST", path, json.dumps(form([0.1] * 30)), {"Content-Type": "application/json"})
            if line.getresponse().status == 200:
                return
        time.sleep(0.3)
    raise RuntimeError(f"{name} did not answer within {PATIENCE:.0f} s; its log stands beside its folder.")


def _end(name: str, process: subprocess.Popen[bytes], python: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(8)
    if name == "ray":  # its processes have sessions of their own
        _end_started_from(python.parent.parent)


def _end_started_from(environment: Path) -> None:
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            command = (entry / "cmdline").read_bytes()
            if str(environment).encode() in command:
                os.kill(int(entry.name), signal.SIGKILL)


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
