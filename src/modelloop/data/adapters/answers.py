"""The rows that a database answered, kept as Parquet until they are taken in: in memory while they are few."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...ground.core.later import polars as pl
from ..formats.parse import BATCH_ROWS, cut
from .copies import IN_MEMORY, Folder

_FULL = 2**27
"""Bytes of a batch."""


class Answer:
    """Rows as they were answered; their hash is that of the values."""

    def __init__(self, frames: Iterable[pl.DataFrame], cursor: str | None) -> None:
        self.rows = 0
        self.last: Any = None
        self.missing = 0
        """Rows without a value in the cursor."""
        self._digest, self._size = hashlib.sha256(), 0
        self._parts: list[bytes | Path] = []
        self._folder: Folder | None = None
        for frame in _gathered(frames):
            self._keep(frame)
            if cursor is not None and len(frame):
                self.missing += frame.get_column(cursor).null_count()
                self.last = frame.get_column(cursor)[-1]

    @property
    def content(self) -> str:
        """The hash of the rows, in their order."""
        return self._digest.hexdigest()

    @property
    def size(self) -> int:
        """Bytes that they take."""
        return self._size

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows."""
        for part in self._parts:
            yield pl.read_parquet(io.BytesIO(part) if isinstance(part, bytes) else part)

    def _keep(self, frame: pl.DataFrame) -> None:
        buffer = io.BytesIO()
        frame.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
        data = buffer.getvalue()
        self.rows += len(frame)
        self._digest.update(data)
        self._size += len(data)
        if self._size <= IN_MEMORY:
            self._parts.append(data)
            return
        self._folder = self._folder or Folder()
        path = self._folder.path / f"{len(self._parts):06}.parquet"
        path.write_bytes(data)
        self._parts.append(path)


def _gathered(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Put what drivers hand out in small pieces together to batches."""
    waiting: list[pl.DataFrame] = []
    rows = size = 0
    for frame in frames:
        if waiting and waiting[0].schema != frame.schema:
            yield from cut(pl.concat(waiting))
            waiting, rows, size = [], 0, 0
        if len(frame) or not waiting:
            waiting.append(frame)
            rows += len(frame)
            size += int(frame.estimated_size())
        if rows >= BATCH_ROWS or size >= _FULL:
            yield from cut(pl.concat(waiting))
            waiting, rows, size = [], 0, 0
    if waiting:
        yield from cut(pl.concat(waiting))
