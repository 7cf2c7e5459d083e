"""SQL of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection

from ..records import INT64
from . import schema, speech

_COLUMNS = "id, name, lifecycle, made_ms, changed_ms"


def insert(connection: Connection, table: sa.Table) -> Any:
    """Return an INSERT that knows conflicts."""
    return sqlite_insert(table) if speech.is_sqlite(connection) else postgres_insert(table)


def upsert(connection: Connection, table: sa.Table, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; those whose key is there get the new values."""
    if not values:
        return
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(values))


def add(connection: Connection, values: Mapping[str, Any]) -> int | None:
    """Insert an experiment; return its number, or None where its name is taken."""
    statement = insert(connection, schema.experiment).values(**values)
    statement = statement.on_conflict_do_nothing(index_elements=["name"]).returning(schema.experiment.c.id)
    row = connection.execute(statement).first()
    return None if row is None else int(row.id)


def by_id(connection: Connection, number: int, *, share: bool = False) -> tuple[Any, ...] | None:
    """Return a row, or None; with `share` nobody deletes it before this transaction ends."""
    if not 0 <= number < INT64:
        return None
    more = " FOR SHARE" if share and not speech.is_sqlite(connection) else ""
    found = speech.rows(connection, f"SELECT {_COLUMNS} FROM track_experiment WHERE id = ?{more}", (number,))
    return found[0] if found else None


def by_name(connection: Connection, name: str) -> tuple[Any, ...] | None:
    """Return a row, or None."""
    found = speech.rows(connection, f"SELECT {_COLUMNS} FROM track_experiment WHERE name = ?", (name,))
    return found[0] if found else None


def locked(connection: Connection, number: int) -> tuple[Any, ...] | None:
    """Return a row that nobody else changes before this transaction ends, or None."""
    if not 0 <= number < INT64:
        return None
    more = "" if speech.is_sqlite(connection) else " FOR UPDATE"
    statement = f"SELECT {_COLUMNS} FROM track_experiment WHERE id = ?{more}"
    found = speech.rows(connection, statement, (number,))
    return found[0] if found else None


def change(connection: Connection, number: int, values: Mapping[str, Any]) -> None:
    """Change an experiment; IntegrityError where its new name is taken."""
    table = schema.experiment
    connection.execute(table.update().where(table.c.id == number).values(**values))


def tags(connection: Connection, numbers: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return (experiment, name, value) of all tags."""
    if not numbers:
        return []
    condition, value = speech.among(connection, "experiment_id", numbers)
    statement = f"SELECT experiment_id, name, value FROM track_experiment_tag WHERE {condition}"
    return speech.rows(connection, f"{statement} ORDER BY name", (value,))


def set_tags(connection: Connection, number: int, found: Mapping[str, str]) -> None:
    """Set tags of an experiment."""
    values = [{"experiment_id": number, "name": name, "value": value} for name, value in found.items()]
    upsert(connection, schema.experiment_tag, values)


def drop_tag(connection: Connection, number: int, name: str) -> bool:
    """Remove a tag; return whether it was there."""
    statement = "DELETE FROM track_experiment_tag WHERE experiment_id = ? AND name = ?"
    return speech.run(connection, statement, (number, name)) > 0


def put_runs_away(connection: Connection, number: int) -> None:
    """Delete the active runs of an experiment that is deleted; they have no moment of their own."""
    statement = (
        "UPDATE track_run SET lifecycle = 'deleted', deleted_ms = NULL, revision = revision + 1"
        " WHERE experiment_id = ? AND lifecycle = 'active'"
    )
    speech.run(connection, statement, (number,))


def bring_runs_back(connection: Connection, number: int) -> None:
    """Restore the runs that were deleted together with their experiment, none that was deleted before."""
    statement = (
        "UPDATE track_run SET lifecycle = 'active', revision = revision + 1"
        " WHERE experiment_id = ? AND lifecycle = 'deleted' AND deleted_ms IS NULL"
    )
    speech.run(connection, statement, (number,))
