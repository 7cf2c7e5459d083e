"""A version's rows as one lazy frame over its parts. Pure: where the bytes are is told."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from ...ground.core.later import polars as pl
from ..records import Part, QuarantinedRow, Schema
from ..settings import ColumnType
from ..types import type_of


def scan(parts: Sequence[tuple[Part, Path | bytes]], schema: Schema) -> pl.LazyFrame:
    """Return all rows with the version's columns and types; a column that an old part lacks is null there."""
    frames = [_scan(part, where, schema) for part, where in parts]
    return pl.concat(frames) if frames else pl.LazyFrame(schema={name: _type(word) for name, word in schema})


def rows_of(data: bytes, dataset: str, arrival: str, version: int | None) -> list[QuarantinedRow]:
    """Return the rows that were set aside, from their Parquet."""
    frame = pl.read_parquet(io.BytesIO(data))
    return [
        QuarantinedRow(
            dataset, arrival, version, one["file"], one["row"], tuple(one["reasons"]), json.loads(one["values"])
        )
        for one in frame.iter_rows(named=True)
    ]


def _scan(part: Part, where: Path | bytes, schema: Schema) -> pl.LazyFrame:
    frame = pl.scan_parquet(where if isinstance(where, Path) else io.BytesIO(where))
    if part.schema == schema:
        return frame.select(name for name, _ in schema)
    held = dict(part.schema)
    return frame.select(
        (pl.col(name) if name in held else pl.lit(None)).cast(_type(word)).alias(name) for name, word in schema
    )


def _type(word: str) -> pl.DataType:
    return type_of(ColumnType(word))
