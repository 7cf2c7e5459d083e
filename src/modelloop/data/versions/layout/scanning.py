"""Read parts lazily: just the cells whose columns are asked for, without the rows that are deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...records import Part, Schema
from .shapes import dtypes, shaped
from .store import Rows, Store

if TYPE_CHECKING:
    import numpy.typing as npt

ROW = "\x00row"
"""Number of a row in the cells of its part."""
WINDOW = 524_288
"""About so many rows of parts with several cells are in memory at once."""
_LIVE = "\x00live"


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A part, or of it just the rows `only`, be they deleted or not."""

    part: Part
    only: Rows | None = None

    @property
    def height(self) -> int:
        """Return how many rows it has."""
        return self.part.live if self.only is None else len(self.only)

    @property
    def whole(self) -> bool:
        """Say whether every row of the cells is in it."""
        return self.only is None and self.part.deleted is None


def scan(parts: Sequence[Part], schema: Schema, store: Store) -> pl.LazyFrame:
    """Return all rows that count, in order, with the schema's columns and types; a column that an old part lacks is
    null there. A part of one cell is a plain Parquet scan; of others Polars says which columns it wants, and only their
    cells are read."""
    return scan_pieces([Piece(part) for part in parts], schema, store)


def scan_pieces(pieces: Sequence[Piece], schema: Schema, store: Store) -> pl.LazyFrame:
    """Return the rows of the pieces, in order."""
    frames: list[pl.LazyFrame] = []
    held = [one for one in pieces if one.height]
    for plain, group in groupby(held, key=lambda one: _is_plain(one.part, store)):
        run = list(group)
        if plain:
            frames.extend(_plain(list(alike), schema, store) for _, alike in groupby(run, key=_alike))
        else:
            frames.append(
                pl.io.plugins.register_io_source(_Source(run, schema, store), schema=dtypes(schema), is_pure=True)
            )
    if not frames:
        return pl.LazyFrame(schema=dtypes(schema))
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def physical(part: Part, names: Sequence[str], schema: Schema, store: Store) -> pl.LazyFrame:
    """Return the named columns of all rows in the cells, deleted ones too, with their numbers as ROW."""
    wanted = {name: word for name, word in schema if name in names}
    if _is_plain(part, store):
        frame = pl.scan_parquet(store.sources([part.cells[0]]), row_index_name=ROW, glob=False)
    else:
        base = pl.LazyFrame({ROW: pl.int_range(part.rows, dtype=pl.UInt32, eager=True)})
        frame = _side_by_side([part], wanted, store, base)
    return shaped(frame, part.schema, wanted, keep=(ROW,))


def live(frame: pl.LazyFrame, part: Part, store: Store) -> pl.LazyFrame:
    """Return those rows of `physical` that count."""
    return frame.filter(~among(store.deleted(part))) if part.deleted else frame


def among(rows: Rows) -> pl.Expr:
    """Return the condition that a row of `physical` is one of these."""
    return pl.col(ROW).is_in(pl.Series(rows, dtype=pl.UInt32).implode())


def _is_plain(part: Part, store: Store) -> bool:
    return len(part.cells) == 1 and store.path(part.cells[0].digest) is not None


def _alike(piece: Piece) -> object:
    return (piece.part.cells[0].columns, piece.part.schema) if piece.whole else id(piece)


def _plain(pieces: Sequence[Piece], schema: Schema, store: Store) -> pl.LazyFrame:
    """Scan files as Polars does on its own: whole ones of equal columns, or a single one."""
    first = pieces[0]
    if first.whole:
        frame = pl.scan_parquet(store.sources([one.part.cells[0] for one in pieces]), glob=False)
        if first.part.schema == schema and first.part.cells[0].columns == tuple(name for name, _ in schema):
            return frame
    else:
        frame = pl.scan_parquet(store.sources([first.part.cells[0]]), row_index_name=ROW, glob=False)
        frame = live(frame, first.part, store) if first.only is None else frame.filter(among(first.only))
    return shaped(frame, first.part.schema, dict(schema))


class _Source:
    """Rows of parts with several cells, or in a remote store. Called by Polars, with what it wants of them."""

    def __init__(self, pieces: Sequence[Piece], schema: Schema, store: Store) -> None:
        self._pieces = pieces
        self._schema = dict(schema)
        self._store = store

    def __call__(
        self, columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _batch: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = {name: self._schema[name] for name in (self._schema if columns is None else columns)}
        left = rows
        for window in _windows(self._pieces if rows is None else _first(self._pieces, rows)):
            frame = _window(window, wanted, self._store)
            if left is not None:
                frame = frame.head(left)
                left -= min(left, sum(one.height for one in window))
            yield (frame if predicate is None else frame.filter(predicate)).collect()
            if left == 0:
                return


def _first(pieces: Sequence[Piece], rows: int) -> list[Piece]:
    """Return the pieces that the first so many rows are in."""
    before = accumulate((one.height for one in pieces), initial=0)
    return [one for one, start in zip(pieces, before, strict=False) if start < rows]


def _windows(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Group neighbours of one layout: column by column over several parts is read faster than part by part."""
    window: list[Piece] = []
    for piece in pieces:
        full = sum(one.part.rows for one in window) + piece.part.rows > WINDOW
        if window and (full or _layout(piece.part) != _layout(window[0].part)):
            yield window
            window = []
        window.append(piece)
    if window:
        yield window


def _layout(part: Part) -> object:
    return part.schema, tuple(cell.columns for cell in part.cells)


def _window(pieces: Sequence[Piece], wanted: Mapping[str, str], store: Store) -> pl.LazyFrame:
    parts = [one.part for one in pieces]
    held = dict(parts[0].schema)
    if all(one.whole for one in pieces) and any(name in held for name in wanted):
        frame = _side_by_side(parts, wanted, store)
    else:
        mask = pl.Series(_LIVE, np.concatenate([_mask(one, store) for one in pieces]))
        frame = _side_by_side(parts, wanted, store, mask.to_frame().lazy()).filter(_LIVE)
    return shaped(frame, held.items(), wanted)


def _mask(piece: Piece, store: Store) -> npt.NDArray[np.bool_]:
    rows = store.deleted(piece.part) if piece.only is None else piece.only
    mask = np.full(piece.part.rows, piece.only is None)
    mask[rows] = piece.only is not None
    return mask


def _side_by_side(
    parts: Sequence[Part], wanted: Mapping[str, str], store: Store, base: pl.LazyFrame | None = None
) -> pl.LazyFrame:
    """Return the wanted columns, of just the cells that hold them, of parts with one layout; `base` in front."""
    held = dict(parts[0].schema)
    frames = [] if base is None else [base]
    needed = [
        (number, names)
        for number, cell in enumerate(parts[0].cells)
        if (names := [name for name in cell.columns if name in wanted and name in held])
    ]
    sources = store.sources([part.cells[number] for number, _ in needed for part in parts])
    for place, (_, names) in enumerate(needed):
        mine = sources[place * len(parts) : (place + 1) * len(parts)]
        frames.append(pl.scan_parquet(mine, glob=False).select(names))
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="horizontal")
