"""The proof finds a feature that looks ahead, and lets one pass that does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from modelloop.ground.core.errors import InvalidInput, LeakFound
from modelloop.prepare.leak import prove_no_future
from modelloop.prepare.pointintime import Past, window_mean

START = datetime(2013, 1, 1, tzinfo=UTC)
FLIGHTS = pl.DataFrame({"at": [START + timedelta(minutes=m) for m in range(0, 600, 7)]}).with_row_index("flight")
LEFT_AT = FLIGHTS.select(
    known=pl.col("at") + pl.duration(minutes=pl.col("flight") % 40),
    planned=pl.col("at"),
    delay=(pl.col("flight") * 37 % 11).cast(pl.Float64),
)
TABLES = {"flights": FLIGHTS, "departures": LEFT_AT}
DATED = {"flights": "at", "departures": "known"}


def honest(flights: pl.DataFrame, departures: pl.DataFrame) -> pl.DataFrame:
    past = Past("at", "known", since=timedelta(hours=2))
    return window_mean(flights, departures, past, value="delay", name="delay_2h")


def by_planned_time(flights: pl.DataFrame, departures: pl.DataFrame) -> pl.DataFrame:
    past = Past("at", "planned", since=timedelta(hours=2))
    return window_mean(flights, departures, past, value="delay", name="delay_2h")


def with_a_mean_over_all(flights: pl.DataFrame, departures: pl.DataFrame) -> pl.DataFrame:
    return honest(flights, departures).with_columns(usual=departures["delay"].mean())


def with_a_rank(flights: pl.DataFrame, departures: pl.DataFrame) -> pl.DataFrame:
    return honest(flights, departures).filter(pl.col("at") <= departures["planned"].max() - timedelta(hours=1))


def test_an_honest_feature_passes() -> None:
    assert prove_no_future(honest, TABLES, known_at=DATED, at="at", sample=6, seed=1) > len(FLIGHTS)


@pytest.mark.parametrize(
    ("build", "feature"),
    [(by_planned_time, "'delay_2h' changed"), (with_a_mean_over_all, "'usual' changed"), (with_a_rank, "rows")],
)
def test_a_leak_is_found(build: object, feature: str) -> None:
    with pytest.raises(LeakFound, match=feature):
        prove_no_future(build, TABLES, known_at=DATED, at="at", sample=6, seed=1)  # type: ignore[arg-type]


def test_every_table_is_dated_or_said_to_be_timeless() -> None:
    with pytest.raises(InvalidInput, match="'flights'"):
        prove_no_future(honest, TABLES, known_at={"departures": "known"}, at="at")
    always = DATED | {"flights": None}
    assert prove_no_future(honest, TABLES, known_at=always, at="at", sample=2) > 0


def test_nothing_to_prove_is_no_proof() -> None:
    with pytest.raises(InvalidInput, match="nothing to prove"):
        prove_no_future(honest, TABLES | {"flights": FLIGHTS.clear()}, known_at=DATED, at="at")
