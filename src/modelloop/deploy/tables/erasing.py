"""Facts of erasures: what was asked for, how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ...ground.store.db import JSON, Time, metadata

erasure = sa.Table(
    "deploy_erasure",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("key", sa.String(200)),
    sa.Column("fingerprint", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("asked_at", Time, nullable=False),
    sa.Column("finished_at", Time),
    sa.Column("files", JSON, nullable=False),
    sa.Column("writers", JSON, nullable=False),
    sa.Column("dropped", JSON, nullable=False),
    sa.Column("predictions", sa.BigInteger, nullable=False),
    sa.Column("outcomes", sa.BigInteger, nullable=False),
    sa.Column("waiting", sa.BigInteger, nullable=False),
    sa.Column("rewritten", sa.BigInteger, nullable=False),
)
sa.Index("ix_deploy_erasure_finished", erasure.c.finished_at)


def erasures(connection: Connection, *, limit: int, unfinished: bool) -> Sequence[RowMapping]:
    """Return erasures, newest first; only those with something pending, or all."""
    query = sa.select(erasure).order_by(erasure.c.asked_at.desc(), erasure.c.id.desc()).limit(limit)
    query = query.where(erasure.c.finished_at.is_(None)) if unfinished else query
    return connection.execute(query).mappings().all()


def erasure_for_update(connection: Connection, erasure_id: str) -> RowMapping | None:
    """Return one erasure that is not over, locked until the transaction ends."""
    query = sa.select(erasure).where(erasure.c.id == erasure_id, erasure.c.finished_at.is_(None))
    return connection.execute(query.with_for_update()).mappings().first()


def change_erasure(connection: Connection, erasure_id: str, **values: Any) -> None:
    """Note how far an erasure is."""
    connection.execute(erasure.update().where(erasure.c.id == erasure_id).values(**values))
