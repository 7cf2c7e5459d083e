"""The rows of another dataset: a version is an item, known by its digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...ground.core.errors import DataRefused
from ...ground.core.later import polars as pl
from ..formats.parse import BATCH_ROWS
from ..records import Taken
from ..settings import Mode
from ..sources.query import from_json, to_json
from .items import Asked, Item, Reading, Rows


def read_dataset(asked: Asked, dataset_rows: Rows) -> Reading:
    """Return the version's rows as one item; none if it is known, or if nothing is beyond the cursor."""
    source = asked.source
    of = source.of or ""
    digest, rows = dataset_rows(of)
    if source.cursor is None:
        taken = Taken(_named(of, digest, source.mode), digest, 0, 0)
        return Reading([] if asked.knows(taken) else [Item(taken.name, taken, _batches(rows))])
    rows, cursor = _new(asked, rows)
    if cursor == asked.cursor:
        return Reading([], asked.cursor)
    taken = Taken(_named(of, digest, source.mode), digest, 0, 0)
    return Reading([Item(taken.name, taken, _batches(rows))], cursor)


def _named(of: str, digest: str, mode: Mode) -> str:
    return f"{of}@{digest[:8]}" if mode is Mode.APPEND else of


def _new(asked: Asked, rows: pl.LazyFrame) -> tuple[pl.LazyFrame, object]:
    """Return the rows beyond the cursor, and where it is after them."""
    name = asked.source.cursor or ""
    if name not in rows.collect_schema():
        raise DataRefused(
            f"The source {asked.name!r} has the cursor {name!r}, which is no column of {asked.source.of}."
        )
    last = from_json(asked.cursor)
    beyond = rows if last is None else rows.filter(pl.col(name) > last)
    try:
        found = beyond.select(pl.col(name).max().alias("last"), pl.col(name).null_count().alias("missing")).collect()
    except pl.exceptions.PolarsError as error:
        said = f"cannot compare its cursor {name!r} with {last!r}, where it stood"
        raise DataRefused(f"The source {asked.name!r} {said}.", hint="Did the column change its type?") from error
    newest, missing = found.row(0)
    if missing:
        raise DataRefused(
            f"{missing} rows of {asked.source.of} have no value in {name!r}, the cursor of the source {asked.name!r}.",
            hint="They would be taken in once and never again; choose a column that has a value in every row.",
        )
    return beyond, asked.cursor if newest is None else to_json(newest, name)


def _batches(rows: pl.LazyFrame) -> Callable[[], Iterator[pl.DataFrame]]:
    def frames() -> Iterator[pl.DataFrame]:
        empty = True
        for frame in rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True):
            empty = False
            yield frame
        if empty:
            yield pl.DataFrame(schema=rows.collect_schema())

    return frames
