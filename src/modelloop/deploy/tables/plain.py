"""Insert, change, find: the same for every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping


def insert_new(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows at once; those whose key is there already stay as they are."""
    if rows:
        made = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
        connection.execute(made.on_conflict_do_nothing(), list(rows))


def insert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows at once."""
    if rows:
        connection.execute(table.insert(), list(rows))


def change(connection: Connection, table: sa.Table, where: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Update the rows in which every column has the value given; say whether there was one (compare and set)."""
    query = table.update().where(*(table.c[name].is_not_distinct_from(value) for name, value in where.items()))
    return bool(connection.execute(query.values(**values)).rowcount)


def find(connection: Connection, table: sa.Table, **where: Any) -> RowMapping | None:
    """Return the one row in which every column has the value given, or None."""
    query = sa.select(table).where(*(table.c[name] == value for name, value in where.items()))
    return connection.execute(query).mappings().first()
