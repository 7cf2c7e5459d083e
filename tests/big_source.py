"""Makes sources that are large, and ingests one in a process of its own: `python big_source.py FOLDER FORMAT MODE`.

It prints the peak of its memory, in all and beyond what it held before, as JSON.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from modelloop.data import actions
from modelloop.data.settings import (
    AnomalySettings,
    ColumnSettings,
    ColumnType,
    ContractSettings,
    Format,
    Mode,
    Severity,
    SourceSettings,
)
from modelloop.testing.fakes import make_context

PIECE = 200_000
"""Rows made at once."""
COLUMNS = {
    "id": ColumnSettings(ColumnType.INTEGER, min=0),
    "at": ColumnSettings(ColumnType.TIME),
    "city": ColumnSettings(ColumnType.STRING, pattern="city [0-9]+"),
    "note": ColumnSettings(ColumnType.STRING, nullable=True, max_length=60),
    **{f"x{n}": ColumnSettings(ColumnType.FLOAT, max=100) for n in range(6)},
    **{f"n{n}": ColumnSettings(ColumnType.INTEGER, min=0) for n in range(4)},
}
CONTRACT = ContractSettings(
    COLUMNS, key=("id",), on_violation=Severity.QUARANTINE, max_quarantined=0.1, anomalies=AnomalySettings()
)


def piece(number: int) -> pl.DataFrame:
    """Return some rows; one in a thousand is bad."""
    random = np.random.default_rng(number)
    ids = np.arange(number * PIECE, (number + 1) * PIECE)
    frame = pl.DataFrame(
        {
            "id": ids,
            "at": ids * 1_000_000,
            "city": random.integers(0, 500, PIECE),
            "note": random.integers(0, 10**15, PIECE),
            **{f"x{n}": random.normal(size=PIECE).round(6) for n in range(6)},
            **{f"n{n}": random.integers(0, 10 ** (n + 2), PIECE) for n in range(4)},
        }
    )
    return frame.with_columns(
        pl.col("at").cast(pl.Datetime("us", "UTC")),
        pl.format("city {}", "city"),
        pl.format("note number {}", "note"),
        x0=pl.when(pl.col("id") % 1000 == 7).then(1000.0).otherwise(pl.col("x0")),
    )


def make(place: Path, form: Format, size: int) -> int:
    """Write a file of at least `size` bytes; return its rows."""
    rows = 0
    if form is Format.CSV:
        with place.open("wb") as file:
            while file.tell() < size:
                piece(rows // PIECE).write_csv(file, include_header=not rows, datetime_format="%Y-%m-%dT%H:%M:%SZ")
                rows += PIECE
        return rows
    pieces = place.with_suffix(".pieces")
    pieces.mkdir()
    made = 0
    while made < size:
        one = pieces / f"{rows // PIECE:06}.parquet"
        piece(rows // PIECE).write_parquet(one)
        made += one.stat().st_size
        rows += PIECE
    pl.scan_parquet(sorted(pieces.iterdir())).sink_parquet(place, row_group_size=PIECE)
    shutil.rmtree(pieces)
    return rows


def memory(word: str) -> int:
    """Return what the kernel says of this process, in bytes."""
    found = re.search(rf"{word}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def main() -> None:
    """Ingest what is in FOLDER/in."""
    folder, form, mode = Path(sys.argv[1]), Format(sys.argv[2]), Mode(sys.argv[3])
    ctx = make_context(folder)
    asked = SourceSettings(path="in", dataset="rows", contract="rows", format=form, mode=mode)
    before, began, cpu = memory("VmRSS"), time.monotonic(), time.process_time()
    done = actions.ingest(ctx, "feed", asked, CONTRACT, root=folder)
    assert done is not None
    told = {
        "peak": memory("VmHWM"),
        "before": before,
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
        "accepted": done.report.accepted,
        "quarantined": done.report.quarantined,
        "kept": sum(path.stat().st_size for path in (ctx.home / "blobs").rglob("*") if path.is_file()),
    }
    ctx.db.close()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
