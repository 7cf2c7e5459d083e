"""Facts of watching: signals, alerts, and what is still to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..ground.core.records import Verdict
from ..ground.store.db import JSON, Time, metadata
from .records import Alert, Signal, Window

signal = sa.Table(
    "monitor_signal",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("monitor", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("start", Time, nullable=False),
    sa.Column("end", Time, nullable=False),
    sa.Column("version", sa.String(100), nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("bound", sa.Float),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", JSON, nullable=False),
    sa.Column("measured_at", Time, nullable=False),
    sa.UniqueConstraint("monitor", "endpoint", "version", "start", name="uq_monitor_signal_window"),
)

alert = sa.Table(
    "monitor_alert",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("monitor", sa.String(64), nullable=False),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("signal", sa.String(40), nullable=False),
    sa.Column("event_time", Time, nullable=False),
    sa.Column("raised_at", Time, nullable=False),
    sa.Column("resolved_at", Time),
    sa.Column("message", sa.Text, nullable=False),
)
_FIRING = alert.c.resolved_at.is_(None)
sa.Index(
    "uq_monitor_alert_firing",
    alert.c.monitor,
    alert.c.endpoint,
    unique=True,
    sqlite_where=_FIRING,
    postgresql_where=_FIRING,
)

outbox = sa.Table(
    "monitor_outbox",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("channel", sa.String(64), nullable=False),
    sa.Column("body", JSON, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", Time, nullable=False),
    sa.Column("sent_at", Time),
    sa.Column("error", sa.Text),
)


def add_signal(connection: Connection, made: Signal) -> None:
    """Insert a signal; raises IntegrityError where the window was measured already."""
    values = {name: getattr(made, name) for name in Signal.__slots__ if name != "window"}
    values |= {"endpoint": made.window.endpoint, "start": made.window.start, "end": made.window.end}
    connection.execute(signal.insert().values(**values | {"verdict": str(made.verdict), "detail": dict(made.detail)}))


def signals(
    connection: Connection, where: Mapping[str, Any], *, limit: int, since: datetime | None = None
) -> list[Signal]:
    """Return signals in which every column has the value given, latest window first."""
    query = sa.select(signal).where(*(signal.c[name] == value for name, value in where.items()))
    if since is not None:
        query = query.where(signal.c.start >= since)
    rows = connection.execute(query.order_by(signal.c.end.desc(), signal.c.id.desc()).limit(limit)).mappings()
    return [_signal(row) for row in rows]


def last_end(connection: Connection, monitor: str, endpoint: str, since: datetime) -> datetime | None:
    """Return the end of the last window measured since."""
    c = signal.c
    query = sa.select(sa.func.max(c.end)).where(c.monitor == monitor, c.endpoint == endpoint, c.start >= since)
    return connection.execute(query).scalar()


def tests_made(connection: Connection, monitor: str, endpoint: str, version: str) -> int:
    """Return how many windows of a version had evidence: each spent a part of alpha."""
    c = signal.c
    query = sa.select(sa.func.count()).where(
        c.monitor == monitor, c.endpoint == endpoint, c.version == version, c.verdict != str(Verdict.MISSING)
    )
    return int(connection.execute(query).scalar_one())


def alerts(connection: Connection, *, firing: bool, limit: int = 1000) -> list[Alert]:
    """Return alerts, newest first; only those that still fire, or all.

    Alerts of one moment stand in the order of their windows, then of their names: ids made within one millisecond have
    none.
    """
    c = alert.c
    query = sa.select(alert).order_by(c.raised_at.desc(), c.event_time.desc(), c.monitor, c.endpoint, c.id).limit(limit)
    rows = connection.execute(query.where(_FIRING) if firing else query).mappings()
    return [Alert(**{name: row[name] for name in Alert.__slots__}) for row in rows]


def firing_alert(connection: Connection, monitor: str, endpoint: str) -> Alert | None:
    """Return the alert that fires, if one does."""
    query = sa.select(alert).where(_FIRING, alert.c.monitor == monitor, alert.c.endpoint == endpoint)
    row = connection.execute(query).mappings().first()
    return None if row is None else Alert(**{name: row[name] for name in Alert.__slots__})


def raise_alert(connection: Connection, raised: Alert) -> None:
    """Insert an alert."""
    connection.execute(alert.insert().values(**{name: getattr(raised, name) for name in Alert.__slots__}))


def resolve(connection: Connection, alert_id: str, at: datetime) -> bool:
    """Resolve an alert that fires; say whether it did."""
    return bool(
        connection.execute(alert.update().where(_FIRING, alert.c.id == alert_id).values(resolved_at=at)).rowcount
    )


def post(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put messages into the outbox."""
    if rows:
        connection.execute(outbox.insert(), list(rows))


def unsent(connection: Connection, now: datetime, attempts: int) -> Sequence[RowMapping]:
    """Return messages whose time has come, oldest first."""
    c = outbox.c
    query = sa.select(outbox).where(c.sent_at.is_(None), c.next_at <= now, c.attempts < attempts)
    return connection.execute(query.order_by(c.next_at, c.id).limit(100)).mappings().all()


def claim(connection: Connection, row: RowMapping, next_at: datetime) -> bool:
    """Count an attempt before it is made; false where another process makes it."""
    c = outbox.c
    query = outbox.update().where(c.id == row["id"], c.attempts == row["attempts"], c.sent_at.is_(None))
    return bool(connection.execute(query.values(attempts=row["attempts"] + 1, next_at=next_at)).rowcount)


def mark(connection: Connection, message: str, *, sent_at: datetime | None, error: str | None) -> None:
    """Note how an attempt went."""
    connection.execute(outbox.update().where(outbox.c.id == message).values(sent_at=sent_at, error=error))


def _signal(row: RowMapping) -> Signal:
    values: dict[str, Any] = {name: row[name] for name in Signal.__slots__ if name != "window"}
    values["verdict"] = Verdict(row["verdict"])
    return Signal(window=Window(row["endpoint"], row["start"], row["end"]), **values)
