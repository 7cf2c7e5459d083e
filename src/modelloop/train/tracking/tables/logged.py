"""SQL of logging: one statement a table for whatever many runs logged; on PostgreSQL one statement for all tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from . import speech

# table part -> (SQLite's statement for one row, PostgreSQL's for arrays)
_RUN = "UPDATE track_run SET revision = revision + 1 WHERE id = ?"
_CHANGED = (
    "UPDATE track_run SET revision = revision + 1, status = COALESCE(?, status), end_ms = COALESCE(?, end_ms),"
    " name = COALESCE(?, name) WHERE id = ?"
)
_METRIC = "INSERT INTO track_metric (run_id, name, at_ms, step, value, nan)"
_LATEST = "INSERT INTO track_latest (run_id, name, step, at_ms, value, nan)"
_LATER = (
    " ON CONFLICT (run_id, name) DO UPDATE SET step = excluded.step, at_ms = excluded.at_ms, value = excluded.value,"
    " nan = excluded.nan WHERE (excluded.step, excluded.at_ms, excluded.value, excluded.nan) >"
    " (track_latest.step, track_latest.at_ms, track_latest.value, track_latest.nan)"
)
_PARAM = "INSERT INTO track_param (run_id, name, value)"
_TAG = "INSERT INTO track_tag (run_id, name, value)"
_NEWER = " ON CONFLICT (run_id, name) DO UPDATE SET value = excluded.value"
_MODEL_METRIC = (
    "INSERT INTO track_model_metric (model_id, name, run_id, step, at_ms, dataset_name, dataset_digest, value, nan)"
)
_OVER = (
    " ON CONFLICT (model_id, name, run_id, step, at_ms, dataset_name, dataset_digest)"
    " DO UPDATE SET value = excluded.value, nan = excluded.nan"
)

_SQLITE = {
    "runs": _RUN,
    "changes": _CHANGED,
    "metrics": f"{_METRIC} VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    "latest": f"{_LATEST} VALUES (?, ?, ?, ?, ?, ?){_LATER}",
    "params": f"{_PARAM} VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    "tags": f"{_TAG} VALUES (?, ?, ?){_NEWER}",
    "dropped": "DELETE FROM track_tag WHERE run_id = ? AND name = ?",
    "model_metrics": f"{_MODEL_METRIC} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?){_OVER}",
}
_UNNESTED = "SELECT * FROM unnest(?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::float8[], ?::bool[])"
_WORDS = "SELECT * FROM unnest(?::text[], ?::text[], ?::text[])"
_MEASURES = (
    "SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::text[], ?::text[],"
    " ?::float8[], ?::bool[])"
)
_POSTGRES = {
    "runs": "UPDATE track_run SET revision = revision + 1 WHERE id = ANY(?::text[])",
    "changes": (
        "UPDATE track_run SET revision = revision + 1, status = COALESCE(c.status, track_run.status),"
        " end_ms = COALESCE(c.end_ms, track_run.end_ms), name = COALESCE(c.name, track_run.name)"
        " FROM unnest(?::text[], ?::bigint[], ?::text[], ?::text[]) AS c (status, end_ms, name, id)"
        " WHERE track_run.id = c.id"
    ),
    "metrics": f"{_METRIC} {_UNNESTED} ON CONFLICT DO NOTHING",
    "latest": f"{_LATEST} {_UNNESTED}{_LATER}",
    "params": f"{_PARAM} {_WORDS} ON CONFLICT DO NOTHING",
    "tags": f"{_TAG} {_WORDS}{_NEWER}",
    "dropped": (
        "DELETE FROM track_tag USING unnest(?::text[], ?::text[]) AS d (run_id, name)"
        " WHERE track_tag.run_id = d.run_id AND track_tag.name = d.name"
    ),
    "model_metrics": (f"{_MODEL_METRIC} {_MEASURES}{_OVER}"),
}

_ALIVE = "UPDATE track_run SET revision = revision + 1 WHERE id = ? AND lifecycle = 'active'"
_MANY = "unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::float8[], %s::bool[]) AS p"
_SINGLE = "(VALUES (%s::text, %s::text, %s::bigint, %s::bigint, %s::float8, %s::bool)) AS p"


def _points_of_one(sent: str) -> str:
    """Return PostgreSQL's statement for points of a run; a single one is sent as values, which costs half of arrays."""
    alive = _ALIVE.replace("?", "%s")
    return (
        f"WITH alive AS ({alive} RETURNING id),"
        f" metrics AS ({_METRIC} SELECT p.* FROM {sent} CROSS JOIN alive ON CONFLICT DO NOTHING),"
        f" latest AS ({_LATEST} SELECT p.* FROM {sent} CROSS JOIN alive{_LATER}) SELECT id FROM alive"
    )


_POINTS, _POINT = _points_of_one(_MANY), _points_of_one(_SINGLE)


def write_points(cursor: Any, run_id: str, parts: dict[str, Sequence[tuple[Any, ...]]], *, sqlite: bool) -> bool:
    """Write metrics of one run the shortest way the driver knows; it is in autocommit, and all is one transaction.

    Returns False, and nothing is written, where the run is not there or was deleted.
    """
    if not sqlite:
        metrics, latest = parts["metrics"], parts["latest"]
        if len(metrics) == 1:
            cursor.execute(_POINT, (run_id, *metrics[0], *latest[0]))
        else:
            columns = [list(column) for rows in (metrics, latest) for column in zip(*rows, strict=True)]
            cursor.execute(_POINTS, (run_id, *columns))
        return cursor.fetchone() is not None
    cursor.execute("BEGIN IMMEDIATE")
    done = False
    try:
        cursor.execute(_ALIVE, (run_id,))
        if cursor.rowcount == 1:
            for part in ("metrics", "latest"):
                cursor.executemany(_SQLITE[part], parts[part])
            done = True
    finally:
        cursor.execute("COMMIT" if done else "ROLLBACK")
    return done


def write(connection: Connection, parts: dict[str, Sequence[tuple[Any, ...]]]) -> None:
    """Write rows: part -> rows, in the order of the statement's columns. No row's key comes twice in a part."""
    present = {part: values for part, values in parts.items() if values}
    if speech.is_sqlite(connection):
        for part, values in present.items():
            speech.many(connection, _SQLITE[part], values)
        return
    if not present:
        return
    *first, last = present
    statement = ", ".join(f"{part} AS ({_POSTGRES[part]})" for part in first)
    statement = f"WITH {statement} {_POSTGRES[last]}" if first else _POSTGRES[last]
    columns = [list(column) for values in present.values() for column in zip(*values, strict=True)]
    speech.run(connection, statement, tuple(columns))


def params(connection: Connection, ids: Sequence[str], names: Sequence[str]) -> dict[tuple[str, str], str]:
    """Return (run, name) -> value of the params that are there."""
    among_ids, first = speech.among(connection, "run_id", ids)
    among_names, second = speech.among(connection, "name", names)
    statement = f"SELECT run_id, name, value FROM track_param WHERE {among_ids} AND {among_names}"
    return {(run_id, name): value for run_id, name, value in speech.rows(connection, statement, (first, second))}


def tag_names(connection: Connection, ids: Sequence[str], names: Sequence[str]) -> set[tuple[str, str]]:
    """Return (run, name) of the tags that are there."""
    among_ids, first = speech.among(connection, "run_id", ids)
    among_names, second = speech.among(connection, "name", names)
    statement = f"SELECT run_id, name FROM track_tag WHERE {among_ids} AND {among_names}"
    return {(run_id, name) for run_id, name in speech.rows(connection, statement, (first, second))}


def models(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of the logged models are there."""
    condition, value = speech.among(connection, "id", ids)
    statement = f"SELECT id FROM track_model WHERE lifecycle = 'active' AND {condition}"
    return {row[0] for row in speech.rows(connection, statement, (value,))}
