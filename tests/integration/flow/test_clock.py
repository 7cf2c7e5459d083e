"""The clock jumps, back and forth: nothing is lost, nothing is done twice, nothing waits for the clock to catch up."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from modelloop.data import actions as data
from modelloop.data.settings import (
    ColumnSettings,
    ColumnType,
    ContractSettings,
    Format,
    Mode,
    RetentionSettings,
    SourceKind,
    SourceSettings,
)
from modelloop.ground.core.errors import StaleState
from modelloop.ground.pool import actions as pool
from modelloop.ground.pool.records import JobState
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import FakeClock

LEASE, DAY = timedelta(seconds=30), timedelta(days=1)
CONTRACT = ContractSettings({"id": ColumnSettings(ColumnType.INTEGER)}, key=("id",))
SOURCE = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.CSV)


def jump(ctx: Context, by: timedelta) -> None:
    assert isinstance(ctx.clock, FakeClock)
    ctx.clock.advance(by)


def ingest(ctx: Context, folder: Path, turn: int) -> int:
    """Take in a file with one row; return the number of the version."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / f"{turn:04}.csv").write_text(f"id\n{turn}\n")
    done = data.ingest(ctx, "feed", SOURCE, CONTRACT, root=folder)
    assert done is not None
    return done.version.number


def test_a_job_from_the_future_does_not_wait_for_it(both_engines: Context) -> None:
    ctx = both_engines
    job = pool.enqueue(ctx, "run", {})
    jump(ctx, -DAY)
    claimed = pool.claim(ctx, "w1", LEASE)
    assert claimed is not None
    assert claimed.id == job.id
    assert pool.claim(ctx, "w2", LEASE) is None, "it is held, whatever the clock says"
    assert pool.finish(ctx, claimed).state is JobState.DONE


def test_a_dead_worker_s_lease_lapses_although_the_clock_went_back(both_engines: Context) -> None:
    ctx = both_engines
    pool.enqueue(ctx, "run", {})
    dead = pool.claim(ctx, "w1", LEASE)
    assert dead is not None
    jump(ctx, -DAY)
    theirs = pool.claim(ctx, "w2", LEASE)
    assert theirs is not None, "not only after a day"
    with pytest.raises(StaleState):
        pool.finish(ctx, dead)
    pool.finish(ctx, theirs)
    assert [job.state for job in pool.list_jobs(ctx)] == [JobState.DONE]


def test_a_clock_that_goes_ahead_takes_the_job_from_who_held_it_and_loses_nothing(both_engines: Context) -> None:
    ctx = both_engines
    pool.enqueue(ctx, "run", {})
    first = pool.claim(ctx, "w1", LEASE)
    assert first is not None
    jump(ctx, DAY)
    second = pool.claim(ctx, "w2", LEASE)
    assert second is not None
    for late in (lambda: pool.finish(ctx, first), lambda: pool.heartbeat(ctx, first, LEASE)):
        with pytest.raises(StaleState):
            late()
    jump(ctx, -DAY)
    pool.heartbeat(ctx, second, LEASE)
    assert pool.claim(ctx, "w3", LEASE) is None
    pool.finish(ctx, second)


def test_versions_keep_their_order_whatever_the_time(both_engines: Context, tmp_path: Path) -> None:
    ctx = both_engines
    start = ctx.now()
    moments = []
    for turn, move in enumerate((timedelta(0), DAY, -3 * DAY, 400 * DAY, -401 * DAY), start=1):
        jump(ctx, move)
        moments.append(ctx.now())
        assert ingest(ctx, tmp_path, turn) == turn
    assert data.version(ctx, "rows").number == 5, "the newest is the one that came last"
    assert data.read(ctx, "rows").collect()["id"].sort().to_list() == [1, 2, 3, 4, 5]
    for number in range(1, 6):
        assert data.read(ctx, "rows", number).collect().height == number
    for at in moments:
        told = data.version(ctx, "rows", at=at)
        assert told.made_at <= at
        assert told.number >= 1 + moments.index(at), "what came later is not hidden by a clock that went back"
    assert data.version(ctx, "rows", at=start + 1000 * DAY).number == 5
    with ctx.db.reading() as connection:
        assert audit.verify(connection) == 5


def test_a_source_is_asked_again_although_the_clock_went_back(ctx: Context, tmp_path: Path) -> None:
    ingest(ctx, tmp_path, 1)
    copy = SourceSettings(kind=SourceKind.DATASET, of="rows", dataset="copy", contract="rows", mode=Mode.REPLACE)
    assert data.ingest(ctx, "copy", copy, CONTRACT, root=tmp_path, only_due=True) is not None
    ingest(ctx, tmp_path, 2)
    assert data.ingest(ctx, "copy", copy, CONTRACT, root=tmp_path, only_due=True) is None, "not yet"
    jump(ctx, -DAY)
    assert data.ingest(ctx, "copy", copy, CONTRACT, root=tmp_path, only_due=True) is not None


@pytest.mark.parametrize("seed", range(4))
def test_retention_under_jumps_keeps_heads_tags_and_what_models_need(ctx: Context, tmp_path: Path, seed: int) -> None:
    """Whatever the clock does, what is promised to stay can be read, and all bytes that are needed are there."""
    chance = random.Random(seed)
    ingest(ctx, tmp_path, 1)
    data.tag(ctx, "rows", "first", 1)
    data.branch(ctx, "rows", "trial", 1)
    rule = RetentionSettings(keep=2 * DAY, versions=2)
    for turn in range(2, 30):
        jump(ctx, chance.choice([timedelta(0), DAY, -DAY, 30 * DAY, -30 * DAY, timedelta(hours=1)]))
        ingest(ctx, tmp_path, turn)
        if chance.random() < 0.5:
            data.prune(ctx, "rows", rule, keep=[3])
            data.sweep(ctx, chance.choice([timedelta(0), timedelta(hours=1)]))
    newest = data.version(ctx, "rows").number
    for number in (1, 3, newest - 1, newest):
        assert data.read(ctx, "rows", number).collect()["id"].sort().to_list() == list(range(1, number + 1))
    assert data.read(ctx, "rows", branch="trial").collect().height == 1
    for one in data.versions(ctx, "rows"):
        assert one.pruned or data.read(ctx, "rows", one.number).collect().height == one.rows
    assert any(one.pruned for one in data.versions(ctx, "rows"))
    with ctx.db.reading() as connection:
        audit.verify(connection)
