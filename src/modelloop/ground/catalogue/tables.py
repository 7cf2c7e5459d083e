"""SQL of the catalogue."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..store.db import JSON, Time, metadata
from .records import Component

component = sa.Table(
    "catalogue_component",
    metadata,
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column("version", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("body", JSON, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("by", sa.String(120), nullable=False),
)
_BODY = ("function", "signature", "doc", "modules", "packages", "project")


def add(connection: Connection, made: Component) -> None:
    """Insert a version; IntegrityError where its number is taken."""
    body = {name: getattr(made, name) for name in _BODY} | {"modules": list(made.modules)}
    connection.execute(
        component.insert().values(
            name=made.name, version=made.version, digest=made.digest, body=body, at=made.at, by=made.by
        )
    )


def versions(connection: Connection, name: str | None = None) -> list[Component]:
    """Return published versions of one component or of all, by name, oldest first."""
    query = sa.select(component).order_by(component.c.name, component.c.at)
    if name is not None:
        query = query.where(component.c.name == name)
    return [_component(row) for row in connection.execute(query).mappings()]


def _component(row: sa.RowMapping) -> Component:
    body = {**row["body"], "modules": tuple(row["body"]["modules"])}
    return Component(**{name: row[name] for name in ("name", "version", "digest", "at", "by")}, **body)
