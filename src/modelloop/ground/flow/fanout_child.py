"""The other end of `fanout`: `python -m modelloop.ground.flow.fanout_child FD PARENT PROJECT BLOBS`.

Makes calls as it is asked, stores their results, and says how it went. Prints of user code go where the run's prints
go.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..core.errors import StepFailed
from ..core.hashing import canonical_json
from ..store.blobs import Blobs
from .codecs import Decoder, Encoder, Remembered, from_text, to_text
from .failure import attempt, describe
from .inside import InsideStep
from .process import die_with_parent
from .project import importable, load_function
from .step import Step

_BLOBS_HELD = 8


def main(words: list[str]) -> None:
    """Serve until the parent closes the pipe."""
    fd, parent, project, url = words
    die_with_parent(int(parent))
    worker = Worker(Path(project), Blobs(url))
    pipe = Connection(int(fd))
    while True:
        try:
            asked = from_text(pipe.recv_bytes())
        except EOFError:
            return
        pipe.send_bytes(canonical_json(worker.answer(asked)))


class Worker:
    """Makes one call after the other."""

    def __init__(self, project: Path, blobs: Blobs) -> None:
        self.project, self.blobs = project, blobs
        self._held: dict[str, bytes] = {}
        self.decoder = Decoder(self._get, Remembered(), importable(project))

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return how one call went, JSON-ready."""
        artifacts: list[tuple[str, str]] = []
        inside = InsideStep(lambda _: None, lambda name, data: artifacts.append((name, self.blobs.put(data))))
        began = time.perf_counter()
        text, raised = attempt(lambda: self._carry_out(asked, inside))
        error = asdict(describe(raised, step=asked["step"].partition(":")[2])) if raised else None
        seconds = time.perf_counter() - began
        return {"text": text or "", "seconds": seconds, "points": inside.points, "artifacts": artifacts, "error": error}

    def _carry_out(self, asked: dict[str, Any], inside: InsideStep) -> str:
        step = self._step(asked["step"])
        item = self.decoder.decode(from_text(asked["item"]))
        args, kwargs = self.decoder.decode(from_text(asked["shared"]))
        with inside.open(asked["seed"]):
            raw = step(item, *args, **kwargs)
        return to_text(Encoder(self.blobs.put, Remembered(), stores=True, types=set()).encode(raw)).decode()

    def _step(self, reference: str) -> Callable[..., Any]:
        module, _, qualname = reference.partition(":")
        first, *rest = qualname.split(".")
        found: Any = load_function(self.project, f"{module}:{first}")
        for part in rest:
            found = getattr(found, part)
        if not isinstance(found, Step):
            raise StepFailed(f"{reference} is not a step any more.")
        return found.function

    def _get(self, digest: str) -> bytes:
        """Read a blob; hold the last few, which are what all items share."""
        if digest not in self._held:
            while len(self._held) >= _BLOBS_HELD:
                self._held.pop(next(iter(self._held)))
            self._held[digest] = self.blobs.get(digest)
        return self._held[digest]


if __name__ == "__main__":
    main(sys.argv[1:])
