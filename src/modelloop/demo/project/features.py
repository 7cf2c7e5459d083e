"""From raw tables to the rows a model is asked with. Training and the callers of the endpoint use this same code.

Everything is known two hours before the scheduled departure: the schedule, the aircraft, the weather (the
observation of the scheduled hour stands in for a forecast), and what the same airport and carrier went through until
then.
"""

from datetime import timedelta

import polars as pl

from modelloop.prepare.pointintime import Aggregate, Past
from modelloop.prepare.recipe import Recipe, as_of, derive, join, window_aggregates

LATE_MINUTES = 15
"""A flight is late if it arrives more than this after schedule."""

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
RESULTS = ["dep_delay", "arr_delay", "left_at", "landed_at", "late"]
"""Columns of a flight that nobody knows when the model is asked."""


def _past(*by: str, hours: int) -> Past:
    return Past(at="hour", known_at="left_at", by=by, since=timedelta(hours=hours), until=timedelta(hours=2))


RECIPE = Recipe(
    "schedule",
    [
        window_aggregates(
            "departures",
            _past("origin", hours=4),
            {"airport_delay": Aggregate("mean", "dep_delay"), "airport_flights": Aggregate("count")},
        ),
        window_aggregates(
            "departures",
            _past("origin", "carrier", hours=6),
            {"carrier_delay": Aggregate("mean", "dep_delay"), "carrier_flights": Aggregate("count")},
        ),
        # an hour without an observation (or with one that was set aside) takes the last of the three hours before it
        as_of("weather", Past(at="hour", known_at="hour", by=("origin",), since=timedelta(hours=3)), WEATHER),
        join("planes", on=["tailnum"], cardinality="many_to_one"),
        derive("plane_age", "extract(year from departs) - built"),
    ],
)
"""What is known about a departure two hours before it. `RECIPE.explain()` says it in words."""


def build(flights: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame) -> pl.DataFrame:
    """Return one row a flight: what is known two hours before, and `late` (null: cancelled, or not known yet)."""
    tables = {
        "schedule": schedule(flights),
        "departures": departures(flights),
        "weather": weather,
        "planes": planes,
    }
    return known(**tables)


def known(**tables: pl.DataFrame) -> pl.DataFrame:
    """Go through the recipe."""
    return RECIPE(tables).collect()


def schedule(flights: pl.DataFrame) -> pl.DataFrame:
    """Return the rows as they were planned, each with what became of it."""
    return flights.with_columns(
        pl.col("departs").dt.truncate("1h").alias("hour"),
        ((pl.col("arr_minute") - pl.col("dep_minute")) % 1440).alias("block"),
        (pl.col("arr_delay") > LATE_MINUTES).cast(pl.Float64).alias("late"),
    )


def departures(flights: pl.DataFrame) -> pl.DataFrame:
    """Return the flights that really left: facts that become known at `left_at`."""
    return flights.filter(pl.col("left_at").is_not_null()).select("origin", "carrier", "left_at", "dep_delay")
