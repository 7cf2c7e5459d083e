"""The demo's features: the recipe says what was known two hours before a departure, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from modelloop.demo import play
from modelloop.prepare.leak import prove_no_future

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
PROJECT = Path(play.__file__).parent / "project"


@pytest.fixture(scope="module")
def features() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_features_tested", PROJECT / "features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flights(*left: tuple[str, float, float | None]) -> pl.DataFrame:
    """Rows of (carrier, scheduled hours after noon, minutes late; None: cancelled), all from JFK."""
    departs = [NOON + timedelta(hours=hours) for _, hours, _ in left]
    delays = pl.Series([delay for _, _, delay in left], dtype=pl.Float64)
    table = pl.DataFrame({"departs": departs, "dep_delay": delays, "arr_delay": delays})
    minutes = pl.duration(minutes=pl.col("dep_delay"))
    return table.with_columns(
        pl.Series("carrier", [carrier for carrier, _, _ in left]),
        pl.Series("tailnum", ["N1"] * (len(left) - 1) + ["N?"]),
        pl.lit("JFK").alias("origin"),
        pl.lit(600.0).alias("dep_minute"),
        pl.lit(30.0).alias("arr_minute"),
        (pl.col("departs") + minutes).alias("left_at"),
        (pl.col("departs") + minutes + timedelta(hours=3)).alias("landed_at"),
    )


def weather(features: ModuleType, *hours: int) -> pl.DataFrame:
    """Observations at JFK so many hours after noon, each with its hour as the temperature."""
    rows = {name: [float(hour) for hour in hours] for name in features.WEATHER}
    return pl.DataFrame(
        {"origin": ["JFK"] * len(hours), "hour": [NOON + timedelta(hours=hour) for hour in hours]} | rows
    )


PLANES = pl.DataFrame({"tailnum": ["N1"], "built": [2003.0], "seats": [150.0], "engines": [2.0]})


def test_only_what_left_two_hours_before_counts(features: ModuleType) -> None:
    table = flights(("AA", -3.5, 10), ("UA", -2.5, 20), ("AA", -1.5, 90), ("AA", -3, None), ("AA", 0.5, 5))
    row = features.build(table, weather(features, 0), PLANES).row(4, named=True)
    assert (row["airport_delay"], row["airport_flights"]) == (15, 2), (
        "not the one that left 1.5 h before, nor the cancelled"
    )
    assert (row["carrier_delay"], row["carrier_flights"]) == (10, 1)
    assert (row["block"], row["late"], row["hour"]) == (870, 0, NOON)


def test_an_aircraft_that_the_register_lacks_has_no_age(features: ModuleType) -> None:
    rows = features.build(flights(("AA", 0, 20), ("AA", 0, 20)), weather(features, 0), PLANES)
    assert rows["plane_age"].to_list() == [10.0, None]
    assert rows["seats"].to_list() == [150.0, None]
    assert rows["late"].to_list() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("observed", "found"), [((0, -1), 0.0), ((-1, -2, 1), -1.0), ((-2,), -2.0), ((-3,), None), ((1,), None)]
)
def test_an_hour_without_an_observation_takes_the_last_one_of_three_hours(
    features: ModuleType, observed: tuple[int, ...], found: float | None
) -> None:
    rows = features.build(flights(("AA", 0.5, 20)), weather(features, *sorted(observed)), PLANES)
    assert rows["temp"].to_list() == [found]


def test_removing_the_future_changes_no_row(features: ModuleType) -> None:
    table = flights(*(("AA", hours / 4 - 8, 15 + hours) for hours in range(64)))
    tables = {
        "schedule": features.schedule(table).drop(features.RESULTS),
        "departures": features.departures(table),
        "weather": weather(features, *range(-8, 8)),
        "planes": PLANES,
    }
    known_at = {"schedule": None, "departures": "left_at", "weather": "hour", "planes": None}
    assert prove_no_future(features.known, tables, known_at=known_at, at="hour", sample=5) > 0
    assert "known (left_at)" in features.RECIPE.explain()
    assert str(PROJECT) not in sys.path, "the project is read by path"
