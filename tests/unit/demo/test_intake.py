"""The demo's intake, on the real data: what its contracts set aside and refuse, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from modelloop import app
from modelloop.data import actions as data
from modelloop.demo.intake import Intake, intake
from modelloop.demo.play import prepare_folder
from modelloop.demo.screen import PlainScreen, data_table
from modelloop.demo.world import WEEK, World, at, flights, planes, weather
from modelloop.ground.store.context import Context

OPENING, MAY, JULY = at("2013-03-01"), at("2013-05-03"), at("2013-07-26")


@pytest.fixture(scope="module")
def world() -> World:
    return World(flights(), weather(), planes(), rows=pl.DataFrame())


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=200, file=StringIO())


@pytest.fixture
def arriving(tmp_path: Path, console: Console) -> Iterator[Intake]:
    prepare_folder(tmp_path)
    with intake(tmp_path, PlainScreen(console)) as made:
        yield made


@pytest.fixture
def kept(arriving: Intake, tmp_path: Path) -> Iterator[Context]:
    ctx = app.open_context(tmp_path)
    yield ctx
    ctx.db.close()


def test_two_months_come_in_and_a_row_is_put_right(
    world: World, arriving: Intake, kept: Context, console: Console, tmp_path: Path
) -> None:
    world.land(tmp_path / "landing", at("2013-01-01"), OPENING)
    names = [got.version.name for got in arriving.arrive(OPENING)]
    assert names == ["planes:1", "flights:1", "weather:1"], "aircraft first: flights refer to them"
    arriving.correct("weather", "wind_speed", OPENING, "a person takes it in")
    assert data.diff(kept, "weather", 1, 2).changes.added == 1
    (row,) = data.quarantined(kept, "weather")
    assert (row.values["wind_speed"], row.settled) == ("1048.36058", "readmitted")
    taken = data.read(kept, "weather").filter(pl.col("hour") == at("2013-02-12") + timedelta(hours=8)).collect()
    assert taken.filter(pl.col("origin") == "EWR")["wind_speed"].to_list() == [None]
    told = console.export_text()
    assert "wind_speed 1048.36058, expected at least 0 and at most 150" in told
    assert "a person takes it in: weather:2" in told
    assert arriving.arrive(OPENING) == [], "nothing is new"


def test_a_broken_file_is_refused_and_its_whole_one_is_taken_in(
    world: World, arriving: Intake, kept: Context, console: Console, tmp_path: Path
) -> None:
    landing = tmp_path / "landing"
    world.land(landing, MAY - WEEK, MAY)
    world.break_file(landing, MAY - WEEK)
    assert [got.version.dataset for got in arriving.arrive(MAY)] == ["planes", "flights"]
    assert "REFUSED, nothing of it is taken in: 2013-04-26.parquet cannot be read" in console.export_text(clear=False)
    world.mend_file(landing, MAY - WEEK, MAY)
    assert [got.version.name for got in arriving.arrive(MAY)] == ["weather:1"]
    year = {one.dataset: one for one in arriving.tidy()}
    assert (year["weather"].refused, year["flights"].refused) == (("2013-04-26.parquet",), ())


def test_a_frost_in_may_and_a_flight_across_town_wait_for_a_person(
    world: World, arriving: Intake, kept: Context, console: Console, tmp_path: Path
) -> None:
    for start in (MAY, JULY):
        world.land(tmp_path / "landing", start, start + WEEK)
        arriving.arrive(start + WEEK)
    (cold,), (short,) = data.quarantined(kept, "weather"), data.quarantined(kept, "flights")
    assert (cold.values["temp"], cold.values["hour"][:10]) == ("13.1", "2013-05-09")
    assert (short.values["distance"], short.values["flight_id"]) == ("17.0", "2013-07-27-US1632-EWR-106")
    assert len(console.export_text(clear=False).splitlines()) == 4, "two rows, and drift of two sources, told once each"
    year = arriving.tidy()
    console.print(data_table(year))
    assert "2 of 2 kept, 0 trained on" in console.export_text()
    assert {one.dataset: one.set_aside for one in year} == {"planes": 0, "flights": 1, "weather": 1}
