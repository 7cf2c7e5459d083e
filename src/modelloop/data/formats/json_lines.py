"""JSON lines to frames, some lines at a time. A column keeps its type where all its values have the same. Pure.

The text is gone through twice: every frame has the columns of the whole file, also of names that only its end has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from ...ground.core.later import polars as pl
from .csv_text import LONGEST, MOST_COLUMNS

MOST_CELLS = 2**21
"""Of a frame, and of its rows while they are Python objects."""
_LONG = re.compile(rb"[0-9]{17}")


def json_names(blocks: Iterable[bytes]) -> list[str]:
    """Return all names in the order they come in; raises ValueError, with the line, for what is no JSON lines."""
    names: dict[str, None] = {}
    found = False
    for number, line in _lines(blocks):
        found = True
        row = _row(line, number)
        if not row.keys() <= names.keys():
            names.update(dict.fromkeys(row))
            if len(names) > MOST_COLUMNS:
                said = f"up to line {number} it has more than {MOST_COLUMNS:,} names"
                raise ValueError(f"{said}; is a value used as a name?")
    if not names:
        raise ValueError("its objects have no names" if found else "it has no rows")
    return list(names)


def json_frames(blocks: Iterable[bytes], names: list[str]) -> Iterator[pl.DataFrame]:
    """Yield frames with these columns; raises ValueError as `json_names` does."""
    rows: list[dict[str, Any]] = []
    most = max(1, MOST_CELLS // len(names))
    for number, line in _lines(blocks):
        rows.append(_row(line, number))
        if len(rows) == most:
            yield _frame(rows, names)
            rows = []
    if rows:
        yield _frame(rows, names)


def _lines(blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers."""
    rest, first = b"", 1
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if len(rest) > LONGEST:
            raise ValueError(f"line {first + len(lines)} is longer than {LONGEST:,} bytes")
        yield from ((number, line) for number, line in enumerate(lines, start=first) if line.strip())
        first += len(lines)
    if rest.strip():
        yield first, rest


def _row(line: bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line) if _LONG.search(line) else orjson.loads(line)  # orjson rounds what has 20 digits
    except (ValueError, RecursionError):
        row = _pythons(line, number)
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is not a JSON object")
    return row


def _pythons(line: bytes, number: int) -> Any:
    """Read what is no JSON and yet is what Python writes: NaN and Infinity."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise ValueError(f"line {number} is not JSON ({reason})") from error


def _frame(rows: list[dict[str, Any]], names: Iterable[str]) -> pl.DataFrame:
    try:
        return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])
    except UnicodeEncodeError as error:
        raise ValueError("a text in it has half a character (a lone surrogate)") from error


def _column(name: str, values: list[Any]) -> pl.Series:
    """Return the values; as text where they are of several types, nested ones as JSON."""
    if not any(isinstance(value, dict | list) for value in values):
        try:
            return pl.Series(name, values, strict=True)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            pass  # several types
    try:
        text = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        return pl.Series(name, text, dtype=pl.String)
    except RecursionError as error:
        raise ValueError(f"{name[:80]} is nested too deeply") from error
