"""The demo's processes: `modelloop up` on the demo's folder, as a user would start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..ground.core.errors import NotReady


@dataclass(frozen=True, slots=True)
class Address:
    """Where the processes answer."""

    control: str
    gateway_host: str
    gateway_port: int
    token: str


@dataclass(frozen=True, slots=True)
class Up:
    """A running `modelloop up`."""

    folder: Path
    process: subprocess.Popen[bytes]

    def ready(self, patience: float) -> Address:
        """Wait until all processes answer; raises NotReady with the log's last lines."""
        deadline = time.monotonic() + patience
        while True:
            state = self._state()
            if state is not None and state["ready"]:
                return self._address(state["processes"])
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join((self.folder / "up.log").read_text(errors="replace").splitlines()[-8:])
                raise NotReady(f"`modelloop up` did not come up in {self.folder}:\n{tail}")
            time.sleep(0.05)

    def page(self) -> str:
        """Return a fresh address of the page, which opens once."""
        argv = [sys.executable, "-m", "modelloop", "page", "--project", str(self.folder), "--json"]
        answer = subprocess.run(argv, capture_output=True, check=True, text=True)
        return str(json.loads(answer.stdout)["page"])

    def _state(self) -> Any:
        try:
            return json.loads((self.folder / ".modelloop" / "up.json").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _address(self, listed: list[dict[str, Any]]) -> Address:
        by_kind = {process["kind"]: urlsplit(process["address"] or "") for process in listed}
        gateway = by_kind["gateway"]
        token = (self.folder / ".modelloop" / "secrets" / "token").read_text().strip()
        return Address(by_kind["control"].geturl(), gateway.hostname or "127.0.0.1", gateway.port or 0, token)


@contextmanager
def up(folder: Path) -> Iterator[Up]:
    """Run `modelloop up` for the folder on free ports, and end it (it alone, by its handle) when the story is over."""
    environ = os.environ | {"MODELLOOP_CONTROL_PORT": "0", "MODELLOOP_GATEWAY_PORT": "0"}
    argv = [sys.executable, "-m", "modelloop", "up", "--project", str(folder)]
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environ)
        try:
            yield Up(folder, process)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
