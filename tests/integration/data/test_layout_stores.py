"""The layout on a real S3: the same answers, many cells at once, and the whole history again."""

from __future__ import annotations

import time

import numpy as np
import polars as pl

from modelloop.data.records import Schema
from modelloop.data.versions.layout import Store, append, remove, replace, rows_changed, scan, upsert
from modelloop.ground.store.blobs import Blobs

COLUMNS = 125
SCHEMA: Schema = (("k", "integer"), *((f"x{number}", "float") for number in range(COLUMNS - 1)))


def table(rows: int) -> pl.DataFrame:
    keys = np.arange(rows)
    return pl.DataFrame({"k": keys} | {f"x{number}": keys * (number + 0.5) for number in range(COLUMNS - 1)})


def test_a_history_in_a_bucket(s3_url: str) -> None:
    blobs = Blobs(s3_url)
    store = Store(blobs.put, blobs.get, blobs.path)
    rows = table(5_000)
    first = append((), rows, SCHEMA, store)
    changed = rows[::50].with_columns(x3=pl.lit(-1.0))
    second, counts = upsert(first, changed, SCHEMA, ("k",), store)
    third = append(second, rows.with_columns(pl.col("k") + 5_000), SCHEMA, store)
    fourth, count = remove(third, SCHEMA, store, pl.col("k") == 100)
    assert (counts.changed, count) == (100, 2)
    assert scan(first, SCHEMA, store).collect().equals(rows)
    expected = rows.with_columns(x3=pl.when(pl.col("k") % 50 == 0).then(-1.0).otherwise("x3"))
    assert scan(second, SCHEMA, store).sort("k").collect().equals(expected)
    assert scan(fourth, SCHEMA, store).select(pl.len()).collect().item() == 9_999
    found = rows_changed(first, fourth, SCHEMA, ("k",), store).collect()
    assert dict(found.group_by("change").len().iter_rows()) == {"changed": 99, "added": 5_000, "removed": 1}


def test_a_thousand_cells_are_written_and_read_side_by_side(s3_url: str) -> None:
    blobs = Blobs(s3_url)
    store = Store(blobs.put, blobs.get, blobs.path)
    rows = table(60_000)
    parts = replace((), rows, SCHEMA, (), store)
    assert sum(len(part.cells) for part in parts) >= 500
    assert scan(parts, SCHEMA, store).collect().equals(rows)
    begun = time.monotonic()
    two = scan(parts, SCHEMA, store).select("x1", "x100").collect()
    assert time.monotonic() - begun < 5
    assert two.equals(rows.select("x1", "x100"))
    again = replace(parts, rows.with_columns(x7=pl.lit(1.0)), SCHEMA, (), store)
    before = {cell.digest for part in parts for cell in part.cells}
    assert len({cell.digest for part in again for cell in part.cells} - before) <= len(parts)
