"""Where the bytes of parts are, cells as Parquet, and deletion vectors."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Cell, Part

if TYPE_CHECKING:
    import numpy.typing as npt

ROW_GROUP = 131_072
"""Rows of a row group: what is looked at first to learn which columns of a part changed."""
ZSTD_LEVEL = 1
"""Level 3 writes the same bytes of a mixed table (81.0 against 80.9 MB) for a sixth more CPU time."""
REQUESTS = 16
"""How many objects of a remote store are under way at once."""

Rows: TypeAlias = "npt.NDArray[np.uint32]"
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Store:
    """The bytes of cells and deletion vectors, by content. The three functions are those of Blobs; thread-safe."""

    put: Callable[[bytes], str]
    get: Callable[[str], bytes]
    path: Callable[[str], Path | None]
    """The file that holds a blob, None where the store is no folder."""

    def sources(self, cells: Sequence[Cell]) -> list[Path] | list[bytes]:
        """Return what Polars can read the cells from; those of a remote store are fetched side by side."""
        digests = [cell.digest for cell in cells]
        paths = [path for digest in digests if (path := self.path(digest)) is not None]
        if len(paths) < len(cells):
            return at_once(self.get, digests, REQUESTS)
        for path, digest in zip(paths, digests, strict=True):
            if not path.exists():
                self.get(digest)  # says what is missing
        return paths

    @property
    def writers(self) -> int | None:
        """Return how many cells to write at once: a remote store answers late, a folder is as fast as the cores."""
        return None if self.path("0" * 64) is not None else REQUESTS

    def write(self, frame: pl.DataFrame, content: str = "") -> Cell:
        """Keep the frame as a cell."""
        return Cell(tuple(frame.columns), self.put(encode(frame, pruned=not content)), content)

    def deleted(self, part: Part) -> Rows:
        """Return which rows of the part do not count, ascending."""
        if part.deleted is None:
            return np.empty(0, np.uint32)
        return np.frombuffer(self.get(part.deleted), "<u4").astype(np.uint32, copy=False)

    def without(self, part: Part, rows: Rows) -> Part:
        """Return the part without the rows, which are row numbers in its cells; rows may be deleted already."""
        if not len(rows):
            return part
        gone = np.union1d(self.deleted(part), rows.astype(np.uint32, copy=False))
        return self.deleting(part, gone)

    def deleting(self, part: Part, gone: Rows) -> Part:
        """Return the part with just these rows deleted."""
        if not len(gone):
            return replace(part, deleted=None, gone=0)
        return replace(part, deleted=self.put(gone.astype("<u4").tobytes()), gone=len(gone))


def encode(frame: pl.DataFrame, *, pruned: bool = True) -> bytes:
    """Return the frame as Parquet, always the same bytes; `pruned`: with statistics, to skip row groups by."""
    buffer = io.BytesIO()
    frame.write_parquet(
        buffer, compression="zstd", compression_level=ZSTD_LEVEL, row_group_size=ROW_GROUP, statistics=pruned
    )
    return buffer.getvalue()


def at_once(work: Callable[[A], B], items: Iterable[A], threads: int | None = None) -> list[B]:
    """Return `work` of each item, done by a few threads; Polars, hashing and stores let each other run."""
    listed = list(items)
    if len(listed) < 2:
        return [work(one) for one in listed]
    with ThreadPoolExecutor(min(threads or os.cpu_count() or 1, len(listed))) as pool:
        return list(pool.map(work, listed))
