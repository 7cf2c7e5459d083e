"""The worker process: turns the loop some times a second, and carries out runs in child processes beside it.

All it knows beyond the facts is which children it started. Killed at any instant it takes them with it; started again
it has the same name, frees what it held and goes on from the journal.
"""

from __future__ import annotations

import fcntl
import logging
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO

from . import loop
from .ground.core.errors import ModelloopError
from .ground.pool.worker import Worker as Runner
from .ground.store.context import Context
from .project import Project, ProjectFile
from .retrain.records import Turn
from .train.tracking.actions import mirror

QUICK, SLOW = 0.05, 0.25
"""Seconds between turns while something happens, and when nothing has for CALM seconds."""
CALM = 5.0
TRACK_EVERY = 5.0
"""Seconds between looks for pipeline runs that are not among the tracked ones yet."""

_LOG = logging.getLogger("modelloop.worker")


class Worker:
    """One worker of a project on this machine. Use it from one thread, the main one."""

    def __init__(self, ctx: Context, project: Project, project_dir: Path) -> None:
        self._ctx, self._project_dir = ctx, project_dir
        self._file = ProjectFile(project_dir, project, log=_LOG)
        self.name, self._lock = _own_name(ctx.home)
        self._runner = Runner(ctx, name=self.name, argv=self._argv)
        self._seen: tuple[object, ...] = ()
        self._last_change = time.monotonic()
        self._track_at = 0.0

    def turn(self) -> Turn:
        """Look after the runs, then go once around the loop. Short; never waits for a run."""
        self._runner.turn()
        made = loop.turn(self._ctx, self._file.look(), self._project_dir)
        self._track()
        seen = (made.predictions, made.outcomes, made.busy)
        if seen != self._seen:
            self._seen, self._last_change = seen, time.monotonic()
        return made

    def _track(self) -> None:
        """Show runs that ended elsewhere (`modelloop run` of a plain pipeline) among the tracked ones."""
        if time.monotonic() >= self._track_at:
            mirror.catch_up(self._ctx)
            self._track_at = time.monotonic() + TRACK_EVERY

    def pause(self) -> float:
        """Return how many seconds may pass until the next turn."""
        calm = time.monotonic() - self._last_change > CALM and not self._runner.busy
        return SLOW if calm else QUICK

    def close(self) -> None:
        """Stop the children, give their runs back, free the name."""
        self._runner.close()
        self._lock.close()

    def _argv(self, run_id: str) -> list[str]:
        place = ["--project", str(self._project_dir)]
        return [sys.executable, "-m", "modelloop", "run-child", "--run", run_id, "--worker", self.name, *place]


def serve(ctx: Context, project: Project, project_dir: Path) -> None:
    """Work until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    over = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    worker = Worker(ctx, project, project_dir)
    _LOG.info("%s works for %s", worker.name, project_dir)
    try:
        while not over.is_set():
            try:
                worker.turn()
                over.wait(worker.pause())
            except ModelloopError:
                _LOG.exception("a turn did not come about; trying again")
                over.wait(1.0)
    finally:
        worker.close()


def _own_name(home: Path) -> tuple[str, IO[str]]:
    """Return the first name that no living worker of this folder has, and the lock that holds it.

    A worker that is started again thus finds its old name, and two at once never share one.
    """
    folder = home / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        lock = (folder / f"{number}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            number += 1
            continue
        return f"{socket.gethostname()[:150]}:{number}", lock
