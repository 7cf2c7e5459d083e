"""SQL of tracked runs, by the driver: a thousand of them with all they logged are read in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from . import schema, speech
from .experiments import insert

COLUMNS = 'id, experiment_id, name, "user", status, lifecycle, start_ms, end_ms, revision'

_INPUTS = (
    "SELECT i.run_id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile, i.tags FROM track_run_input i"
    " JOIN track_dataset d ON d.id = i.dataset_id"
)
_NUMBERED = (
    "SELECT run_id, value, nan, step, at_ms,"
    " ROW_NUMBER() OVER (PARTITION BY run_id ORDER BY step, at_ms, value, nan) AS nth,"
    " COUNT(*) OVER (PARTITION BY run_id) AS total FROM track_metric"
)
_GIVEN = (
    "SELECT DISTINCT d.experiment_id, d.name, d.digest, i.context FROM track_dataset d"
    " JOIN track_run_input i ON i.dataset_id = d.id JOIN track_run r ON r.id = i.run_id"
)

Rows = list[tuple[Any, ...]]


def add(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Insert a run; return False where its id is taken."""
    statement = insert(connection, schema.run).values(**values)
    statement = statement.on_conflict_do_nothing(index_elements=["id"]).returning(schema.run.c.id)
    return connection.execute(statement).first() is not None


def by_ids(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return the rows that are there, in no order."""
    condition, value = speech.among(connection, "id", ids)
    return speech.rows(connection, f"SELECT {COLUMNS} FROM track_run WHERE {condition}", (value,))


def lifecycles(connection: Connection, ids: Sequence[str], *, lock: bool = True) -> dict[str, str]:
    """Return id -> lifecycle; with `lock` nobody else writes to these runs before this transaction ends."""
    condition, value = speech.among(connection, "id", ids)
    # all writers lock in the order of ids, so that none waits for another that waits for it
    more = " ORDER BY id FOR UPDATE" if lock and not speech.is_sqlite(connection) else ""
    return dict(speech.rows(connection, f"SELECT id, lifecycle FROM track_run WHERE {condition}{more}", (value,)))


def metrics(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return (run, name, value, nan, step, at_ms) of the latest value of each metric."""
    condition, value = speech.among(connection, "run_id", ids)
    statement = f"SELECT run_id, name, value, nan, step, at_ms FROM track_latest WHERE {condition}"
    return speech.rows(connection, statement, (value,))


def params(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return (run, name, value)."""
    return _named(connection, "track_param", ids)


def tags(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return (run, name, value)."""
    return _named(connection, "track_tag", ids)


def _named(connection: Connection, table: str, ids: Sequence[str]) -> Rows:
    condition, value = speech.among(connection, "run_id", ids)
    return speech.rows(connection, f"SELECT run_id, name, value FROM {table} WHERE {condition}", (value,))


def inputs(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return (run, name, digest, source_type, source, schema, profile, tags) of datasets."""
    condition, value = speech.among(connection, "i.run_id", ids)
    found = speech.rows(connection, f"{_INPUTS} WHERE {condition} ORDER BY d.id", (value,))
    return [(*row[:7], json.loads(row[7]) if isinstance(row[7], str) else row[7]) for row in found]


def models(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return (run, direction, model, step) of logged models."""
    condition, value = speech.among(connection, "run_id", ids)
    statement = f"SELECT run_id, direction, model_id, step FROM track_run_model WHERE {condition}"
    return speech.rows(connection, f"{statement} ORDER BY step, model_id", (value,))


def history(connection: Connection, run_id: str, name: str, *, limit: int, after: tuple[Any, ...] | None) -> Rows:
    """Return (value, nan, step, at_ms), oldest first; those behind the last one of the page before."""
    statement = "SELECT value, nan, step, at_ms FROM track_metric WHERE run_id = ? AND name = ?"
    values: tuple[Any, ...] = (run_id, name)
    if after is not None:
        statement += " AND (at_ms, step, value, nan) > (?, ?, ?, ?)"
        values += after
    return speech.rows(connection, f"{statement} ORDER BY at_ms, step, value, nan LIMIT ?", (*values, limit))


def points(connection: Connection, ids: Sequence[str], name: str, first: int, last: int) -> dict[str, int]:
    """Return how many values of a metric each run has between two steps."""
    condition, value = speech.among(connection, "run_id", ids)
    statement = (
        f"SELECT run_id, COUNT(*) FROM track_metric WHERE {condition} AND name = ? AND step BETWEEN ? AND ?"
        " GROUP BY run_id"
    )
    return dict(speech.rows(connection, statement, (value, name, first, last)))


def history_of_many(
    connection: Connection, ids: Sequence[str], name: str, *, steps: tuple[int, int], stride: int
) -> Rows:
    """Return (run, value, nan, step, at_ms) by run and step: of each run every `stride`-th, the first and the last."""
    condition, value = speech.among(connection, "run_id", ids)
    numbered = f"{_NUMBERED} WHERE {condition} AND name = ? AND step BETWEEN ? AND ?"
    statement = (
        f"SELECT run_id, value, nan, step, at_ms FROM ({numbered}) p"
        " WHERE nth = total OR (nth - 1) % ? = 0 ORDER BY run_id, nth"
    )
    return speech.rows(connection, statement, (value, name, *steps, stride))


def datasets_of(connection: Connection, experiments: Sequence[int]) -> Rows:
    """Return (experiment, name, digest, context) of the datasets of active runs."""
    condition, value = speech.among(connection, "d.experiment_id", experiments)
    where = f"WHERE {condition} AND r.lifecycle = 'active'"
    return speech.rows(connection, f"{_GIVEN} {where} ORDER BY 1, 2, 3, 4", (value,))


def revision_of(connection: Connection, run_id: str) -> int | None:
    """Return a run's revision, or None."""
    found = speech.rows(connection, "SELECT revision FROM track_run WHERE id = ?", (run_id,))
    return found[0][0] if found else None


def put_away(connection: Connection, run_id: str, at_ms: int) -> bool:
    """Delete an active run; return whether there was one."""
    statement = (
        "UPDATE track_run SET lifecycle = 'deleted', deleted_ms = ?, revision = revision + 1"
        " WHERE id = ? AND lifecycle = 'active'"
    )
    return speech.run(connection, statement, (at_ms, run_id)) > 0


def bring_back(connection: Connection, run_id: str) -> bool:
    """Restore a deleted run; return whether there was one."""
    statement = (
        "UPDATE track_run SET lifecycle = 'active', deleted_ms = NULL, revision = revision + 1"
        " WHERE id = ? AND lifecycle = 'deleted'"
    )
    return speech.run(connection, statement, (run_id,)) > 0


def touch(connection: Connection, run_id: str) -> None:
    """Note that something of a run changed."""
    speech.run(connection, "UPDATE track_run SET revision = revision + 1 WHERE id = ?", (run_id,))


def dataset_id(connection: Connection, values: Mapping[str, Any]) -> int:
    """Return the number of a dataset; it is made where it is new. What it is said to be the first time holds."""
    table = schema.dataset
    keys = ("experiment_id", "name", "digest")
    statement = insert(connection, table).values(**values).on_conflict_do_nothing(index_elements=list(keys))
    row = connection.execute(statement.returning(table.c.id)).first()
    if row is None:
        query = sa.select(table.c.id).where(*(table.c[key] == values[key] for key in keys))
        row = connection.execute(query).one()
    return int(row.id)


def input_tags(connection: Connection, run_id: str, number: int) -> dict[str, str]:
    """Return the tags under which a run was given a dataset so far."""
    table = schema.run_input
    query = sa.select(table.c.tags).where(table.c.run_id == run_id, table.c.dataset_id == number)
    return dict(connection.execute(query).scalar() or {})


def add_models(connection: Connection, values: Sequence[Mapping[str, Any]]) -> None:
    """Note logged models that a run was given or made; twice is once."""
    if values:
        connection.execute(insert(connection, schema.run_model).on_conflict_do_nothing(), list(values))
