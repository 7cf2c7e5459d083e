"""A real control process on a project of its own, as `modelloop up` starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelloop.evaluate.settings import Task
from modelloop.scaffold import scaffold

PATIENCE = 60.0


@dataclass(frozen=True)
class Control:
    """Where it answers, and how to come in."""

    url: str
    token: str
    pid: int
    folder: Path
    ready: float
    """Seconds from its start until it answered."""


@contextmanager
def control_process(folder: Path, environ: Mapping[str, str] | None = None) -> Iterator[Control]:
    """Start one in an empty folder, yield it when it answers, and end it."""
    scaffold(folder, "tracking", task=Task.BINARY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    argv = [sys.executable, "-m", "modelloop", "control", "--project", str(folder), "--port", str(port)]
    began = time.monotonic()
    with (folder / "control.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **(environ or {})})
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, folder / "control.log", began)
        ready = time.monotonic() - began
        token = (folder / ".modelloop" / "secrets" / "token").read_text().strip()
        yield Control(url, token, process.pid, folder, ready)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, began: float) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() - began > PATIENCE:
                raise AssertionError(f"control did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.01)
