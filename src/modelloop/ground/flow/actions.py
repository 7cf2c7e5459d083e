"""The verbs of runs: submit, execute, account for, end, cancel, look at."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from ..core.errors import Conflict, NotFound, RunCancelled, StaleState, StoreUnavailable
from ..core.ids import check_id, check_name
from ..core.records import Event
from ..store import audit
from ..store.context import Context
from . import environment, rows, tables
from .codecs import Decoder, Encoder, Remembered, from_text, to_text
from .failure import attempt
from .journal import Finished, Kept
from .metrics import Logged
from .project import arguments_for, load_function
from .records import CodeVersion, InputRef, MetricPoint, Run, RunError, RunState, StepRun, Usage
from .session import RunSession
from .values import seed_libraries

_OPEN = (RunState.QUEUED, RunState.RUNNING)
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
) -> Run:
    """Queue a run. An episode has one run: asking again returns it. A worker takes it up by itself."""
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
        "queued_at": ctx.now(),
    }
    with ctx.db.transaction() as connection:
        if tables.add_run(connection, values):
            detail = {"pipeline": pipeline, "episode": episode, "seed": seed, "inputs": values["inputs"]}
            audit.append(connection, ctx, Event("run.submitted", str(values["id"]), detail))
            row = tables.run_row(connection, str(values["id"]))
        else:
            row = tables.run_of_episode(connection, str(episode))
        return _assemble(ctx, connection, [row])[0]


def execute(
    ctx: Context,
    run_id: str,
    *,
    resolve: Callable[[InputRef], object],
    worker: str | None = None,
    processes: int | None = None,
) -> Run:
    """Carry out a run in this process, to its end; calls of steps that finished before are not made again.

    Errors of user code are recorded, not raised: look at the state. What is raised (StoreUnavailable, StaleState:
    another process took the run over) leaves the run as it is, to be executed again. `processes`: how many `step.map`
    may use.
    """
    run = _begin(ctx, run_id, worker)
    if run.state.ended:
        return run
    project = Path(run.project_dir)
    session = RunSession(
        journal=FactsJournal(ctx, run),
        blobs=ctx.blobs,
        clock=ctx.clock,
        project=project,
        seed=run.seed,
        processes=processes or os.cpu_count() or 1,
    )
    began, cpu = time.perf_counter(), time.process_time()
    values, error = attempt(lambda: _call_pipeline(ctx, run, session, resolve), passing=(StoreUnavailable, StaleState))
    if isinstance(error, RunCancelled):
        values = {"state": RunState.CANCELLED}
    elif error is not None:
        values = {"state": RunState.FAILED, "error": asdict(session.blame(error))}
    assert values is not None
    taken = Usage(time.process_time() - cpu, 0, time.perf_counter() - began)
    return _end(ctx, run, values, taken if worker is None else None)


def result(ctx: Context, run_id: str) -> object:
    """Return what the pipeline returned; raises Conflict where the run is not done."""
    with ctx.db.reading() as connection:
        row = _row(connection, run_id)
    if row.state != RunState.DONE:
        raise Conflict(f"{run_id} has no result: it is {row.state}.", hint="Look at its error, or wait for it.")
    text = row.result if row.result is not None else ctx.blobs.get(row.result_digest)
    return Decoder(ctx.blobs.get, Remembered()).decode(from_text(text))


def get_run(ctx: Context, run_id: str) -> Run:
    """Return a run; raises NotFound."""
    with ctx.db.reading() as connection:
        return _assemble(ctx, connection, [_row(connection, run_id)])[0]


def list_runs(
    ctx: Context, *, pipeline: str | None = None, states: Sequence[RunState] = (), limit: int = 50
) -> list[Run]:
    """Return runs, newest first."""
    with ctx.db.reading() as connection:
        found = tables.run_rows(connection, pipeline=pipeline, states=[str(s) for s in states], limit=limit)
        return _assemble(ctx, connection, found)


def queued(ctx: Context) -> list[str]:
    """Return the ids of the runs that wait to be begun, oldest first."""
    with ctx.db.reading() as connection:
        return tables.queued_ids(connection)


def steps_of(ctx: Context, run_id: str) -> list[StepRun]:
    """Return the calls of steps of a run, in order."""
    with ctx.db.reading() as connection:
        _row(connection, run_id)
        return [rows.step_run(row) for row in tables.step_rows(connection, run_id)]


def metric(ctx: Context, run_id: str, name: str) -> list[MetricPoint]:
    """Return all values that a run logged under a name, in order."""
    with ctx.db.reading() as connection:
        found = tables.metric_rows(connection, run_id, name)
        return [MetricPoint(row.name, row.value, row.step, row.at) for row in found]


def cancel(ctx: Context, run_id: str) -> Run:
    """Cancel a run: at once if it waits, else its worker ends it in a moment; one that has ended stays as it is."""
    with ctx.db.transaction() as connection:
        now = ctx.now()
        ended = {"state": RunState.CANCELLED, "finished_at": now, "cancel_asked": True}
        changed = tables.change_run(connection, run_id, ended, states=[RunState.QUEUED])
        changed = changed or tables.change_run(connection, run_id, {"cancel_asked": True}, states=[RunState.RUNNING])
        run = _assemble(ctx, connection, [_row(connection, run_id)])[0]
        if changed:
            audit.append(connection, ctx, Event("run.cancel", run_id, {"state": str(run.state)}))
        return run


def end(ctx: Context, run_id: str, state: RunState, *, reason: str) -> Run:
    """End a run from outside its process: cancelled, or failed (time limit, died too often). Ended ones stay."""
    with ctx.db.transaction() as connection:
        error = None if state is RunState.CANCELLED else asdict(RunError("StepFailed", reason, reason))
        values = {"state": state, "finished_at": ctx.now(), "error": error}
        if tables.change_run(connection, run_id, values, states=_OPEN):
            audit.append(connection, ctx, Event(f"run.{state}", run_id, {"reason": reason}))
        return _assemble(ctx, connection, [_row(connection, run_id)])[0]


def account(ctx: Context, run_id: str, attempt: int, usage: Usage, *, log: Path | None) -> Run:
    """Add what an attempt took, and keep what the run printed so far; the same attempt is counted once."""
    stdout = None
    if log is not None and log.is_file():
        stdout = ctx.blobs.put(log.read_bytes()[-_STDOUT_KEPT:])
    with ctx.db.transaction() as connection:
        row = _row(connection, run_id)
        values = {**asdict(usage), "stdout": stdout or row.stdout}
        tables.account(connection, run_id, attempt, values)
        return _assemble(ctx, connection, [_row(connection, run_id)])[0]


class FactsJournal:
    """The journal of one run on the facts: see `journal.Journal`."""

    def __init__(self, ctx: Context, run: Run) -> None:
        self._ctx, self._run = ctx, run
        with ctx.db.reading() as connection:
            done = [row for row in tables.step_rows(connection, run.id) if row.output_digest is not None]
        self._done = {(row.key, row.nth): Kept(row.output_digest, row.output, "this run") for row in done}

    def find(self, key: str, nth: int) -> Kept | None:
        """Return the finished call of this run, from before a crash."""
        return self._done.get((key, nth))

    def cached(self, key: str) -> Kept | None:
        """Return a kept result of any run."""
        with self._ctx.db.reading() as connection:
            row = tables.cache_row(connection, key)
        if row is None:
            return None
        origin = f"same code, arguments, seed and environment as call {row.number} of {row.run_id}"
        points = [(name, value, step) for name, value, step in row.metrics]
        return Kept(row.output_digest, row.output, origin, points)

    def before(self, name: str) -> dict[str, Any] | None:
        """Return the key parts of the newest call of a step of this name."""
        with self._ctx.db.reading() as connection:
            return tables.last_parts(connection, name)

    def record(self, finished: Finished) -> None:
        """Record the end of a call, its metrics, and what is kept of it."""
        now = self._ctx.now()
        with self._ctx.db.transaction() as connection:
            self._check(connection)
            tables.put_step(connection, rows.step_values(self._run.id, finished, now))
            tables.add_metrics(connection, rows.metric_values(self._run.id, finished.waiting))
            kept = rows.cache_values(self._run.id, finished, now)
            if kept is not None:
                tables.put_cache(connection, kept)

    def metrics(self, logged: Sequence[Logged]) -> None:
        """Append metrics."""
        with self._ctx.db.transaction() as connection:
            tables.add_metrics(connection, rows.metric_values(self._run.id, logged))

    def artifact(self, name: str, digest: str) -> None:
        """Name a blob."""
        with self._ctx.db.transaction() as connection:
            tables.put_artifact(connection, self._run.id, name, digest)

    def _check(self, connection: Connection) -> None:
        now = tables.standing(connection, self._run.id)
        if now.cancel_asked:
            raise RunCancelled(f"{self._run.id} was cancelled.")
        if now.attempt != self._run.attempt or now.state != RunState.RUNNING:
            raise StaleState(
                f"{self._run.id} is {now.state} in attempt {now.attempt}; this process is attempt {self._run.attempt}.",
                hint="Another worker took the run over, or it was ended; nothing was written.",
            )


def _begin(ctx: Context, run_id: str, worker: str | None) -> Run:
    with ctx.db.transaction() as connection:
        row = _row(connection, run_id)
        values = {
            "state": RunState.RUNNING,
            "attempt": row.attempt + 1,
            "worker": worker,
            "started_at": row.started_at or ctx.now(),
        }
        if tables.change_run(connection, run_id, values, states=_OPEN) and row.attempt:
            tables.drop_unfinished_metrics(connection, run_id)
        return _assemble(ctx, connection, [_row(connection, run_id)])[0]


def _call_pipeline(
    ctx: Context, run: Run, session: RunSession, resolve: Callable[[InputRef], object]
) -> dict[str, Any]:
    """Call the user's pipeline; return how the run ended."""
    project = Path(run.project_dir)
    function = load_function(project, run.function)
    code = session.fingerprints.of(function)
    _describe(ctx, run, code)
    given = {**run.params, **{name: session.give(resolve(ref), ref.digest) for name, ref in run.inputs.items()}}
    arguments = arguments_for(function, given, seed=run.seed)
    restore = seed_libraries(run.seed)
    try:
        with session.open():
            returned = function(**arguments)
    finally:
        restore()
    kept, _ = session.store(returned, f"Pipeline {run.pipeline}")
    return {"state": RunState.DONE, "result": kept.text, "result_digest": kept.digest}


def _describe(ctx: Context, run: Run, code: Mapping[str, str]) -> None:
    """Record with which code and environment this attempt works."""
    commit, difference = environment.code_version(Path(run.project_dir))
    diff = ctx.blobs.put(difference.encode()) if difference else None
    version = CodeVersion(commit, bool(difference), diff, rows.digest_of_code(code))
    values = {"code": asdict(version), "environment": ctx.blobs.put(environment.describe())}
    with ctx.db.transaction() as connection:
        tables.change_run(connection, run.id, values, states=[RunState.RUNNING])


def _end(ctx: Context, run: Run, values: dict[str, Any], taken: Usage | None) -> Run:
    with ctx.db.transaction() as connection:
        now = tables.standing(connection, run.id)
        if now.attempt != run.attempt:
            raise StaleState(f"{run.id} was taken over by attempt {now.attempt}; this was attempt {run.attempt}.")
        values = {**values, "finished_at": ctx.now()}
        if tables.change_run(connection, run.id, values, states=_OPEN):
            detail = {
                "result": values.get("result_digest"),
                "error": (values.get("error") or {}).get("message", "")[:500],
            }
            audit.append(connection, ctx, Event(f"run.{values['state']}", run.id, detail))
        if taken is not None:
            tables.account(connection, run.id, run.attempt, {**asdict(taken), "stdout": None})
        return _assemble(ctx, connection, [_row(connection, run.id)])[0]


def _row(connection: Connection, run_id: str) -> Any:
    check_id(run_id, "run")
    row = tables.run_row(connection, run_id)
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    return row


def _assemble(ctx: Context, connection: Connection, found: Sequence[Any]) -> list[Run]:
    """Return records with their last metrics and their artifacts."""
    ids = [row.id for row in found if row is not None]
    metrics: dict[str, dict[str, float]] = {run_id: {} for run_id in ids}
    artifacts: dict[str, dict[str, str]] = {run_id: {} for run_id in ids}
    for row in tables.last_metrics(connection, ids):
        metrics[row.run_id][row.name] = row.value
    for row in tables.artifact_rows(connection, ids):
        artifacts[row.run_id][row.name] = row.digest
    decoder = Decoder(ctx.blobs.get, Remembered())
    return [
        rows.run(row, decoder.decode(from_text(row.params)), metrics[row.id], artifacts[row.id])
        for row in found
        if row is not None
    ]
