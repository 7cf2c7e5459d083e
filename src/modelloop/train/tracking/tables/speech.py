"""Statements as the driver takes them: what is run thousands of times a second does without being compiled.

Statements are written with `?`; PostgreSQL's driver gets its own mark. Many values travel as one (an array, or JSON),
so that a statement has the same text for one run and for thousands, and is prepared once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

_IN_JSON = " IN (SELECT value FROM json_each(?))"


def is_sqlite(connection: Connection) -> bool:
    """Say which of the two engines this is."""
    return connection.dialect.name == "sqlite"


def rows(connection: Connection, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return all rows as the driver gives them."""
    if not is_sqlite(connection):
        statement = _for_postgres(statement)
    result = connection.exec_driver_sql(statement, values)
    assert result.cursor is not None
    found = list(result.cursor.fetchall())
    result.close()
    return found


def run(connection: Connection, statement: str, values: tuple[Any, ...] = ()) -> int:
    """Run a statement; return how many rows it changed."""
    if not is_sqlite(connection):
        statement = _for_postgres(statement)
    return connection.exec_driver_sql(statement, values).rowcount


def many(connection: Connection, statement: str, values: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement once for each row of values."""
    if len(values) == 1:
        run(connection, statement, values[0])
    elif values:
        if not is_sqlite(connection):
            statement = _for_postgres(statement)
        connection.exec_driver_sql(statement, list(values))


def _for_postgres(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")


def among(connection: Connection, column: str, ids: Sequence[Any]) -> tuple[str, Any]:
    """Return a condition that a column is one of many values, and the one value to give with it."""
    if len(ids) == 1:
        return f"{column} = ?", ids[0]
    if is_sqlite(connection):
        return column + _IN_JSON, json.dumps(list(ids))
    return f"{column} = ANY(?)", list(ids)
