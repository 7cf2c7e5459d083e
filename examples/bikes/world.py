"""A stand-in for the world of the bikes project: a database that fills, callers that ask, counts that come a day later.

The rentals of Washington's bike share in 2011, hour by hour, as the package ISLP ships them; read by path.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import httpx
import polars as pl

ASKED = {"hour": "INT64", "weekday": "INT64", "workingday": "BYTES", "temp": "FP64", "humidity": "FP64", "wind": "FP64"}


def rides() -> pl.DataFrame:
    """Return the year, one row an hour, in the columns of the project's contract."""
    raw = pl.read_csv(str(distribution("islp").locate_file("ISLP/data/Bikeshare.csv")))
    start = pl.datetime(2011, 1, 1, time_zone="UTC")
    return raw.select(
        (start + pl.duration(days=pl.col("day") - 1, hours="hr")).alias("at"),
        pl.col("hr").alias("hour"),
        "weekday",
        pl.when(pl.col("workingday") == 1).then(pl.lit("yes")).otherwise(pl.lit("no")).alias("workingday"),
        "temp",
        pl.col("hum").alias("humidity"),
        pl.col("windspeed").alias("wind"),
        "bikers",
    ).sort("at")


def fill(year: pl.DataFrame, database: Path, start: datetime, end: datetime) -> None:
    """Let the bike share's own database have the rides of [start, end); each row gets the next number of a change."""
    rows = year.filter((pl.col("at") >= start) & (pl.col("at") < end))
    named = rows.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS rides (at, hour, weekday, workingday, temp, humidity, wind, bikers, change)"
        )
        (last,) = connection.execute("SELECT coalesce(max(change), 0) FROM rides").fetchone()
        numbered = ((*row, last + number) for number, row in enumerate(named.iter_rows(), 1))
        connection.executemany("INSERT INTO rides VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", numbered)


def recount(database: Path, hour: str, bikers: int) -> None:
    """Let somebody put a count right that stands in the database already."""
    statement = "UPDATE rides SET bikers = ?, change = (SELECT max(change) + 1 FROM rides) WHERE at = ?"
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.execute(statement, (bikers, hour))


def land(year: pl.DataFrame, folder: Path, start: datetime, end: datetime) -> None:
    """Let the rides of [start, end) arrive as one CSV file instead, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder.parent / ".arriving.csv"
    year.filter((pl.col("at") >= start) & (pl.col("at") < end)).write_csv(scratch, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    scratch.replace(folder / f"{start:%Y-%m-%d}.csv")


def days(year: pl.DataFrame, start: datetime, end: datetime) -> Iterator[tuple[datetime, pl.DataFrame]]:
    """Yield each day with its rows."""
    while start < end:
        yield start, year.filter((pl.col("at") >= start) & (pl.col("at") < start + timedelta(days=1)))
        start += timedelta(days=1)


def ask(gateway: str, day: datetime, rows: pl.DataFrame) -> dict[str, Any]:
    """Ask for the forecast of a day, the evening before; return the answer."""
    tensors = [
        {"name": name, "shape": [rows.height], "datatype": kind, "data": rows[name].to_list()}
        for name, kind in ASKED.items()
    ]
    body = {"inputs": tensors, "parameters": {"event_time": (day - timedelta(hours=6)).isoformat()}}
    reply = httpx.post(f"{gateway}/v2/models/demand/infer", json=body, timeout=30)
    reply.raise_for_status()
    return dict(reply.json())


def outcomes(answer: dict[str, Any], rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return what came true, for POST /api/outcomes."""
    prediction = answer["parameters"]["prediction_id"]
    return [
        {"prediction_id": prediction, "row": row, "label": count, "event_time": (at + timedelta(hours=1)).isoformat()}
        for row, (at, count) in enumerate(rows.select("at", "bikers").iter_rows())
    ]


def at(text: str) -> datetime:
    """Return midnight UTC of a day written as 2011-05-01."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
