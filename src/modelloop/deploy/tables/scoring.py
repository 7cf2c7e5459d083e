"""Facts of batch scoring: which version scores which dataset, and which pieces are done."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ...ground.store.db import Time, metadata

scoring = sa.Table(
    "deploy_scoring",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("version", sa.String(300), nullable=False),
    sa.Column("package", sa.String(64), nullable=False),
    sa.Column("dataset", sa.String(64), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("into", sa.String(64), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("chunk", sa.BigInteger, nullable=False),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("finished_at", Time),
    sa.Column("made", sa.Integer),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
)
sa.Index("ix_deploy_scoring_key", scoring.c.key, unique=True)

scored = sa.Table(
    "deploy_scored",
    metadata,
    sa.Column("scoring", sa.String(40), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
)


def scored_of(connection: Connection, scoring_id: str) -> Sequence[RowMapping]:
    """Return the pieces that are done, in order."""
    query = sa.select(scored).where(scored.c.scoring == scoring_id).order_by(scored.c.place)
    return connection.execute(query).mappings().all()


def scorings(connection: Connection, limit: int) -> Sequence[RowMapping]:
    """Return batch scorings, newest first."""
    query = sa.select(scoring).order_by(scoring.c.started_at.desc(), scoring.c.id.desc()).limit(limit)
    return connection.execute(query).mappings().all()
