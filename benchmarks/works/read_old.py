"""Read all of an old version beside a plain Parquet file of the same rows: the slowest of three ways it is kept."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import polars as pl

from modelloop.data.records import Part
from modelloop.data.versions.layout import append, replace, scan, upsert

from ..commits import CHANGED, Tables, folder_store, tables
from ..measure import Measured, Work, paired, versions


def _run() -> Measured:
    given = tables()
    notes: dict[str, float | str] = {}
    worst = (0.0, 1.0)
    with tempfile.TemporaryDirectory() as name:
        store = folder_store(Path(name))
        for what, parts in _old(given, Path(name)).items():
            plain = Path(name) / f"{what}.parquet"
            scan(parts, given.schema, store).collect().write_parquet(plain)
            lazy = scan(parts, given.schema, store)
            ours, reference = paired(lambda lazy=lazy: _cpu(lazy), lambda at=plain: _cpu(pl.scan_parquet(at)), 7)
            notes[what] = round(ours / reference, 3)
            worst = max(worst, (ours, reference), key=lambda pair: pair[0] / pair[1])
    return Measured(*worst, "CPU s", notes)


def _old(given: Tables, folder: Path) -> dict[str, tuple[Part, ...]]:
    """Return old versions, newer ones written behind them."""
    store = folder_store(folder)
    appended = append((), given.old, given.schema, store)
    merged = [appended]
    for number in range(8):
        some = given.old.slice(number * 3 * CHANGED, CHANGED).with_columns(f0=pl.lit(float(number)))
        merged.append(upsert(merged[-1], some, given.schema, ("id",), store)[0])
    files = replace((), given.old, given.schema, (), store)
    replace(files, given.new, given.schema, (), store)
    return {"one part": merged[0], "after five merges of 1 %": merged[5], "column blocks": files}


def _cpu(frame: pl.LazyFrame) -> float:
    before = time.process_time()
    frame.collect()
    return time.process_time() - before


WORK = Work("read an old version, all columns", f"plain Parquet of the same rows ({versions('polars')})", 1.5, _run)
