"""SQL of artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from . import schema, speech
from .experiments import upsert

_OF = "owner_kind = ? AND owner = ?"


def put(connection: Connection, values: Mapping[str, Any]) -> None:
    """Insert a file, or replace it."""
    upsert(connection, schema.artifact, [values])


def find(connection: Connection, kind: str, owner: str, path: str) -> tuple[Any, ...] | None:
    """Return (size, digest, parts), or None."""
    statement = f"SELECT size, digest, parts FROM track_artifact WHERE {_OF} AND path = ?"
    found = speech.rows(connection, statement, (kind, owner, path))
    if not found:
        return None
    size, digest, parts = found[0]
    return size, digest, _plain(parts)


def files_among(connection: Connection, kind: str, owner: str, paths: Sequence[str]) -> list[str]:
    """Return which of the paths are files."""
    condition, value = speech.among(connection, "path", paths)
    statement = f"SELECT path FROM track_artifact WHERE {_OF} AND {condition}"
    return [row[0] for row in speech.rows(connection, statement, (kind, owner, value))]


def is_folder(connection: Connection, kind: str, owner: str, path: str) -> bool:
    """Say whether anything lies below a path."""
    statement = f"SELECT 1 FROM track_artifact WHERE {_OF} AND path >= ? AND path < ? LIMIT 1"
    return bool(speech.rows(connection, statement, (kind, owner, *_below(path))))


def children(connection: Connection, kind: str, owner: str, path: str) -> list[tuple[Any, ...]]:
    """Return (name, is_folder, size, digest) of what lies directly in a folder, by name."""
    start = len(path) + 2 if path else 1
    rest = f"substr(path, {start})"
    slash = f"{'instr' if speech.is_sqlite(connection) else 'strpos'}({rest}, '/')"
    name = f"CASE WHEN {slash} > 0 THEN substr({rest}, 1, {slash} - 1) ELSE {rest} END"
    folder = f"CASE WHEN {slash} > 0 THEN 1 ELSE 0 END"
    where, values = (f"{_OF} AND path >= ? AND path < ?", _below(path)) if path else (_OF, ())
    statement = (
        f"SELECT {name}, {folder}, MAX(size), MAX(digest) FROM track_artifact WHERE {where} GROUP BY 1, 2 ORDER BY 1"
    )
    return speech.rows(connection, statement, (kind, owner, *values))


def all_of(connection: Connection, kind: str, owner: str) -> list[tuple[Any, ...]]:
    """Return (path, size, digest, parts) of all files, by path."""
    statement = f"SELECT path, size, digest, parts FROM track_artifact WHERE {_OF} ORDER BY path"
    return [(*row[:3], _plain(row[3])) for row in speech.rows(connection, statement, (kind, owner))]


def remove(connection: Connection, kind: str, owner: str, path: str) -> int:
    """Remove a file, or a folder with all in it; return how many files that were."""
    statement = f"DELETE FROM track_artifact WHERE {_OF} AND (path = ? OR (path >= ? AND path < ?))"
    return speech.run(connection, statement, (kind, owner, path, *_below(path)))


def parts(connection: Connection) -> Iterator[str]:
    """Yield the digest of every part of every file."""
    for (found,) in speech.rows(connection, "SELECT parts FROM track_artifact"):
        yield from (part[0] for part in _plain(found))


def _below(path: str) -> tuple[str, str]:
    return f"{path}/", f"{path}0"  # "0" is the character after "/"


def _plain(parts: Any) -> list[Any]:
    found: list[Any] = json.loads(parts) if isinstance(parts, str) else parts
    return found
