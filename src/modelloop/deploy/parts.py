"""Parquet parts of the inputs that were answered: what drift is measured on. Pure."""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl
from .collect import moment

OWN = ("_id", "_row", "_event_time", "_version", "_score")
"""Columns of a part beside the inputs."""
SHAPE = "_shape_"
_DTYPES: Mapping[str, str] = {
    "BOOL": "?",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    **{f"{word}INT{8 * size}": f"<{letter}{size}" for word, letter in (("", "i"), ("U", "u")) for size in (1, 2, 4, 8)},
}


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
    series = [pl.Series(name, values, strict=False) for name, values in columns.items()]
    return pl.DataFrame(series + _tensors(records))


def _tensors(records: Sequence[Mapping[str, Any]]) -> list[pl.Series]:
    """Return two columns a tensor: each row's values in order, and the sizes behind the first (`_shape_NAME`)."""
    names = list(dict.fromkeys(name for record in records for name in record.get("t") or {}))
    found = []
    for name in names:
        values: list[Any] = []
        sizes: list[Any] = []
        for record in records:
            count = len(record["s"])
            rows, size = _rows((record.get("t") or {}).get(name), count)
            values += rows
            sizes += [size] * count
        found += [_lists(name, values), pl.Series(SHAPE + name, sizes, dtype=pl.List(pl.Int64))]
    return found


def _lists(name: str, values: Sequence[Any]) -> pl.Series:
    """Return rows of values as a column of lists; versions that take other numbers under one name share FP64."""
    kinds = {getattr(one, "dtype", None) for one in values if one is not None}
    if len(kinds) > 1:
        alike = str if None in kinds else np.float64
        values = [None if one is None else [alike(x) for x in one] for one in values]
    rows = [None if one is None else pl.Series(one, dtype=None if len(one) else pl.Null) for one in values]
    return pl.Series(name, rows, strict=False)


def _rows(tensor: Sequence[Any] | None, count: int) -> tuple[list[Any], list[int] | None]:
    """Return the rows of a logged tensor (datatype, shape, raw bytes or values); nothing where it does not fit."""
    if tensor is None:
        return [None] * count, None
    datatype, shape, given = tensor
    size = [int(one) for one in shape[1:]]
    width = math.prod(size)
    try:
        if isinstance(given, bytes | bytearray | memoryview):
            flat = np.frombuffer(given, dtype=_DTYPES[datatype])
            flat = flat.astype(np.float32) if datatype == "FP16" else flat
            return list(flat.reshape(count, width)), size
        texts = [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in given]
    except (KeyError, ValueError):
        return [None] * count, None
    if len(texts) != count * width:
        return [None] * count, None
    return [texts[at : at + width] for at in range(0, len(texts), width)] if width else [[]] * count, size


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


def without(data: bytes, rows: Collection[tuple[str, int]]) -> bytes | None:
    """Return a part without some rows (id, row); None where it has none of them."""
    frame = pl.read_parquet(io.BytesIO(data))
    gone = pl.Series([one in rows for one in zip(frame["_id"], frame["_row"], strict=True)], dtype=pl.Boolean)
    return to_parquet(frame.filter(~gone)) if gone.any() else None
