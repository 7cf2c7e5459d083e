"""Parquet parts of the inputs that were answered: what drift is measured on. Pure."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..ground.core.later import polars as pl
from .collect import moment

OWN = ("_id", "_row", "_event_time", "_version", "_score")
"""Columns of a part beside the inputs."""


def by_endpoint(answers: Sequence[Mapping[str, Any]]) -> dict[str, pl.DataFrame]:
    """Return the inputs of the answers as one frame per endpoint."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for record in answers:
        found.setdefault(record["ep"], []).append(record)
    return {name: _part(records) for name, records in found.items()}


def _part(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    names = list(dict.fromkeys(name for record in records for name in record.get("x") or {}))
    columns: dict[str, list[Any]] = {name: [] for name in (*OWN, *names)}
    for record in records:
        count = len(record["s"])
        columns["_id"] += [record["id"]] * count
        columns["_row"] += range(count)
        columns["_event_time"] += [moment(record["et"])] * count
        columns["_version"] += [record["v"]] * count
        columns["_score"] += map(float, record["s"])
        inputs = record.get("x") or {}
        for name in names:
            columns[name] += inputs.get(name) or [None] * count
    return pl.DataFrame([pl.Series(name, values, strict=False) for name, values in columns.items()])


def to_parquet(frame: pl.DataFrame) -> bytes:
    """Return the frame as Parquet; equal frames give equal bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def join_parts(parts: Sequence[bytes], start: datetime, end: datetime) -> pl.DataFrame:
    """Return the inputs of a window; a column that a part lacks is missing there."""
    if not parts:
        return pl.DataFrame({"_version": [], "_score": []}, schema={"_version": pl.String, "_score": pl.Float64})
    whole = pl.concat([pl.read_parquet(io.BytesIO(part)) for part in parts], how="diagonal_relaxed")
    return whole.filter((pl.col("_event_time") >= start) & (pl.col("_event_time") < end))
