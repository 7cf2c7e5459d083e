"""Runs, calls of steps, kept results, metrics: their tables and queries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection

from ..store.db import JSON, BigId, Time, metadata
from .records import RunState, StepState

_MOST_CALLS = 10_000

flow_run = sa.Table(
    "flow_run",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("pipeline", sa.String(64), nullable=False, index=True),
    sa.Column("function", sa.String(200), nullable=False),
    sa.Column("project_dir", sa.String(2000), nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    # codec text, not JSONB, which would turn 1e16 into an integer
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("inputs", JSON, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("time_limit", sa.Float, nullable=False),
    sa.Column("episode", sa.String(40), unique=True),
    sa.Column("queued_at", Time, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("worker", sa.String(200)),
    sa.Column("started_at", Time),
    sa.Column("finished_at", Time),
    sa.Column("cancel_asked", sa.Boolean, nullable=False, default=False),
    sa.Column("code", JSON),
    sa.Column("environment", sa.String(64)),
    sa.Column("result", sa.Text),
    sa.Column("result_digest", sa.String(64)),
    sa.Column("stdout", sa.String(64)),
    sa.Column("accounted", sa.Integer, nullable=False, default=0),
    sa.Column("cpu_seconds", sa.Float, nullable=False, default=0.0),
    sa.Column("peak_bytes", sa.BigInteger, nullable=False, default=0),
    sa.Column("wall_seconds", sa.Float, nullable=False, default=0.0),
    sa.Column("gpu_seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("project", sa.String(64), nullable=False, server_default=sa.text("''")),
    sa.Column("once", sa.String(200), unique=True),  # names what it was submitted for: twice is once
    sa.Column("error", JSON),
)

flow_step = sa.Table(
    "flow_step",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("run_id", sa.String(40), sa.ForeignKey("flow_run.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("name", sa.String(300), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("key_parts", JSON, nullable=False),
    sa.Column("nth", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(1000), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
    sa.Column("cpu_seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("peak_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("gpu_seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("place", sa.String(120), nullable=False, server_default=sa.text("''")),
    sa.Column("finished_at", Time, nullable=False),
    sa.Column("output", sa.Text),
    sa.Column("output_digest", sa.String(64)),
    sa.Column("error", JSON),
    sa.UniqueConstraint("run_id", "key", "nth"),
    sa.Index("ix_flow_step_name_id", "name", "id"),
)

flow_cache = sa.Table(
    "flow_cache",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("run_id", sa.String(40), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("output", sa.Text),
    sa.Column("output_digest", sa.String(64), nullable=False),
    sa.Column("metrics", JSON, nullable=False),
    sa.Column("made_at", Time, nullable=False),
)

flow_part = sa.Table(
    "flow_part",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("body", JSON, nullable=False),
)
"""What keys of calls refer to, each once: all code that a step reaches, the text of a function, the packages."""

flow_wait = sa.Table(
    "flow_wait",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("run_id", sa.String(40), sa.ForeignKey("flow_run.id"), nullable=False),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("nth", sa.Integer, nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("choices", JSON, nullable=False),
    sa.Column("asked_at", Time, nullable=False),
    sa.Column("answer", sa.Text),
    sa.Column("comment", sa.Text),
    sa.Column("answered_at", Time),
    sa.Column("answered_by", sa.String(120)),
    sa.UniqueConstraint("run_id", "name", "nth"),
)
"""Questions to people that a run waits for. `nth`: how often the run asked under this name before."""

flow_metric = sa.Table(
    "flow_metric",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("run_id", sa.String(40), sa.ForeignKey("flow_run.id"), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("step", sa.BigInteger),
    sa.Column("at", Time, nullable=False),
    sa.Column("call", sa.Integer),
    sa.Index("ix_flow_metric_run_name", "run_id", "name"),
)

flow_artifact = sa.Table(
    "flow_artifact",
    metadata,
    sa.Column("run_id", sa.String(40), sa.ForeignKey("flow_run.id"), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
)


def add_run(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Insert a run; return False if there is one of its episode, or for what it is submitted once, already."""
    insert = _insert(connection, flow_run).values(**values).on_conflict_do_nothing().returning(flow_run.c.id)
    return connection.execute(insert).first() is not None


def run_row(connection: Connection, run_id: str) -> Any:
    """Return one run."""
    return connection.execute(sa.select(flow_run).where(flow_run.c.id == run_id)).first()


def run_submitted(connection: Connection, episode: str | None, once: str | None) -> Any:
    """Return the run of an episode, or that was submitted for the same thing."""
    this = flow_run.c.episode == episode if episode is not None else flow_run.c.once == once
    return connection.execute(sa.select(flow_run).where(this)).first()


def run_rows(connection: Connection, *, pipeline: str | None, states: Sequence[str], limit: int) -> Sequence[Any]:
    """Return runs, newest first."""
    query = sa.select(flow_run).order_by(flow_run.c.queued_at.desc(), flow_run.c.id.desc()).limit(limit)
    if pipeline is not None:
        query = query.where(flow_run.c.pipeline == pipeline)
    if states:
        query = query.where(flow_run.c.state.in_(states))
    return connection.execute(query).all()


def queued_ids(connection: Connection) -> list[str]:
    """Return the runs that wait, oldest first."""
    query = sa.select(flow_run.c.id).where(flow_run.c.state == RunState.QUEUED).order_by(flow_run.c.queued_at)
    return list(connection.execute(query).scalars())


def change_run(connection: Connection, run_id: str, values: Mapping[str, Any], *, states: Iterable[RunState]) -> bool:
    """Change a run if it is in one of the states; return whether it was."""
    update = flow_run.update().where(flow_run.c.id == run_id, flow_run.c.state.in_([str(s) for s in states]))
    return bool(connection.execute(update.values(**values)).rowcount)


def standing(connection: Connection, run_id: str) -> Any:
    """Return state, attempt and cancel_asked: what a session checks before each write."""
    columns = (flow_run.c.state, flow_run.c.attempt, flow_run.c.cancel_asked)
    return connection.execute(sa.select(*columns).where(flow_run.c.id == run_id)).one()


def account(connection: Connection, run_id: str, attempt: int, values: Mapping[str, Any]) -> None:
    """Add what an attempt took; a second time for the same attempt changes nothing."""
    c = flow_run.c
    peak = values["peak_bytes"]
    connection.execute(
        flow_run.update()
        .where(c.id == run_id, c.accounted < attempt)
        .values(
            accounted=attempt,
            stdout=values["stdout"],
            cpu_seconds=c.cpu_seconds + values["cpu_seconds"],
            wall_seconds=c.wall_seconds + values["wall_seconds"],
            peak_bytes=sa.case((c.peak_bytes > peak, c.peak_bytes), else_=peak),
            gpu_seconds=sa.select(sa.func.coalesce(sa.func.sum(flow_step.c.gpu_seconds), 0.0))
            .where(flow_step.c.run_id == run_id)
            .scalar_subquery(),
        )
    )


def put_step(connection: Connection, values: Mapping[str, Any]) -> None:
    """Insert a call; one that failed before is replaced, one that finished stays."""
    insert = _insert(connection, flow_step).values(**values)
    changed = {name: insert.excluded[name] for name in values if name not in ("run_id", "key", "nth")}
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["run_id", "key", "nth"], set_=changed, where=flow_step.c.state == StepState.FAILED
        )
    )


def step_rows(connection: Connection, run_id: str) -> Sequence[Any]:
    """Return the calls of a run in order."""
    query = sa.select(flow_step).where(flow_step.c.run_id == run_id).order_by(flow_step.c.number, flow_step.c.id)
    return connection.execute(query).all()


def parts_before(connection: Connection, name: str, run_id: str) -> list[dict[str, Any]]:
    """Return the key parts of the calls of a step in the last other run that made some, in order."""
    c = flow_step.c
    other = sa.select(c.run_id).where(c.name == name, c.run_id != run_id).order_by(c.id.desc()).limit(1)
    last = connection.execute(other).scalar()
    return [] if last is None else [row.key_parts for row in calls_of(connection, last, name)]


def calls_of(connection: Connection, run_id: str, name: str) -> Sequence[Any]:
    """Return the calls of a step in a run, in order."""
    c = flow_step.c
    query = sa.select(flow_step).where(c.run_id == run_id, c.name == name).order_by(c.number, c.id).limit(_MOST_CALLS)
    return connection.execute(query).all()


def run_before(connection: Connection, name: str, step_id: int, run_id: str) -> str | None:
    """Return the last run, before a call, that made calls of the same step."""
    c = flow_step.c
    query = sa.select(c.run_id).where(c.name == name, c.id < step_id, c.run_id != run_id)
    found: str | None = connection.execute(query.order_by(c.id.desc()).limit(1)).scalar()
    return found


def newest_call(connection: Connection, name: str) -> Any:
    """Return the newest call of a step."""
    query = sa.select(flow_step).where(flow_step.c.name == name).order_by(flow_step.c.id.desc()).limit(1)
    return connection.execute(query).first()


def step_names(connection: Connection) -> list[str]:
    """Return the names of all steps that were ever called."""
    return list(connection.execute(sa.select(flow_step.c.name).distinct()).scalars())


def parts_of(connection: Connection, digests: Iterable[str]) -> dict[str, Any]:
    """Return digest -> what it stands for."""
    wanted = list(digests)
    query = sa.select(flow_part).where(flow_part.c.digest.in_(wanted))
    return {row.digest: row.body for row in connection.execute(query)} if wanted else {}


def put_parts(connection: Connection, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep what keys refer to."""
    if parts:
        insert = _insert(connection, flow_part).on_conflict_do_nothing(index_elements=["digest"])
        connection.execute(insert, [{"digest": digest, "body": dict(body)} for digest, body in parts.items()])


def drop_metrics(connection: Connection, run_id: str, number: int) -> None:
    """Remove what one call logged."""
    connection.execute(flow_metric.delete().where(flow_metric.c.run_id == run_id, flow_metric.c.call == number))


def wait_row(connection: Connection, run_id: str, name: str, nth: int) -> Any:
    """Return a question of a run."""
    c = flow_wait.c
    return connection.execute(sa.select(flow_wait).where(c.run_id == run_id, c.name == name, c.nth == nth)).first()


def add_wait(connection: Connection, values: Mapping[str, Any]) -> None:
    """Insert a question."""
    connection.execute(flow_wait.insert().values(**values))


def open_waits(connection: Connection, run_id: str | None) -> Sequence[Any]:
    """Return the questions that wait for an answer, of runs that wait, oldest first."""
    query = sa.select(flow_wait).join(flow_run, flow_run.c.id == flow_wait.c.run_id)
    query = query.where(flow_wait.c.answer.is_(None), flow_run.c.state == RunState.WAITING)
    if run_id is not None:
        query = query.where(flow_wait.c.run_id == run_id)
    return connection.execute(query.order_by(flow_wait.c.asked_at, flow_wait.c.nth, flow_wait.c.id)).all()


def waits_of(connection: Connection, run_id: str) -> Sequence[Any]:
    """Return all questions of a run, in order."""
    query = (
        sa.select(flow_wait)
        .where(flow_wait.c.run_id == run_id)
        .order_by(flow_wait.c.asked_at, flow_wait.c.nth, flow_wait.c.id)
    )
    return connection.execute(query).all()


def answer_wait(connection: Connection, wait_id: str, values: Mapping[str, Any]) -> bool:
    """Answer a question; return False where somebody did before."""
    update = flow_wait.update().where(flow_wait.c.id == wait_id, flow_wait.c.answer.is_(None))
    return bool(connection.execute(update.values(**values)).rowcount)


def cache_row(connection: Connection, key: str) -> Any:
    """Return the kept result of a key."""
    return connection.execute(sa.select(flow_cache).where(flow_cache.c.key == key)).first()


def put_cache(connection: Connection, values: Mapping[str, Any]) -> None:
    """Keep a result, in place of an older one of the same key (whose bytes may be gone)."""
    insert = _insert(connection, flow_cache).values(**values)
    changed = {name: insert.excluded[name] for name in values if name != "key"}
    connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_=changed))


def add_metrics(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append metrics."""
    if rows:
        connection.execute(flow_metric.insert(), [dict(row) for row in rows])


def drop_unfinished_metrics(connection: Connection, run_id: str) -> None:
    """Remove what was logged outside of finished calls: it will be logged again."""
    done = sa.select(flow_step.c.number).where(flow_step.c.run_id == run_id, flow_step.c.state != StepState.FAILED)
    lost = sa.or_(flow_metric.c.call.is_(None), flow_metric.c.call.not_in(done))
    connection.execute(flow_metric.delete().where(flow_metric.c.run_id == run_id, lost))


def last_metrics(connection: Connection, run_ids: Sequence[str]) -> Sequence[Any]:
    """Return (run, name, value) with the last value of each metric."""
    newest = (
        sa.select(sa.func.max(flow_metric.c.id))
        .where(flow_metric.c.run_id.in_(run_ids))
        .group_by(flow_metric.c.run_id, flow_metric.c.name)
    )
    columns = (flow_metric.c.run_id, flow_metric.c.name, flow_metric.c.value)
    return connection.execute(
        sa.select(*columns).where(flow_metric.c.id.in_(newest)).order_by(flow_metric.c.name)
    ).all()


def metric_rows(connection: Connection, run_id: str, name: str) -> Sequence[Any]:
    """Return all values of one metric in order."""
    where = (flow_metric.c.run_id == run_id, flow_metric.c.name == name)
    return connection.execute(sa.select(flow_metric).where(*where).order_by(flow_metric.c.id)).all()


def put_artifact(connection: Connection, run_id: str, name: str, digest: str) -> None:
    """Name a blob in a run; the last one of a name counts."""
    insert = _insert(connection, flow_artifact).values(run_id=run_id, name=name, digest=digest)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["run_id", "name"], set_={"digest": insert.excluded.digest})
    )


def artifact_rows(connection: Connection, run_ids: Sequence[str]) -> Sequence[Any]:
    """Return (run, name, digest)."""
    return connection.execute(sa.select(flow_artifact).where(flow_artifact.c.run_id.in_(run_ids))).all()


def _insert(connection: Connection, table: sa.Table) -> Any:
    return sqlite_insert(table) if connection.dialect.name == "sqlite" else postgres_insert(table)
