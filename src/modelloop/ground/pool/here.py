"""A run carried out by the process that asks for it, on a SQLite store: no worker, no second start of Python.

It is queued, claimed and recorded as any other. Killed, its lease lapses and a worker goes on from its journal;
cancelled from elsewhere, or beyond its time limit, it is ended with all it has started. Without SQLAlchemy, as
`store.plain` says.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..core.clock import Clock
from ..core.errors import NotReady, StaleState
from ..core.ids import check_name, new_id
from ..core.records import Actor, Event
from ..flow.carry import carry_out
from ..flow.codecs import Encoder, Remembered, to_text
from ..flow.elsewhere import Executor
from ..flow.process import descendants
from ..flow.records import InputRef, Run, RunState
from ..flow.session import Place
from ..flow.sqlite_journal import SqliteJournal, begin_run, find_run
from ..store.blobs import Blobs
from ..store.plain import PlainFacts, as_time
from .records import RUN, JobState

LEASE = timedelta(seconds=15)
_LOOK_EVERY = 0.2
_GRACE = 5.0
_STDOUT_KEPT = 5_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be run."""

    pipeline: str
    function: str
    project_dir: Path
    project: str
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    time_limit: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Desk:
    """With what it is run."""

    facts: PlainFacts
    blobs: Blobs
    clock: Clock
    actor: Actor
    home: Path
    executor: Executor
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)


def run_here(desk: Desk, asked: Asked) -> Run:
    """Queue a run, carry it out, return it as it ended or waits for a person.

    KeyboardInterrupt gives the run back: a worker goes on with it, or this process when it is asked for again.
    """
    run_id, job_id = _queue(desk, asked)
    log = desk.home / "runs" / f"{run_id}.log"
    keeper = _Keeper(desk, run_id, job_id, asked.time_limit)
    try:
        with _printing_to(log), keeper:
            run = carry_on(desk, run_id, None, accounts=True)
    except (KeyboardInterrupt, StaleState):
        if keeper.ended is None:
            _let_go(desk, job_id, JobState.WAITING)
            raise
        run = find_run(desk.facts, run_id, desk.blobs.get)
    printed = log.read_bytes()[-_STDOUT_KEPT:]
    if printed:
        desk.facts.run("UPDATE flow_run SET stdout = ? WHERE id = ?", (desk.blobs.put(printed), run_id))
    _let_go(desk, job_id, JobState.DONE)
    return run


def carry_on(desk: Desk, run_id: str, worker: str | None, *, accounts: bool) -> Run:
    """Carry out a queued run that was given no data, or go on with it; return it as it ended or waits."""
    run = begin_run(desk.facts, run_id, worker, desk.clock, desk.blobs.get)
    if run.state is not RunState.RUNNING:
        return run
    journal = SqliteJournal(desk.facts, run, clock=desk.clock, actor=desk.actor, get=desk.blobs.get)
    place = Place(desk.blobs, desk.clock, desk.executor, desk.processes)
    return carry_out(journal, place, _no_data, accounts=accounts)


def _no_data(ref: InputRef) -> object:
    raise NotReady(f"{ref.dataset} v{ref.version} cannot be read by this process.")


def _queue(desk: Desk, asked: Asked) -> tuple[str, str]:
    """Queue the run and hold its job, in one transaction."""
    check_name(asked.pipeline, "pipeline")
    now = desk.clock.now()
    run_id, job_id, at = new_id("run", now), new_id("job", now), as_time(now)
    params = Encoder(desk.blobs.put, Remembered(), stores=True, types=set()).encode(dict(asked.params), "params")
    run = {
        "id": run_id,
        "pipeline": asked.pipeline,
        "function": asked.function,
        "project_dir": str(asked.project_dir.resolve()),
        "params": to_text(params).decode(),
        "seed": asked.seed,
        "time_limit": asked.time_limit.total_seconds(),
        "queued_at": at,
        "project": asked.project,
    }
    until = as_time(now + LEASE)
    job = {"id": job_id, "kind": RUN, "key": run_id, "payload": f'{{"run": "{run_id}"}}', "at": at, "until": until}
    with desk.facts.transaction() as facts:
        facts.run(
            "INSERT INTO flow_run (id, pipeline, function, project_dir, state, params, inputs, seed, time_limit,"
            " queued_at, attempt, cancel_asked, accounted, cpu_seconds, peak_bytes, wall_seconds, gpu_seconds, project)"
            " VALUES (:id, :pipeline, :function, :project_dir, 'queued', :params, '{}', :seed, :time_limit,"
            " :queued_at, 0, 0, 0, 0.0, 0, 0.0, 0.0, :project)",
            run,
        )
        facts.run(
            "INSERT INTO pool_job (id, kind, key, payload, state, attempts, excused, worker, lease_until, available_at,"
            " created_at) VALUES (:id, :kind, :key, :payload, 'held', 1, 0, :worker, :until, :at, :at)",
            {**job, "worker": _own_name()},
        )
        detail: dict[str, Any] = {"pipeline": asked.pipeline, "episode": None, "seed": asked.seed, "inputs": {}}
        facts.append_audit(desk.actor, now, Event("run.submitted", run_id, detail))
    return run_id, job_id


def _let_go(desk: Desk, job_id: str, state: JobState) -> None:
    at = as_time(desk.clock.now())
    desk.facts.run(
        "UPDATE pool_job SET state = :state, worker = NULL, lease_until = NULL, available_at = :at,"
        " finished_at = CASE WHEN :state = 'done' THEN :at END WHERE id = :id AND state = 'held' AND worker = :worker",
        {"state": str(state), "at": at, "id": job_id, "worker": _own_name()},
    )


def _own_name() -> str:
    return f"{socket.gethostname()[:150]}:here:{os.getpid()}"


class _Keeper(threading.Thread):
    """Holds the lease beside the run, and ends the run when somebody cancels it or its time is over."""

    def __init__(self, desk: Desk, run_id: str, job_id: str, limit: timedelta) -> None:
        super().__init__(daemon=True)
        self._desk, self._run_id, self._job_id = desk, run_id, job_id
        self._until = time.monotonic() + limit.total_seconds()
        self._limit = limit
        self._over = threading.Event()
        self.ended: RunState | None = None

    def __enter__(self) -> _Keeper:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Look now and then until the run is over."""
        facts: PlainFacts | None = None
        renewed = time.monotonic()
        while not self._over.wait(min(_LOOK_EVERY, max(0.0, self._until - time.monotonic()))):
            facts = facts or PlainFacts(self._desk.facts.path)
            row = facts.row("SELECT cancel_asked, state FROM flow_run WHERE id = ?", (self._run_id,))
            if row is not None and (row["cancel_asked"] or row["state"] == "cancelled"):
                self._end(facts, RunState.CANCELLED, "cancelled")
                break
            if time.monotonic() >= self._until:
                reason = f"The run took longer than its time limit of {self._limit.total_seconds():g} s and was ended."
                self._end(facts, RunState.FAILED, reason)
                break
            if time.monotonic() - renewed > LEASE.total_seconds() / 3:
                renewed = time.monotonic()
                until = as_time(self._desk.clock.now() + LEASE)
                facts.run("UPDATE pool_job SET lease_until = ? WHERE id = ? AND state = 'held'", (until, self._job_id))
        if facts is not None:
            facts.close()

    def _end(self, facts: PlainFacts, state: RunState, reason: str) -> None:
        """Write down how it ended, then end it: what it started, then what runs in this process, then the process."""
        now = self._desk.clock.now()
        error = {"kind": "StepFailed", "message": reason, "traceback": reason, "step": None}
        text = None if state is RunState.CANCELLED else _json(error)
        with facts.transaction():
            values = (str(state), as_time(now), text, self._run_id)
            if facts.run(
                "UPDATE flow_run SET state = ?, finished_at = ?, error = ? WHERE id = ?"
                " AND state IN ('queued', 'running')",
                values,
            ):
                facts.append_audit(self._desk.actor, now, Event(f"run.{state}", self._run_id, {"reason": reason}))
        self.ended = state
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if self._over.is_set():
            return
        os.kill(os.getpid(), signal.SIGINT)
        if not self._over.wait(_GRACE):  # it is deep in a library, or takes no interrupt
            _let_go(self._desk, self._job_id, JobState.DONE)
            os._exit(1)


def _json(value: Mapping[str, Any]) -> str:
    return to_text(dict(value)).decode()


@contextmanager
def _printing_to(log: Path) -> Iterator[None]:
    """Send what is printed, by whatever library or child, to a file, as a worker does."""
    log.parent.mkdir(parents=True, exist_ok=True)
    restore: list[Callable[[], None]] = []
    with log.open("ab", buffering=0) as file:
        for number in (1, 2):
            kept = os.dup(number)
            os.dup2(file.fileno(), number)
            restore.append(_putting_back(kept, number))
        try:
            yield
        finally:
            _flush()
            for put_back in restore:
                put_back()


def _putting_back(kept: int, number: int) -> Callable[[], None]:
    def put_back() -> None:
        os.dup2(kept, number)
        os.close(kept)

    return put_back


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
