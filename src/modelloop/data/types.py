"""The Polars type of each word for a type. Pure; Polars itself is loaded when one is asked for."""

from __future__ import annotations

from functools import cache

from ..ground.core.later import polars as pl
from .settings import ColumnType


@cache
def type_of(kind: ColumnType) -> pl.DataType:
    """Return the Polars type of a column."""
    found: dict[ColumnType, pl.DataType] = {
        ColumnType.BINARY: pl.String(),  # the hash under which the bytes are kept
        ColumnType.STRING: pl.String(),
        ColumnType.INTEGER: pl.Int64(),
        ColumnType.FLOAT: pl.Float64(),
        ColumnType.BOOLEAN: pl.Boolean(),
        ColumnType.TIME: pl.Datetime("us", "UTC"),
        ColumnType.DATE: pl.Date(),
    }
    return found[kind]
