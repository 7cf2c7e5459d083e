"""The verbs of the queue: enqueue, claim, heartbeat, finish, fail, release, cancel.

A claim is a lease: a worker that dies lets it lapse, and the job can be claimed again. Whoever holds a job changes it
only while the claim is still its own (worker and number of attempts), so a worker that was away too long changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.engine import Connection

from ..core.errors import Conflict, NotFound, StaleState
from ..store.context import Context
from . import tables
from .records import MAX_ATTEMPTS, Job, JobState


def enqueue(ctx: Context, kind: str, payload: Mapping[str, Any], *, key: str | None = None) -> Job:
    """Queue a job. With a `key` it is queued once: asking again returns the first, whatever became of it."""
    job_id, now = ctx.id("job"), ctx.now()
    values = {
        "id": job_id,
        "kind": kind,
        "key": key or job_id,
        "payload": dict(payload),
        "state": JobState.WAITING,
        "attempts": 0,
        "excused": 0,
        "available_at": now,
        "created_at": now,
    }
    with ctx.db.transaction() as connection:
        tables.add_job(connection, values)
        return _job(tables.job_named(connection, kind, str(values["key"])))


def claim(ctx: Context, worker: str, lease: timedelta) -> Job | None:
    """Take the oldest job that waits, or whose lease has lapsed; None if there is none. No two workers get the same."""
    with ctx.db.reading() as connection:  # most looks find nothing: they need not take the writer's place
        if tables.claimable(connection, ctx.now(), lock=False) is None:
            return None
    with ctx.db.transaction() as connection:
        row = tables.claimable(connection, ctx.now(), lock=True)
        if row is None:
            return None
        values = {
            "state": JobState.HELD,
            "worker": worker,
            "attempts": row.attempts + 1,
            "lease_until": ctx.now() + lease,
        }
        tables.change_job(connection, row.id, values)
        return _job(tables.job_row(connection, row.id))


def heartbeat(ctx: Context, job: Job, lease: timedelta) -> Job:
    """Hold the job for another lease; raises StaleState if it is no longer held by this claim."""
    return _change(ctx, job, {"lease_until": ctx.now() + lease})


def finish(ctx: Context, job: Job) -> Job:
    """Say that the job is done; raises StaleState if it is no longer held by this claim."""
    return _change(ctx, job, {"state": JobState.DONE, "finished_at": ctx.now(), "lease_until": None})


def reopen(ctx: Context, job: Job) -> None:
    """Make a job that is done claimable again, with all its attempts; one that is anything else stays as it is."""
    with ctx.db.transaction() as connection:
        values = {"state": JobState.WAITING, "worker": None, "finished_at": None, "available_at": ctx.now()}
        tables.change_job(connection, job.id, {**values, "excused": job.attempts}, state=JobState.DONE)


def fail(ctx: Context, job: Job, error: str, *, retry_in: timedelta = timedelta(seconds=1), final: bool = False) -> Job:
    """Give the job back: claimable again after `retry_in`, or never if it is `final` or had all its attempts."""
    if final or job.strikes >= MAX_ATTEMPTS:
        return _change(ctx, job, {"state": JobState.FAILED, "finished_at": ctx.now(), "error": error})
    values = {"state": JobState.WAITING, "worker": None, "lease_until": None, "error": error}
    return _change(ctx, job, {**values, "available_at": ctx.now() + retry_in})


def release(ctx: Context, worker: str) -> int:
    """Free all that a worker of this name held; return how many. It does so when it starts (it died before) and ends.

    Two workers that run at the same time must have different names. That attempt does not count against the job.
    """
    with ctx.db.transaction() as connection:
        return tables.release_rows(connection, worker, ctx.now())


def cancel(ctx: Context, job_id: str) -> Job:
    """Cancel a job that waits; raises Conflict for one that is held (its worker must end it) or over."""
    with ctx.db.transaction() as connection:
        values = {"state": JobState.CANCELLED, "finished_at": ctx.now()}
        changed = tables.change_job(connection, job_id, values, state=JobState.WAITING)
        job = _found(connection, job_id)
        if not changed:
            raise Conflict(f"{job_id} is {job.state} and cannot be cancelled.", hint="Only a waiting job can be.")
        return job


def get_job(ctx: Context, job_id: str) -> Job:
    """Return a job; raises NotFound."""
    with ctx.db.reading() as connection:
        return _found(connection, job_id)


def find_job(ctx: Context, kind: str, key: str) -> Job | None:
    """Return the job of this kind and key, or None where it was never queued."""
    with ctx.db.reading() as connection:
        row = tables.job_named(connection, kind, key)
    return None if row is None else _job(row)


def list_jobs(ctx: Context, *, states: Sequence[JobState] = (), limit: int = 100) -> list[Job]:
    """Return jobs, oldest first."""
    with ctx.db.reading() as connection:
        return [_job(row) for row in tables.job_rows(connection, states=[str(s) for s in states], limit=limit)]


def exhausted(ctx: Context) -> list[Job]:
    """Return jobs that failed with all their attempts; whoever knows the kind closes them with `bury`."""
    with ctx.db.reading() as connection:
        return [_job(row) for row in tables.exhausted_rows(connection, ctx.now())]


def bury(ctx: Context, job: Job, error: str) -> None:
    """Mark an exhausted job as failed."""
    with ctx.db.transaction() as connection:
        values = {"state": JobState.FAILED, "finished_at": ctx.now(), "error": error}
        tables.change_job(connection, job.id, values, state=job.state, attempts=job.attempts)


def _change(ctx: Context, job: Job, values: Mapping[str, Any]) -> Job:
    with ctx.db.transaction() as connection:
        held = {"state": JobState.HELD, "worker": job.worker, "attempts": job.attempts}
        if not tables.change_job(connection, job.id, values, **held):
            now = _found(connection, job.id)
            raise StaleState(
                f"{job.id} is {now.state} (worker {now.worker}, attempt {now.attempts}), not held by {job.worker} now.",
                hint="Its lease lapsed and another worker has it, or it was cancelled; nothing was changed.",
            )
        return _found(connection, job.id)


def _found(connection: Connection, job_id: str) -> Job:
    row = tables.job_row(connection, job_id)
    if row is None:
        raise NotFound(f"There is no job {job_id[:60]!r}.")
    return _job(row)


def _job(row: Any) -> Job:
    return Job(**{**row._mapping, "state": JobState(row.state)})
