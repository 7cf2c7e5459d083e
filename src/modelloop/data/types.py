"""The Polars type of each word for a type. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..ground.core.later import polars as pl
from .settings import ColumnType

TYPES: Mapping[ColumnType, pl.DataType] = {
    ColumnType.BINARY: pl.String(),  # the hash under which the bytes are kept
    ColumnType.STRING: pl.String(),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.FLOAT: pl.Float64(),
    ColumnType.BOOLEAN: pl.Boolean(),
    ColumnType.TIME: pl.Datetime("us", "UTC"),
    ColumnType.DATE: pl.Date(),
}
