"""What moves a run: submitted, executed, accounted for, ended, cancelled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from ...core.ids import check_name
from ...core.records import Event
from ...store import audit
from ...store.context import Context
from ...store.plain import PlainFacts
from .. import tables
from ..carry import carry_out
from ..codecs import Encoder, Remembered, to_text
from ..elsewhere import Executor, Nowhere
from ..journal import Journal
from ..records import InputRef, Run, RunError, RunState, Usage
from ..session import Place
from ..sqlite_journal import SqliteJournal
from .journal import OPEN, FactsJournal
from .looking import assembled, run_row

_STDOUT_KEPT = 5_000_000


def submit(  # noqa: PLR0913 - a run is all of these; each is named by the caller
    ctx: Context,
    *,
    pipeline: str,
    function: str,
    project_dir: Path,
    inputs: Mapping[str, InputRef],
    params: Mapping[str, Any],
    seed: int = 0,
    time_limit: timedelta = timedelta(hours=1),
    episode: str | None = None,
    once: str | None = None,
    project: str = "",
) -> Run:
    """Queue a run. An episode has one run: asking again returns it. A worker takes it up by itself.

    `once` names what it is submitted for (an instant of a schedule): asking again, from wherever, returns the same run.
    """
    check_name(pipeline, "pipeline")
    encoder = Encoder(ctx.blobs.put, Remembered(), stores=True, types=set())
    values = {
        "id": ctx.id("run"),
        "pipeline": pipeline,
        "function": function,
        "project_dir": str(project_dir.resolve()),
        "state": RunState.QUEUED,
        "params": to_text(encoder.encode(dict(params), "params")).decode(),
        "inputs": {name: asdict(ref) for name, ref in inputs.items()},
        "seed": seed,
        "time_limit": time_limit.total_seconds(),
        "episode": episode,
        "once": once,
        "project": project,
        "queued_at": ctx.now(),
    }
    with ctx.db.transaction() as connection:
        if tables.add_run(connection, values):
            detail = {"pipeline": pipeline, "episode": episode, "seed": seed, "inputs": values["inputs"]}
            audit.append(connection, ctx, Event("run.submitted", str(values["id"]), detail))
            return assembled(ctx, connection, [tables.run_row(connection, str(values["id"]))])[0]
    with ctx.db.reading() as connection:  # anew: the transaction above may not see who was first
        return assembled(ctx, connection, [tables.run_submitted(connection, episode, once)])[0]


def execute(
    ctx: Context,
    run_id: str,
    *,
    resolve: Callable[[InputRef], object],
    worker: str | None = None,
    processes: int | None = None,
    executor: Executor | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Run:
    """Carry out a run in this process, to its end or until it waits for a person.

    Calls of steps that finished before are not made again. Errors of user code are recorded, not raised: look at the
    state. What is raised (StoreUnavailable, StaleState: another process took the run over) leaves the run as it is, to
    be executed again. `executor`: who makes calls in other processes (`pool.places.executor_for`), at most `processes`
    at a time for `step.map`; without one all is done in this process. It is closed at the end.
    """
    run = begin(ctx, run_id, worker)
    if run.state is not RunState.RUNNING:
        return run
    place = Place(ctx.blobs, ctx.clock, executor or Nowhere(), processes or os.cpu_count() or 1, sleep)
    file = ctx.db.url.database if ctx.db.is_sqlite else None
    if not file or file == ":memory:":
        return _carry_out(FactsJournal(ctx, run), place, resolve, worker)
    facts = PlainFacts(Path(file))
    try:
        journal = SqliteJournal(facts, run, clock=ctx.clock, actor=ctx.actor, get=ctx.blobs.get)
        return _carry_out(journal, place, resolve, worker)
    finally:
        facts.close()


def cancel(ctx: Context, run_id: str) -> Run:
    """Cancel a run: at once if it waits, for its turn or a person, else its worker ends it in a moment.

    One that has ended stays as it is.
    """
    with ctx.db.transaction() as connection:
        now = ctx.now()
        ended = {"state": RunState.CANCELLED, "finished_at": now, "cancel_asked": True}
        changed = tables.change_run(connection, run_id, ended, states=[RunState.QUEUED, RunState.WAITING])
        changed = changed or tables.change_run(connection, run_id, {"cancel_asked": True}, states=[RunState.RUNNING])
        run = assembled(ctx, connection, [run_row(connection, run_id)])[0]
        if changed:
            audit.append(connection, ctx, Event("run.cancel", run_id, {"state": str(run.state)}))
        return run


def end(ctx: Context, run_id: str, state: RunState, *, reason: str) -> Run:
    """End a run from outside its process: cancelled, or failed (time limit, died too often). Ended ones stay."""
    with ctx.db.transaction() as connection:
        error = None if state is RunState.CANCELLED else asdict(RunError("StepFailed", reason, reason))
        values = {"state": state, "finished_at": ctx.now(), "error": error}
        if tables.change_run(connection, run_id, values, states=OPEN):
            audit.append(connection, ctx, Event(f"run.{state}", run_id, {"reason": reason}))
        return assembled(ctx, connection, [run_row(connection, run_id)])[0]


def account(ctx: Context, run_id: str, attempt: int, usage: Usage, *, log: Path | None) -> Run:
    """Add what an attempt took, and keep what the run printed so far; the same attempt is counted once."""
    stdout = None
    if log is not None and log.is_file():
        stdout = ctx.blobs.put(log.read_bytes()[-_STDOUT_KEPT:])
    with ctx.db.transaction() as connection:
        row = run_row(connection, run_id)
        values = {**asdict(usage), "stdout": stdout or row.stdout}
        tables.account(connection, run_id, attempt, values)
        return assembled(ctx, connection, [run_row(connection, run_id)])[0]


def begin(ctx: Context, run_id: str, worker: str | None) -> Run:
    """Begin an attempt of a run that is queued, or whose process died; return it as it is then."""
    with ctx.db.transaction() as connection:
        row = run_row(connection, run_id)
        values = {
            "state": RunState.RUNNING,
            "attempt": row.attempt + 1,
            "worker": worker,
            "started_at": row.started_at or ctx.now(),
        }
        if tables.change_run(connection, run_id, values, states=OPEN) and row.attempt:
            tables.drop_unfinished_metrics(connection, run_id)
        return assembled(ctx, connection, [run_row(connection, run_id)])[0]


def _carry_out(journal: Journal, place: Place, resolve: Callable[[InputRef], object], worker: str | None) -> Run:
    return carry_out(journal, place, resolve, accounts=worker is None)
