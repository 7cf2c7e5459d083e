"""From bytes to a raw frame, so tolerantly that one bad value is one bad value. Pure.

CSV comes as text throughout; the contract makes types of it later. JSON lines keep a column's type where all its values
have the same, else they become text.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from typing import Any

import polars as pl

from ..ground.core.errors import DataRefused
from .settings import Format


def parse(data: bytes, form: Format, name: str) -> pl.DataFrame:
    """Return the file's rows; raises DataRefused with the file's name and the reason if it cannot be read."""
    try:
        if form is Format.PARQUET:
            return pl.read_parquet(io.BytesIO(data))
        if form is Format.CSV:
            _check_text(data)
            return pl.read_csv(io.BytesIO(data), infer_schema=False)
        return _json_lines(data)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OSError) as error:
        told = str(error).strip()
        reason = told.splitlines()[0] if told else type(error).__name__
        if form is Format.CSV and isinstance(error, pl.exceptions.PolarsError):
            reason = _ragged(data) or reason
        raise DataRefused(
            f"{name} cannot be read as {form} ({len(data)} bytes): {reason.rstrip('.')}.",
            hint="It may be cut off, still being written, or of another format. Move files in when they are complete.",
        ) from error


def _check_text(data: bytes) -> None:
    """Raise ValueError, with the line, unless it is UTF-8: what else it may be would have to be guessed."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it is UTF-16; expected UTF-8")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} has the byte 0x{data[error.start]:02x}, which is not UTF-8") from error


def _ragged(data: bytes) -> str:
    """Say which line has more fields than the header, if that is what is wrong."""
    lines = csv.reader(io.StringIO(data.decode("utf-8-sig", "replace"), newline=""))
    try:
        header = next(lines, [])
        for fields in lines:
            if len(fields) > len(header):
                return f"line {lines.line_num} has {len(fields)} fields, the header has {len(header)}"
    except csv.Error as error:
        return f"line {lines.line_num}: {error}"
    return ""


def _json_lines(data: bytes) -> pl.DataFrame:
    rows: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not a JSON object")
        rows.append(row)
        names.update(dict.fromkeys(row))
    if not rows:
        raise ValueError("it has no rows")
    return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])


def _column(name: str, values: list[Any]) -> pl.Series:
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        text = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        return pl.Series(name, text, dtype=pl.String)
