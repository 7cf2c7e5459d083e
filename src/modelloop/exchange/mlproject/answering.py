"""Who answers what a project logs: this project's control process, or one started for as long as the run takes."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from ...ground.core.errors import NotReady
from ...ground.core.settings import Settings
from ...ground.pool import local

UP = "up.json"
"""What `modelloop up` says of its processes; one that does not answer is not believed."""
PATIENCE = 60.0
_END = 10.0


@contextlib.contextmanager
def control_of(settings: Settings) -> Iterator[str]:
    """Yield the address of a control process that answers; one that was started here is ended."""
    there = _running(settings)
    if there is not None:
        yield there
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    argv = [sys.executable, "-m", "modelloop", "control", "--project", str(settings.project_dir), "--port", str(port)]
    log = settings.home / "runs" / f"control-{port}.log"
    child = local.start(argv, log)  # it ends with this process, whatever ends that
    try:
        _wait(f"http://127.0.0.1:{port}", child, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop(grace=_END)
        log.unlink(missing_ok=True)


def _running(settings: Settings) -> str | None:
    try:
        listed = json.loads((settings.home / UP).read_text())["processes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    for one in listed if isinstance(listed, list) else ():
        address = one.get("address")
        if one.get("kind") == "control" and isinstance(address, str) and _answers(address):
            return address
    return None


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310 - our own process
            return True
    except (urllib.error.URLError, OSError):
        return False


def _wait(address: str, child: local.Child, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not _answers(address):
        if child.poll() is not None or time.monotonic() > until:
            said = log.read_text(errors="replace").strip()[-1000:]
            raise NotReady(f"The control process for this run does not start: {said}")
        time.sleep(0.02)
