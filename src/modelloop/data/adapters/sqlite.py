"""Rows of an SQLite file, read only, by Python's own driver.

Not by ADBC: its SQLite driver makes a column's type from the first rows and gives up at a later value of another, which
SQLite allows anywhere. Here a column with several types becomes text, as everywhere else.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...ground.core.later import polars as pl

_ROWS = 50_000
_CELLS = 2**20
_STEPS = 10_000
"""Of the database's machine between two looks at the clock."""


def rows(path: Path, statement: str, last: Any, seconds: float) -> Iterator[pl.DataFrame]:
    """Yield the answer in small frames, at least one; raises sqlite3.Error, TimeoutError after so many seconds."""
    until = time.monotonic() + seconds
    late = False

    def check() -> bool:
        nonlocal late
        late = time.monotonic() > until
        return late

    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10)) as connection:
        connection.execute("PRAGMA query_only = 1")
        connection.set_progress_handler(check, _STEPS)
        try:
            cursor = connection.execute(statement, () if last is None else (last,))
            names = [one[0] for one in cursor.description]
            step = max(1, min(_ROWS, _CELLS // len(names)))
            found = cursor.fetchmany(step)
            yield _frame(names, found)
            while found := cursor.fetchmany(step):
                yield _frame(names, found)
        except sqlite3.OperationalError as error:
            if late:
                raise TimeoutError(f"it took longer than {seconds:g} seconds") from error
            raise


def _frame(names: list[str], found: list[tuple[Any, ...]]) -> pl.DataFrame:
    columns = list(zip(*found, strict=True)) if found else [()] * len(names)
    return pl.DataFrame([_series(name, values) for name, values in zip(names, columns, strict=True)])


def _series(name: str, values: tuple[Any, ...]) -> pl.Series:
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        text = [None if value is None else _text(value) for value in values]
        return pl.Series(name, text, dtype=pl.String)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
