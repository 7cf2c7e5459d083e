"""Facts of what was answered and what turned out true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ...ground.store.db import BigId, MaybeJSON, Time, metadata

AHEAD = timedelta(days=1)
"""How far the data's clock may be ahead of ours."""

log = sa.Table(
    "deploy_log",
    metadata,
    sa.Column("gateway", sa.String(64), primary_key=True),
    sa.Column("file", sa.String(100), primary_key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("unreadable", sa.BigInteger, nullable=False, server_default=sa.text("0")),
)

writer = sa.Table(
    "deploy_log_writer",
    metadata,
    sa.Column("gateway", sa.String(64), primary_key=True),
    sa.Column("started", sa.String(20), primary_key=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("alive", sa.Boolean, nullable=False),
    sa.Column("killed", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Column("lost", sa.BigInteger, nullable=False),
)

prediction = sa.Table(
    "deploy_prediction",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("row", sa.Integer, primary_key=True),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("event_time", Time, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("gateway", sa.String(64), nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("version", sa.String(100), nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("milliseconds", sa.Float, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("shadow_version", sa.String(100)),
    sa.Column("shadow_score", sa.Float),
    sa.Column("shadow_error", sa.Text),
    sa.Column("label", sa.Float),
    sa.Column("label_seq", sa.BigInteger),
    sa.Column("shadow_milliseconds", sa.Float),
    sa.Column("business_key", sa.String(200)),
    sa.Column("answer", MaybeJSON),
    sa.Column("shadow_answer", MaybeJSON),
    sa.Column("slices", MaybeJSON),
    sa.Column("missing", MaybeJSON),
    sa.Column("latency", sa.Float),
)
sa.Index("ix_deploy_prediction_at", prediction.c.endpoint, prediction.c.at)
sa.Index("ix_deploy_prediction_key", prediction.c.endpoint, prediction.c.business_key)
sa.Index("ix_deploy_prediction_event", prediction.c.endpoint, prediction.c.event_time)
sa.Index("ix_deploy_prediction_generation", prediction.c.endpoint, prediction.c.generation, prediction.c.at)

outcome = sa.Table(
    "deploy_outcome",
    metadata,
    sa.Column("seq", BigId, primary_key=True, autoincrement=False),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("prediction", sa.String(64), nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("label", sa.Float, nullable=False),
    sa.Column("event_time", Time, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
)
sa.Index("ix_deploy_outcome_event", outcome.c.endpoint, outcome.c.event_time)
sa.Index("ix_deploy_outcome_prediction", outcome.c.prediction, outcome.c.row)

part = sa.Table(
    "deploy_part",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("first", Time, nullable=False),
    sa.Column("last", Time, nullable=False),
    sa.Column("until", Time),
)
sa.Index("ix_deploy_part_event", part.c.endpoint, part.c.last)

failure = sa.Table(
    "deploy_failure",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("event_time", Time, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("gateway", sa.String(64), nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("version", sa.String(100), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
)
sa.Index("ix_deploy_failure_at", failure.c.endpoint, failure.c.at)

waiting = sa.Table(
    "deploy_waiting",
    metadata,
    sa.Column("seq", BigId, primary_key=True, autoincrement=True),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("prediction", sa.String(64)),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("key", sa.String(200)),
    sa.Column("label", sa.Float, nullable=False),
    sa.Column("event_time", Time, nullable=False),
    sa.Column("until", Time),
    sa.Column("at", Time, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
)
sa.Index("ix_deploy_waiting_prediction", waiting.c.prediction)
sa.Index("ix_deploy_waiting_key", waiting.c.endpoint, waiting.c.key)


def offsets(connection: Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """Return offset and rows taken of every log file."""
    return {(r.gateway, r.file): (r.offset, r.rows) for r in connection.execute(sa.select(log))}


def known(connection: Connection, name: str, ids: Sequence[str]) -> set[tuple[str, int]]:
    """Return which of the ids were answered at the endpoint, with their rows."""
    c = prediction.c
    found: set[tuple[str, int]] = set()
    for start in range(0, len(ids), 500):
        query = sa.select(c.id, c.row).where(c.endpoint == name, c.id.in_(ids[start : start + 500]))
        found.update((r.id, r.row) for r in connection.execute(query))
    return found


def told(connection: Connection, ids: Sequence[str]) -> list[tuple[str, int, float, datetime]]:
    """Return the outcomes that these predictions have, oldest first, so that one sent twice is kept once."""
    c = outcome.c
    found: list[tuple[str, int, float, datetime]] = []
    for start in range(0, len(ids), 500):
        query = sa.select(c.prediction, c.row, c.label, c.event_time).where(c.prediction.in_(ids[start : start + 500]))
        found += [(r.prediction, r.row, r.label, r.event_time) for r in connection.execute(query.order_by(c.seq))]
    return found


def lock_outcomes(connection: Connection) -> None:
    """Let writers of outcomes and of predictions queue, so that neither misses what the other is about to write."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE deploy_outcome IN SHARE ROW EXCLUSIVE MODE"))


def next_outcome(connection: Connection) -> int:
    """Return the sequence number of the next outcome (writers queue: the caller holds the transaction).

    Numbers are not used again where the newest outcomes were forgotten.
    """
    lock_outcomes(connection)
    newest = sa.select(sa.func.coalesce(sa.func.max(outcome.c.seq), 0))
    given = sa.select(sa.func.coalesce(sa.func.max(prediction.c.label_seq), 0))
    last = int(connection.execute(newest).scalar_one())
    return 1 + (last or int(connection.execute(given).scalar_one()))


def set_labels(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put labels on predictions. The first outcome's place in the order stays, its value may be corrected."""
    c = prediction.c
    query = (
        prediction.update()
        .where(c.id == sa.bindparam("of_id"), c.row == sa.bindparam("of_row"))
        .values(label=sa.bindparam("new_label"), label_seq=sa.func.coalesce(c.label_seq, sa.bindparam("new_seq")))
    )
    connection.execute(query, [{k: row[k] for k in ("of_id", "of_row", "new_label", "new_seq")} for row in rows])


def set_shadows(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put the challenger's answer beside the one that was given; row -1: beside all rows of the request."""
    c = prediction.c
    names = ("version", "score", "error", "milliseconds", "answer")
    query = (
        prediction.update()
        .where(c.id == sa.bindparam("of_id"))
        .values({f"shadow_{name}": sa.bindparam(f"its_{name}", type_=c[f"shadow_{name}"].type) for name in names})
    )
    one, all_rows = [r for r in rows if r["of_row"] >= 0], [r for r in rows if r["of_row"] < 0]
    if one:
        connection.execute(query.where(c.row == sa.bindparam("of_row")), one)
    if all_rows:
        connection.execute(query, [{k: v for k, v in row.items() if k != "of_row"} for row in all_rows])


def stage_rows(
    connection: Connection, name: str, generation: int, since: datetime, *, ripe: datetime | None = None
) -> Sequence[Any]:
    """Return what was answered since a stage was published and began, for its verdict.

    `ripe`: labels of requests from after it do not count yet. They come to count in the order of their requests.
    """
    c = prediction.c
    label: sa.ColumnElement[Any] = c.label
    order: sa.ColumnElement[Any] = c.label_seq
    if ripe is not None:
        label = sa.case((c.at <= ripe, c.label)).label("label")
        order = sa.func.row_number().over(order_by=(c.at, c.id, c.row)).label("label_seq")
    columns = (c.id, c.row, c.arm, c.version, c.score, c.milliseconds, c.error, label, order)
    shadow = (c.shadow_version, c.shadow_score, c.shadow_error, c.shadow_milliseconds, c.shadow_answer)
    query = sa.select(*columns, *shadow, c.answer, c.slices, c.missing, c.at)
    return connection.execute(query.where(c.endpoint == name, c.generation >= generation, c.at >= since)).all()


def between(connection: Connection, name: str, start: datetime, end: datetime) -> Sequence[RowMapping]:
    """Return the predictions of a window."""
    c = prediction.c
    query = sa.select(prediction).where(c.endpoint == name, c.event_time >= start, c.event_time < end)
    return connection.execute(query.order_by(c.event_time, c.id, c.row)).mappings().all()


def parts_between(connection: Connection, name: str, start: datetime, end: datetime) -> Sequence[str]:
    """Return the hashes of the parts that may hold rows of a window."""
    query = sa.select(part.c.digest).where(part.c.endpoint == name, part.c.last >= start, part.c.first < end)
    return connection.execute(query.order_by(part.c.id)).scalars().all()


def latest(connection: Connection, name: str, limit: int) -> Sequence[RowMapping]:
    """Return the newest predictions by event time."""
    query = sa.select(prediction).where(prediction.c.endpoint == name).order_by(prediction.c.event_time.desc())
    return connection.execute(query.limit(limit)).mappings().all()


def answers(connection: Connection, prediction_id: str) -> Sequence[RowMapping]:
    """Return the rows of one prediction."""
    query = sa.select(prediction).where(prediction.c.id == prediction_id).order_by(prediction.c.row)
    return connection.execute(query).mappings().all()


def outcomes_of(connection: Connection, prediction_id: str) -> Sequence[RowMapping]:
    """Return all outcomes of one prediction, oldest first."""
    query = sa.select(outcome).where(outcome.c.prediction == prediction_id).order_by(outcome.c.seq)
    return connection.execute(query).mappings().all()


def watermarks(connection: Connection, name: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the latest event time of a prediction and of an outcome.

    One that lies further ahead than clocks differ does not count before its time: a caller's slip (a year 2062, a 9999)
    would close every window at its first row from then on.
    """
    until = now + AHEAD
    p = sa.select(sa.func.max(prediction.c.event_time)).where(prediction.c.endpoint == name)
    o = sa.select(sa.func.max(outcome.c.event_time)).where(outcome.c.endpoint == name)
    p, o = p.where(prediction.c.event_time <= until), o.where(outcome.c.event_time <= until)
    return connection.execute(p).scalar(), connection.execute(o).scalar()


def first_event(connection: Connection, name: str, since: datetime | None) -> datetime | None:
    """Return the event time of the endpoint's first prediction at or after `since`."""
    query = sa.select(sa.func.min(prediction.c.event_time)).where(prediction.c.endpoint == name)
    return connection.execute(query if since is None else query.where(prediction.c.event_time >= since)).scalar()


def counts(connection: Connection) -> tuple[int, int]:
    """Return how many prediction rows and outcomes were taken in, without reading them all."""
    rows = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(log.c.rows), 0))).scalar_one()
    outcomes = connection.execute(sa.select(sa.func.coalesce(sa.func.max(outcome.c.seq), 0))).scalar_one()
    return int(rows), int(outcomes)


def some_labels(connection: Connection, name: str, limit: int = 10_000) -> list[float]:
    """Return the newest labels of an endpoint."""
    query = sa.select(outcome.c.label).where(outcome.c.endpoint == name).order_by(outcome.c.seq.desc()).limit(limit)
    return list(connection.execute(query).scalars())
