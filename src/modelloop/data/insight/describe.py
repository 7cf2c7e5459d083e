"""What columns look like: share of missing values, mean, lowest and highest, of one batch or of many. Pure."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...ground.core.later import polars as pl
from ..records import ColumnStats, clean
from ..settings import ColumnType

ZSTD_LEVEL = 3
_LONGEST = 200
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Summary:
    """A column of some rows; those of several batches can be put together."""

    rows: int = 0
    nulls: int = 0
    mean: float | None = None
    low: Any = None
    high: Any = None

    @property
    def values(self) -> int:
        """Return how many values there are."""
        return self.rows - self.nulls

    def with_(self, other: Summary) -> Summary:
        """Return the summary of both together."""
        lows = [one for one in (self.low, other.low) if one is not None]
        highs = [one for one in (self.high, other.high) if one is not None]
        return Summary(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self._mean(other),
            min(lows, default=None),
            max(highs, default=None),
        )

    def _mean(self, other: Summary) -> float | None:
        if self.mean is None or other.mean is None:
            return self.mean if other.mean is None else other.mean
        return self.mean + (other.mean - self.mean) * (other.values / (self.values + other.values))


def summaries(frame: pl.DataFrame, types: Mapping[str, ColumnType]) -> dict[str, Summary]:
    """Look at each column, in one query."""
    return dict(_summaries(frame, types))


def stats(types: Mapping[str, ColumnType], told: Mapping[str, Summary]) -> tuple[ColumnStats, ...]:
    """Return summaries as the report has them."""
    empty = Summary()
    return tuple(_stats(name, kind, told.get(name, empty)) for name, kind in types.items())


def to_parquet(frame: pl.DataFrame) -> bytes:
    """Return the frame as Parquet bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=ZSTD_LEVEL)
    return buffer.getvalue()


def text_of(value: object) -> str:
    """Return a value as people read it."""
    return clean(str(value)[:_LONGEST])


def _summaries(frame: pl.DataFrame, types: Mapping[str, ColumnType]) -> Iterator[tuple[str, Summary]]:
    has = set(frame.columns)
    names = [name for name in types if name in has]
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        asked = [one for at, name in enumerate(part) for one in _asked(at, name, types[name])]
        told = frame.lazy().select(asked).collect().row(0, named=True)
        for at, name in enumerate(part):
            mean = told.get(f"m{at}")
            yield name, Summary(len(frame), told[f"n{at}"], mean, told.get(f"a{at}"), told.get(f"z{at}"))


def _asked(at: int, name: str, kind: ColumnType) -> Iterator[pl.Expr]:
    value = pl.col(name)
    yield value.null_count().alias(f"n{at}")
    if kind in (ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.BOOLEAN):
        yield value.mean().alias(f"m{at}")
    if kind is not ColumnType.BINARY:
        yield value.min().alias(f"a{at}")
        yield value.max().alias(f"z{at}")


def _stats(name: str, kind: ColumnType, told: Summary) -> ColumnStats:
    mean = told.mean if told.mean is not None and math.isfinite(told.mean) else None
    return ColumnStats(name, str(kind), told.nulls / max(told.rows, 1), mean, _shown(told.low), _shown(told.high))


def _shown(value: object) -> str | None:
    return None if value is None else text_of(value)
