"""The gateway's answers within somebody else's server, such as a replica of Ray Serve: no port, no supervisor.

Imported by exported applications, not by Modelloop itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

from ...ground.core.errors import NotReady
from ..gateway import faces
from ..gateway.answer import Request, Response, is_inference
from ..gateway.standing import Place, Standing

Headers = list[tuple[bytes, bytes]]


class Replica:
    """One process' gateway. Make it in the thread of the event loop that asks it."""

    def __init__(self, blobs: str, predictions: Path, name: str) -> None:
        """`blobs`: the store that holds routing table and packages; `name`: any word that no other replica has."""
        gateway = "r" + re.sub(r"[^a-z0-9]", "", name.lower())[:40]
        self._standing = Standing(Place(gateway, predictions, blobs=blobs, reports=False), lambda: "")
        self._standing.start()

    def check(self) -> None:
        """Raise NotReady unless there is something to answer with."""
        if not self._standing.live.serving.routes:
            failed = "; ".join(f"{name}: {why}" for name, why in self._standing.live.failed.items())
            raise NotReady(f"There is no endpoint loaded. {failed}".strip())

    def answer(
        self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> asyncio.Future[tuple[int, Headers, bytes]]:
        """Return what becomes status, headers and body; await it in the event loop."""
        loop = asyncio.get_running_loop()
        answerer = self._standing.answerer
        answerer.attach(loop.call_soon_threadsafe)
        told: asyncio.Future[tuple[int, Headers, bytes]] = loop.create_future()

        def done(response: Response) -> None:
            if not told.done():  # else the caller went away
                told.set_result((response.status, list(response.headers), response.body))

        request = Request(method, path, dict(headers), body)
        if is_inference(path) and method == "POST":
            answerer.infer(request, done)
        else:
            faces.answer(answerer, request, done)
        return told

    def stop(self) -> None:
        """End the threads and write what waits."""
        self._standing.stop()
