"""A version is found by number, time, tag and branch; what is not there is said in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from modelloop.data import actions
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings
from modelloop.ground.core.clock import iso
from modelloop.ground.core.errors import BlobMissing, InvalidInput, NotFound
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import START, FakeClock, make_context
from versioned import PEOPLE, make, rows_of

DAY = timedelta(days=1)


@pytest.fixture
def three(tmp_path: Path) -> Context:
    """A dataset with a version a day; the second is tagged, the third is on a branch."""
    clock = FakeClock()
    ctx = make_context(tmp_path, clock=clock)
    for number in (1, 2):
        make(ctx, [(number, "x", 1.0)])
        clock.advance(DAY)
    actions.tag(ctx, "people", "good")
    actions.branch(ctx, "people", "trial")
    make(ctx, [(3, "x", 1.0)], branch="trial")
    return ctx


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("people", 2),
        ("people:1", 1),
        ("people:good", 2),
        ("people@trial", 3),
        ("people@main", 2),
        (f"people@{START:%Y-%m-%d}", 1),
        (f"people@{iso(START + DAY)}", 2),
        (f"people@{iso(START + DAY - timedelta(seconds=1))}", 1),
    ],
)
def test_a_text_names_a_version(three: Context, text: str, number: int) -> None:
    assert actions.resolve(three, text).number == number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("people:9", "has no version 9. It has 1 to 3"),
        ("people:goood", "has no tag 'goood'. Did you mean 'good'"),
        ("people@trail", "has no branch 'trail'. Did you mean 'trial'"),
        ("peple", "no dataset 'peple'. Did you mean 'people'"),
        ("peple:3", "no dataset 'peple'"),
        ("peple:tag", "no dataset 'peple'"),
        ("peple@main", "no dataset 'peple'"),
        ("people@2025-01-01", "had no version at 2025-01-01T23:59:59.999999Z. Its first is of 2026-01-05"),
    ],
)
def test_what_is_not_there_is_said(three: Context, text: str, said: str) -> None:
    with pytest.raises(NotFound) as error:
        actions.resolve(three, text)
    assert said in str(error.value)


@pytest.mark.parametrize("text", ["", ":3", "people:", "people@", "People", "people:1:2", "people@2026-13-45", "a b"])
def test_what_names_nothing(three: Context, text: str) -> None:
    with pytest.raises(InvalidInput):
        actions.resolve(three, text)


def test_one_way_at_a_time(three: Context) -> None:
    with pytest.raises(InvalidInput, match="More than one way"):
        actions.version(three, "people", 1, tag="good")
    with pytest.raises(InvalidInput):
        actions.read(three, "people", tag="good", branch="trial")
    assert actions.version(three, "people", branch="trial", at=START + 9 * DAY).number == 3
    assert actions.version(three, "people", branch="trial", at=START).number == 1


def test_a_clock_that_went_back_hides_no_version(tmp_path: Path) -> None:
    clock = FakeClock()
    ctx = make_context(tmp_path, clock=clock)
    make(ctx, [(1, "x", 1.0)])
    clock.advance(-DAY)
    make(ctx, [(2, "x", 1.0)])
    assert actions.version(ctx, "people").number == 2
    assert actions.version(ctx, "people", at=START).number == 2
    assert actions.version(ctx, "people", at=START - DAY).number == 2
    ctx.db.close()


def test_a_time_without_zone_is_utc(three: Context) -> None:
    assert actions.version(three, "people", at=datetime(2026, 1, 5, 10)).number == 1  # noqa: DTZ001 - as people write


def test_binary_items_are_hashes_until_they_are_asked_for(ctx: Context) -> None:
    kinds = ContractSettings(
        {"id": ColumnSettings(ColumnType.INTEGER), "image": ColumnSettings(ColumnType.BINARY, nullable=True)},
        key=("id",),
    )
    digest = ctx.blobs.put(b"\x89PNG")
    frame = pl.DataFrame(
        {"id": [1, 2, 3], "image": [digest, None, digest]}, schema={"id": pl.Int64, "image": pl.String}
    )
    make(ctx, frame, contract=kinds, dataset="pictures")
    assert actions.read(ctx, "pictures").collect()["image"].to_list() == [digest, None, digest]
    loaded = actions.read(ctx, "pictures", load=("image",))
    assert loaded.collect_schema()["image"] == pl.Binary
    assert loaded.collect()["image"].to_list() == [b"\x89PNG", None, b"\x89PNG"]
    assert loaded.filter(pl.col("id") == 2).select("image").collect()["image"].to_list() == [None]
    assert actions.item(ctx, digest) == b"\x89PNG"
    with pytest.raises(InvalidInput, match="no binary column"):
        actions.read(ctx, "pictures", load=("id",))
    with pytest.raises(BlobMissing):
        actions.item(ctx, "0" * 64)


def test_every_version_reads_as_it_was(ctx: Context) -> None:
    tables = [[(n, f"{n}-{turn}", float(turn)) for n in range(turn + 1)] for turn in range(5)]
    for table in tables:
        make(ctx, table, contract=PEOPLE)
    for turn, table in enumerate(tables):
        assert rows_of(actions.read(ctx, "people", turn + 1)) == table
