"""SQL of logged models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from . import schema, speech
from .experiments import insert, upsert

_COLUMNS = "id, experiment_id, name, status, kind, source_run, made_ms, changed_ms, lifecycle, status_message"
_METRICS = "model_id, name, value, nan, step, at_ms, dataset_name, dataset_digest, run_id"

Rows = list[tuple[Any, ...]]


def add(connection: Connection, values: Mapping[str, Any]) -> bool:
    """Insert a model; return False where its id is taken."""
    statement = insert(connection, schema.model).values(**values)
    statement = statement.on_conflict_do_nothing(index_elements=["id"]).returning(schema.model.c.id)
    return connection.execute(statement).first() is not None


def by_ids(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return the rows that are there, in no order."""
    condition, value = speech.among(connection, "id", ids)
    return speech.rows(connection, f"SELECT {_COLUMNS} FROM track_model WHERE {condition}", (value,))


def lifecycle(connection: Connection, model_id: str, *, lock: bool) -> str | None:
    """Return whether a model is there or deleted; with `lock` nobody else writes to it before the transaction ends."""
    more = " FOR UPDATE" if lock and not speech.is_sqlite(connection) else ""
    found = speech.rows(connection, f"SELECT lifecycle FROM track_model WHERE id = ?{more}", (model_id,))
    return found[0][0] if found else None


def change(connection: Connection, model_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of a model."""
    connection.execute(schema.model.update().where(schema.model.c.id == model_id).values(**values))


def params(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return (model, name, value)."""
    condition, value = speech.among(connection, "model_id", ids)
    statement = f"SELECT model_id, name, value FROM track_model_param WHERE {condition} ORDER BY name"
    return speech.rows(connection, statement, (value,))


def tags(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return (model, name, value)."""
    condition, value = speech.among(connection, "model_id", ids)
    statement = f"SELECT model_id, name, value FROM track_model_tag WHERE {condition} ORDER BY name"
    return speech.rows(connection, statement, (value,))


def metrics(connection: Connection, ids: Sequence[str]) -> Rows:
    """Return all metrics of models, oldest first."""
    condition, value = speech.among(connection, "model_id", ids)
    statement = f"SELECT {_METRICS} FROM track_model_metric WHERE {condition}"
    return speech.rows(connection, f"{statement} ORDER BY model_id, name, at_ms, step", (value,))


def set_params(connection: Connection, model_id: str, found: Mapping[str, str]) -> None:
    """Set params of a model."""
    upsert(connection, schema.model_param, _rows(model_id, found))


def set_tags(connection: Connection, model_id: str, found: Mapping[str, str]) -> None:
    """Set tags of a model."""
    upsert(connection, schema.model_tag, _rows(model_id, found))


def drop_tag(connection: Connection, model_id: str, name: str) -> bool:
    """Remove a tag; return whether it was there."""
    statement = "DELETE FROM track_model_tag WHERE model_id = ? AND name = ?"
    return speech.run(connection, statement, (model_id, name)) > 0


def of_run(connection: Connection, run_id: str) -> list[str]:
    """Return the ids of the models that a run made."""
    statement = "SELECT id FROM track_model WHERE source_run = ? ORDER BY made_ms, id"
    return [row[0] for row in speech.rows(connection, statement, (run_id,))]


def _rows(model_id: str, found: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"model_id": model_id, "name": name, "value": value} for name, value in found.items()]
