"""SQL of the register: one table of versions. Rows are inserted and never changed; there is no update in this file."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from ..ground.core.records import Verdict
from ..ground.store.db import JSON, Time, metadata
from .records import ModelVersion

register_version = sa.Table(
    "register_version",
    metadata,
    sa.Column("model", sa.String(63), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("run", sa.String(40), nullable=True),
    sa.Column("headline", sa.Float, nullable=True),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("made_by", sa.String(200), nullable=False),
    sa.Column("trained_from", Time, nullable=True),
    sa.Column("trained_until", Time, nullable=True),
    sa.Column("lineage", JSON, nullable=False),
    sa.UniqueConstraint("model", "digest"),
)


def next_number(connection: Connection, model: str) -> int:
    """Return the number after the highest one."""
    query = sa.select(sa.func.max(register_version.c.number)).where(register_version.c.model == model)
    return int(connection.execute(query).scalar() or 0) + 1


def insert(connection: Connection, version: ModelVersion) -> None:
    """Insert a version; raises IntegrityError where the number or the package is already there."""
    values = {name: getattr(version, name) for name in ModelVersion.__slots__}
    connection.execute(register_version.insert().values(**values | {"lineage": dict(version.lineage)}))


def by_digest(connection: Connection, model: str, digest: str) -> ModelVersion | None:
    """Return the version with this package."""
    table = register_version
    query = sa.select(table).where(table.c.model == model, table.c.digest == digest)
    return _version(connection.execute(query).first())


def by_number(connection: Connection, model: str, number: int) -> ModelVersion | None:
    """Return one version."""
    table = register_version
    return _version(
        connection.execute(sa.select(table).where(table.c.model == model, table.c.number == number)).first()
    )


def of_model(connection: Connection, model: str) -> tuple[ModelVersion, ...]:
    """Return the versions of a model, oldest first."""
    table = register_version
    rows = connection.execute(sa.select(table).where(table.c.model == model).order_by(table.c.number))
    return tuple(version for row in rows if (version := _version(row)) is not None)


def models(connection: Connection) -> tuple[str, ...]:
    """Return the names of all models, sorted."""
    table = register_version
    return tuple(connection.execute(sa.select(table.c.model).distinct().order_by(table.c.model)).scalars())


def _version(row: Row[tuple[object, ...]] | None) -> ModelVersion | None:
    if row is None:
        return None
    values = dict(row._mapping)
    return ModelVersion(**values | {"verdict": Verdict(values["verdict"])})
