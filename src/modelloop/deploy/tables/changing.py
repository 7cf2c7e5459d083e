"""Facts of what answers: endpoints, rollouts, what went live, the routing table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ...ground.store.db import JSON, BigId, Time, metadata
from .plain import insert_new

endpoint = sa.Table(
    "deploy_endpoint",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("task", sa.String(20), nullable=False),
    sa.Column("key", sa.String(200)),
    sa.Column("max_body", sa.BigInteger, nullable=False),
    sa.Column("max_rows", sa.BigInteger, nullable=False),
    sa.Column("champion", sa.String(100)),
    sa.Column("digest", sa.String(64)),
    sa.Column("serving", JSON, nullable=False, server_default=sa.text("'{}'")),
    sa.Column("standby", sa.String(100)),
    sa.Column("standby_digest", sa.String(64)),
)

live = sa.Table(
    "deploy_live",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("endpoint", sa.String(64), nullable=False, index=True),
    sa.Column("version", sa.String(100), nullable=False),
    sa.Column("before", sa.String(100)),
    sa.Column("at", Time, nullable=False),
    sa.Column("event_time", Time),
    sa.Column("rollout", sa.String(40)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
)

rollout = sa.Table(
    "deploy_rollout",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("champion", sa.String(100)),
    sa.Column("challenger", sa.String(100), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("stage_since", Time, nullable=False),
    sa.Column("generation", sa.BigInteger),
    sa.Column("verdicts", JSON, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("approved_by", sa.String(200)),
    sa.Column("paused_by", sa.String(200)),
    sa.Column("paused_at", Time),
    sa.Column("held_seconds", sa.Float, nullable=False, server_default=sa.text("0")),
    sa.Column("policy", JSON, nullable=False),
    sa.Column("scale", sa.Float, nullable=False),
    sa.Column("closed_at", Time),
)
_OPEN = rollout.c.closed_at.is_(None)
sa.Index("uq_deploy_rollout_open", rollout.c.endpoint, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
sa.Index("ix_deploy_rollout_endpoint", rollout.c.endpoint, rollout.c.started_at)

routing = sa.Table(
    "deploy_routing",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("routes", JSON, nullable=False),
    sa.Column("at", Time, nullable=False),
)


def endpoints(connection: Connection) -> Sequence[RowMapping]:
    """Return all endpoints by name."""
    return connection.execute(sa.select(endpoint).order_by(endpoint.c.name)).mappings().all()


def open_rollouts(connection: Connection, name: str | None = None) -> Sequence[RowMapping]:
    """Return the rollouts that are not over, of one endpoint or all."""
    query = sa.select(rollout).where(_OPEN).order_by(rollout.c.started_at)
    return connection.execute(query if name is None else query.where(rollout.c.endpoint == name)).mappings().all()


def rollouts(connection: Connection, name: str | None, limit: int) -> Sequence[RowMapping]:
    """Return rollouts, newest first."""
    query = sa.select(rollout).order_by(rollout.c.started_at.desc(), rollout.c.id.desc()).limit(limit)
    return connection.execute(query if name is None else query.where(rollout.c.endpoint == name)).mappings().all()


def lives(connection: Connection, name: str, version: str | None = None, limit: int = 1) -> Sequence[RowMapping]:
    """Return what went live at the endpoint, newest first."""
    query = sa.select(live).where(live.c.endpoint == name).order_by(live.c.id.desc()).limit(limit)
    return connection.execute(query if version is None else query.where(live.c.version == version)).mappings().all()


def routing_for_update(connection: Connection) -> RowMapping:
    """Return the one row of the routing table, locked until the transaction ends."""
    insert_new(connection, routing, [{"id": 1, "generation": 0, "routes": [], "at": datetime(1970, 1, 1, tzinfo=UTC)}])
    return connection.execute(sa.select(routing).with_for_update()).mappings().one()
