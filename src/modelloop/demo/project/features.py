"""From raw tables to the rows a model is asked with. Training and the callers of the endpoint use this same code.

Everything is known two hours before the scheduled departure: the schedule, the aircraft, the weather (the
observation of the scheduled hour stands in for a forecast), and what the same airport and carrier went through until
then.
"""

from datetime import timedelta

import polars as pl

from modelloop.prepare.pointintime import Past, window_count, window_mean

LATE_MINUTES = 15
"""A flight is late if it arrives more than this after schedule."""

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def build(flights: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame) -> pl.DataFrame:
    """Return one row a flight: what is known two hours before, and `late` (null: cancelled, or not known yet)."""
    rows = _schedule(flights)
    rows = rows.join(planes.select("tailnum", "built", "seats", "engines"), on="tailnum", how="left")
    rows = rows.with_columns((pl.col("departs").dt.year() - pl.col("built")).cast(pl.Float64).alias("plane_age"))
    rows = rows.join(weather.select("origin", "hour", *WEATHER), on=["origin", "hour"], how="left")
    return recent(rows, departures(flights))


def departures(flights: pl.DataFrame) -> pl.DataFrame:
    """Return the flights that really left: facts that become known at `left_at`."""
    return flights.filter(pl.col("left_at").is_not_null()).select("origin", "carrier", "left_at", "dep_delay")


def recent(rows: pl.DataFrame, left: pl.DataFrame) -> pl.DataFrame:
    """Add how late flights left: the airport's 4 to 2 hours before the scheduled hour, the carrier's 6 to 2."""
    for name, keys, hours in (("airport", ("origin",), 4), ("carrier", ("origin", "carrier"), 6)):
        past = Past(at="hour", known_at="left_at", by=keys, since=timedelta(hours=hours), until=timedelta(hours=2))
        rows = window_mean(rows, left, past, value="dep_delay", name=f"{name}_delay")
        rows = window_count(rows, left, past, name=f"{name}_flights")
    return rows


def _schedule(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.with_columns(
        pl.col("departs").dt.truncate("1h").alias("hour"),
        ((pl.col("arr_minute") - pl.col("dep_minute")) % 1440).alias("block"),
        (pl.col("arr_delay") > LATE_MINUTES).cast(pl.Float64).alias("late"),
    )
