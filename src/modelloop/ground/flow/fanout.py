"""`step.map` over processes: our own children, asked over a pipe in JSON; values travel through blobs, unpickled.

The children live as long as the session, import the user's module once, and end with their parent whatever happens to
it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ..core.hashing import canonical_json
from .codecs import from_text
from .records import RunError
from .step import Step


@dataclass(frozen=True, slots=True)
class Task:
    """One call to be made elsewhere."""

    step: str
    """MODULE:NAME"""
    seed: int | None
    item: str
    """The first argument, as codec text."""
    shared: str
    """(further positional arguments, keyword arguments), as codec text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How it went."""

    text: str
    """The result, as codec text."""
    seconds: float
    points: Sequence[tuple[str, float, int | None]] = ()
    artifacts: Sequence[tuple[str, str]] = ()
    error: RunError | None = None


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    pipe: Connection


class Fanout:
    """A few child processes, started when first needed."""

    def __init__(self, project: Path, blobs_url: str, *, limit: int) -> None:
        self._project = project
        self._blobs_url = blobs_url
        self._limit = limit
        self._idle: list[_Child] = []

    @property
    def usable(self) -> bool:
        """Say whether children can help: there are processors for two, and they can reach the blobs."""
        return self._limit > 1 and not self._blobs_url.startswith("memory:")

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Answer]]:
        """Yield (place, answer) as they come. After the first error nothing new is begun; what runs is waited for."""
        waiting = list(enumerate(tasks))[::-1]
        busy: dict[Connection, tuple[int, _Child]] = {}
        try:
            while waiting or busy:
                self._hand_out(waiting, busy)
                for pipe in wait(list(busy)):
                    assert isinstance(pipe, Connection)
                    place, child = busy.pop(pipe)
                    answer = self._receive(child)
                    waiting = waiting if answer.error is None else []
                    yield place, answer
        finally:
            for _, child in busy.values():  # only where whoever iterates gave up
                child.process.kill()
                _end(child)

    def _hand_out(self, waiting: list[tuple[int, Task]], busy: dict[Connection, tuple[int, _Child]]) -> None:
        while waiting and len(busy) < self._limit:
            place, task = waiting.pop()
            child = self._ask(task)
            busy[child.pipe] = place, child

    def close(self) -> None:
        """Let the children go."""
        for child in self._idle:
            _end(child)
        self._idle.clear()

    def _ask(self, task: Task) -> _Child:
        child = self._idle.pop() if self._idle else self._start()
        with suppress(OSError):  # it died while idle: `wait` and `_receive` will tell
            child.pipe.send_bytes(canonical_json(asdict(task)))
        return child

    def _start(self) -> _Child:
        ours, theirs = socket.socketpair()
        words = [str(theirs.fileno()), str(os.getpid()), str(self._project), self._blobs_url]
        argv = [sys.executable, "-m", "modelloop.ground.flow.fanout_child", *words]
        env = {**_threads(self._limit), **os.environ}
        process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=env)
        theirs.close()
        return _Child(process, Connection(ours.detach()))

    def _receive(self, child: _Child) -> Answer:
        try:
            data: dict[str, Any] = from_text(child.pipe.recv_bytes())
        except (EOFError, OSError):
            _end(child)
            message = f"A process of step.map ended by itself (exit status {child.process.returncode})."
            return Answer("", 0.0, error=RunError("StepFailed", message, message))
        self._idle.append(child)
        error = RunError(**data.pop("error")) if data.get("error") else None
        points = [(name, value, step) for name, value, step in data["points"]]
        artifacts = [(name, digest) for name, digest in data["artifacts"]]
        return Answer(data["text"], data["seconds"], points, artifacts, error)


def reference_of(step: Step[Any, Any]) -> str | None:
    """Return MODULE:NAME where another process finds the step, or None if it could not."""
    found: Any = sys.modules.get(step.__module__)
    for part in step.__qualname__.split("."):
        found = getattr(found, part, None)
    return f"{step.__module__}:{step.__qualname__}" if found is step and step.__module__ != "__main__" else None


def _threads(children: int) -> dict[str, str]:
    """Return settings that share the processors among the children, where the user has set nothing else."""
    share = str(max(1, (os.cpu_count() or 1) // children))
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), share)


def _end(child: _Child) -> None:
    child.pipe.close()
    try:
        child.process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()
