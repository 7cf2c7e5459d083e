"""The queue: its table and queries. Times are compared with the caller's clock, not the database's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection

from ..store.db import JSON, Time, metadata
from .records import LONGEST_LEASE, MAX_ATTEMPTS, JobState

pool_job = sa.Table(
    "pool_job",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("key", sa.String(120), nullable=False),
    sa.Column("payload", JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("excused", sa.Integer, nullable=False, default=0),
    sa.Column("worker", sa.String(200)),
    sa.Column("lease_until", Time),
    sa.Column("available_at", Time, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("finished_at", Time),
    sa.Column("error", sa.Text),
    sa.UniqueConstraint("kind", "key"),
    sa.Index("ix_pool_job_state_available", "state", "available_at"),
)

_strikes = pool_job.c.attempts - pool_job.c.excused


def add_job(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Insert a job; return False if its kind and key are there already."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgres_insert
    statement = insert(pool_job).values(**values).on_conflict_do_nothing(index_elements=["kind", "key"])
    return bool(connection.execute(statement).rowcount)


def job_named(connection: Connection, kind: str, key: str) -> Any:
    """Return the job of a kind and key."""
    return connection.execute(sa.select(pool_job).where(pool_job.c.kind == kind, pool_job.c.key == key)).first()


def job_row(connection: Connection, job_id: str) -> Any:
    """Return one job, or None."""
    return connection.execute(sa.select(pool_job).where(pool_job.c.id == job_id)).first()


def job_rows(connection: Connection, *, states: Sequence[str], limit: int) -> Sequence[Any]:
    """Return jobs, oldest first."""
    query = sa.select(pool_job).order_by(pool_job.c.created_at, pool_job.c.id).limit(limit)
    return connection.execute(query.where(pool_job.c.state.in_(states)) if states else query).all()


def claimable(connection: Connection, now: datetime, *, lock: bool) -> Any:
    """Return the oldest job that may be claimed, or None; with `lock` no other transaction gets the same."""
    query = (
        sa.select(pool_job)
        .where(_is_free(now), _strikes < MAX_ATTEMPTS)
        .order_by(pool_job.c.available_at, pool_job.c.id)
        .limit(1)
    )
    return connection.execute(query.with_for_update(skip_locked=True) if lock else query).first()


def exhausted_rows(connection: Connection, now: datetime) -> Sequence[Any]:
    """Return jobs that were claimed too often and that nobody holds now."""
    return connection.execute(sa.select(pool_job).where(_is_free(now), _strikes >= MAX_ATTEMPTS)).all()


def change_job(connection: Connection, job_id: str, values: Mapping[str, Any], **expected: Any) -> bool:
    """Change a job if its columns are as expected; return whether they were."""
    where = [pool_job.c[name] == value for name, value in expected.items()]
    return bool(connection.execute(pool_job.update().where(pool_job.c.id == job_id, *where).values(**values)).rowcount)


def release_rows(connection: Connection, worker: str, now: datetime) -> int:
    """Free what a worker held: it has died, or lets go; the attempt does not count."""
    mine = (pool_job.c.worker == worker, pool_job.c.state == JobState.HELD)
    values: dict[str, Any] = {"state": JobState.WAITING, "worker": None, "lease_until": None, "available_at": now}
    values["excused"] = pool_job.c.excused + 1
    return int(connection.execute(pool_job.update().where(*mine).values(**values)).rowcount)


def _is_free(now: datetime) -> Any:
    """A job from the future, or with a lease longer than any, says that the clock was set back: it does not wait."""
    due = sa.or_(pool_job.c.available_at <= now, pool_job.c.created_at > now)
    waits = sa.and_(pool_job.c.state == JobState.WAITING, due)
    over = sa.or_(pool_job.c.lease_until <= now, pool_job.c.lease_until > now + LONGEST_LEASE)
    lapsed = sa.and_(pool_job.c.state == JobState.HELD, over)
    return sa.or_(waits, lapsed)
