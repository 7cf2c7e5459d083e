"""Take rows out for good: their bytes, too, of rows that do not count any more."""

from __future__ import annotations

from collections.abc import Sequence

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Cell, Part, Schema
from .contents import content_of
from .scanning import ROW
from .shapes import dtypes
from .store import Rows, Store, at_once


def remove(parts: Sequence[Part], schema: Schema, store: Store, where: pl.Expr) -> tuple[tuple[Part, ...], int]:
    """Return parts without the rows for which `where` is true, and how many rows of cells that were.

    Cells with such a row are written anew, all of their columns; deletion vectors follow. A column that a part lacks is
    null there. Equal parts give equal ones: what versions shared, they share again. The caller removes the old blobs.
    """
    done = [_erased(part, schema, store, where) for part in parts]
    return tuple(part for part, _ in done if part is not None), sum(count for _, count in done)


def _erased(part: Part, schema: Schema, store: Store, where: pl.Expr) -> tuple[Part | None, int]:
    gone = _found(part, schema, store, where)
    if not len(gone):
        return part, 0
    stay = np.ones(part.rows, bool)
    stay[gone] = False
    rows = part.rows - len(gone)
    if rows == 0:
        return None, len(gone)
    cells = at_once(lambda cell: _without(cell, pl.Series(stay), store), part.cells, store.writers)
    numbers = np.cumsum(stay) - 1
    deleted = store.deleted(part)
    left = numbers[deleted[stay[deleted]]].astype(np.uint32)
    return store.deleting(Part(rows, part.schema, tuple(cells)), left), len(gone)


def _found(part: Part, schema: Schema, store: Store, where: pl.Expr) -> Rows:
    """Return which rows of the cells are meant, deleted or not; in columns, too, that no version shows any more."""
    types = dtypes(schema)
    written = [name for cell in part.cells for name in cell.columns]
    asked = [*types, *written] if where.meta.has_multiple_outputs() else where.meta.root_names()
    frames = [pl.LazyFrame({ROW: pl.int_range(part.rows, dtype=pl.UInt32, eager=True)})]
    frames.extend(
        pl.scan_parquet(store.sources([cell]), glob=False).select(names)
        for cell in part.cells
        if (names := [name for name in cell.columns if name in asked])
    )
    rows = pl.concat(frames, how="horizontal").with_columns(
        *(pl.col(name).cast(types[name], strict=False) for name in asked if name in types and name in written),
        *(pl.lit(None, types.get(name)).alias(name) for name in dict.fromkeys(asked) if name not in written),
    )
    return rows.filter(where).select(ROW).collect().to_series().to_numpy()


def _without(cell: Cell, stay: pl.Series, store: Store) -> Cell:
    frame = pl.read_parquet(store.sources([cell])).filter(stay).rechunk()
    return store.write(frame, content_of(frame.get_columns()) if cell.content else "")
