"""The real shell on a free port, in a thread."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn

from modelloop.ground.http import Route
from modelloop.ground.store.context import Context
from modelloop.web import shell
from modelloop.web.pages import environment
from modelloop.web.session import Doorkeeper

ARGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Serving:
    """A page's address, for as long as a test takes."""

    def __init__(self, ctx: Context, project: Any, folder: Path, routes: Sequence[Route]) -> None:
        self.ctx = ctx
        self.door = Doorkeeper("t" * 40, folder / "secrets")
        hosts = frozenset({"127.0.0.1"})
        site = shell.Site(ctx, project, folder, self.door, hosts, environment())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        config = uvicorn.Config(
            shell.Guarded(shell.build(site, routes), hosts), port=self.port, log_level="error", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()

    def at(self, path: str) -> str:
        """An address for whoever has a session."""
        return f"http://127.0.0.1:{self.port}{path}"

    def address(self, path: str = "/") -> str:
        """An address that opens once."""
        return f"{self.at(path)}?token={self.door.once(self.ctx.now())}"

    def close(self) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join()
