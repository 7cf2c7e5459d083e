"""Retention lets old versions go and nothing else; after a sweep the store holds what is referred to, no byte more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelloop.data import actions, tables
from modelloop.data.actions.committing import commit, digests_of
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, RetentionSettings
from modelloop.ground.core.errors import NotFound, StaleState
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import InputRef
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import FakeClock, make_context
from versioned import PEOPLE, make, rows_of

DAY = timedelta(days=1)
NEWEST = RetentionSettings(versions=1)
NOW = timedelta(0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ctx(tmp_path: Path, clock: FakeClock) -> Iterator[Context]:
    context = make_context(tmp_path, clock=clock)
    yield context
    context.db.close()


def live(ctx: Context) -> set[str]:
    """What facts of data refer to."""
    with ctx.db.reading() as connection:
        every = list(tables.every_version(connection))
        blobs = {one.blob for one in tables.all_arrivals(connection, None, 10**6)}
    named = {digest for one in every for digest in {*digests_of(one.parts), one.profile}} | blobs
    return {digest for digest in named if digest is not None}


def standing(ctx: Context) -> list[int]:
    return [one.number for one in actions.versions(ctx, "people") if not one.pruned]


def test_old_versions_go_and_their_records_stay(ctx: Context, clock: FakeClock) -> None:
    for number in range(4):
        make(ctx, [(number, "x", 1.0), (9, "y", 1.0)])
        clock.advance(DAY)
    # superseded 3, 2 and 1 days ago
    assert actions.prune(ctx, "people", RetentionSettings()) == ()
    assert actions.prune(ctx, "people", RetentionSettings(keep=1.5 * DAY)) == (1, 2)
    assert actions.prune(ctx, "people", RetentionSettings(keep=1.5 * DAY)) == ()
    old = actions.version(ctx, "people", 1)
    assert (old.rows, old.parts, old.report.rows) == (2, (), 1)
    assert old.pruned == "2026-01-09T09:00:00Z by retention (keep 1 day, 12:00:00)"
    with pytest.raises(NotFound, match="people:1 was pruned 2026-01-09T09:00:00Z by retention"):
        actions.read(ctx, "people", 1)
    for verb in (actions.restore, actions.branch):
        with pytest.raises(NotFound, match="pruned"):
            verb(ctx, "people", *((1,) if verb is actions.restore else ("trial", 1)))
    with pytest.raises(NotFound, match="pruned"):
        actions.tag(ctx, "people", "old", 1)
    with pytest.raises(NotFound, match="pruned"):
        actions.diff(ctx, "people", 1, 4)
    assert rows_of(actions.read(ctx, "people", 3)) == [(2, "x", 1.0), (9, "y", 1.0)]
    assert actions.sweep(ctx, NOW) > 0
    assert set(ctx.blobs.hashes()) == live(ctx)
    assert rows_of(actions.read(ctx, "people", 3)) == [(2, "x", 1.0), (9, "y", 1.0)]
    with ctx.db.reading() as connection:
        audit.verify(connection)
        assert [one.detail["versions"] for one in audit.entries(connection)] == [[1, 2]]


def test_the_newest_stay_in_any_case(ctx: Context, clock: FakeClock) -> None:
    for number in range(5):
        make(ctx, [(number, "x", 1.0)])
        clock.advance(DAY)
    assert actions.prune(ctx, "people", RetentionSettings(keep=NOW, versions=3)) == (1, 2)
    assert actions.prune(ctx, "people", RetentionSettings(versions=2)) == (3,)


def test_what_is_protected_stays(ctx: Context, tmp_path: Path) -> None:
    for number in range(1, 7):
        make(ctx, [(number, "x", 1.0)])
        if number == 2:
            actions.branch(ctx, "people", "trial")
    head = make(ctx, [(9, "z", 1.0)], branch="trial")
    actions.tag(ctx, "people", "release", 3)
    read = actions.version(ctx, "people", 5)
    flow.submit(
        ctx,
        pipeline="train",
        function="steps:train",
        project_dir=tmp_path,
        inputs={"people": InputRef("people", 5, read.digest), "other": InputRef("others", 1, read.digest)},
        params={},
    )
    # 2: where the branch began; 3: tag; 4: kept for a model; 5: read by a run; 6 and 7: heads
    assert actions.prune(ctx, "people", NEWEST, keep=[4]) == (1,)
    actions.sweep(ctx, NOW)
    assert standing(ctx) == [7, 6, 5, 4, 3, 2]
    for number in standing(ctx):
        actions.read(ctx, "people", number).collect()
    actions.merge(ctx, "people", "trial", contract=PEOPLE)
    assert head.number == 7


def test_bytes_that_others_refer_to_stay(ctx: Context) -> None:
    first = make(ctx, [(1, "x", 1.0)])
    make(ctx, [(2, "x", 1.0)])
    actions.prune(ctx, "people", NEWEST)
    cell = first.parts[0].cells[0].digest
    asked: list[set[str]] = []

    def referenced(digests: Any) -> set[str]:
        asked.append(set(digests))
        return {cell} & set(digests)

    assert actions.sweep(ctx, NOW, referenced=referenced) == 0
    assert ctx.blobs.has(cell)
    assert actions.sweep(ctx, NOW) == 1
    assert asked == [{cell}]
    assert not ctx.blobs.has(cell)
    assert actions.sweep(ctx, NOW) == 0


def test_bytes_wait_for_the_grace(ctx: Context, clock: FakeClock) -> None:
    make(ctx, [(1, "x", 1.0)])
    make(ctx, [(2, "x", 1.0)])
    actions.prune(ctx, "people", NEWEST)
    assert actions.sweep(ctx) == 0
    clock.advance(2 * DAY)
    assert actions.sweep(ctx) == 1


def test_killed_before_or_while_bytes_are_removed_a_later_sweep_finishes(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        make(ctx, [(number, "x", 1.0)])
    actions.prune(ctx, "people", NEWEST)  # killed here: nothing was removed
    removed: list[str] = []
    remove = ctx.blobs.remove

    def dying(digest: str) -> bool:
        if removed:
            raise KeyboardInterrupt
        removed.append(digest)
        return remove(digest)

    monkeypatch.setattr(type(ctx.blobs), "remove", lambda _, digest: dying(digest))
    with pytest.raises(KeyboardInterrupt):
        actions.sweep(ctx, NOW)
    monkeypatch.undo()
    assert rows_of(actions.read(ctx, "people")) == [(3, "x", 1.0)]
    actions.sweep(ctx, NOW)
    assert set(ctx.blobs.hashes()) == live(ctx)


def test_a_version_that_comes_back_with_the_same_rows_keeps_its_bytes(ctx: Context) -> None:
    make(ctx, [(1, "x", 1.0)])
    make(ctx, [(2, "x", 1.0)])
    actions.prune(ctx, "people", NEWEST)
    make(ctx, [(1, "x", 1.0)], dataset="others")  # equal bytes, by chance
    actions.sweep(ctx, NOW)
    assert rows_of(actions.read(ctx, "others")) == [(1, "x", 1.0)]
    with ctx.db.reading() as connection:
        assert tables.all_unused(connection) == []


def test_a_writer_whose_bytes_were_swept_away_before_its_commit_is_told(ctx: Context) -> None:
    first = make(ctx, [(1, "x", 1.0)])
    make(ctx, [(2, "x", 1.0)])
    now = actions.version(ctx, "people")
    draft = replace(now, parts=first.parts, parent=2)  # its bytes were written, but nothing refers to them yet
    actions.prune(ctx, "people", NEWEST)
    actions.sweep(ctx, NOW)
    with pytest.raises(StaleState, match="swept away"), ctx.db.transaction() as connection:
        commit(ctx, connection, draft, now)
    again = make(ctx, [(1, "x", 1.0)])
    assert again.parts == first.parts
    assert rows_of(actions.read(ctx, "people")) == [(1, "x", 1.0)]


def test_items_go_with_the_last_row_that_holds_them(ctx: Context) -> None:
    kinds = ContractSettings(
        {"id": ColumnSettings(ColumnType.INTEGER), "image": ColumnSettings(ColumnType.BINARY)}, key=("id",)
    )
    one, two = ctx.blobs.put(b"one"), ctx.blobs.put(b"two")
    for pairs in ({1: one, 2: two}, {2: two}):
        make(ctx, pl.DataFrame({"id": list(pairs), "image": list(pairs.values())}), contract=kinds, dataset="pictures")
    actions.prune(ctx, "pictures", NEWEST)
    actions.sweep(ctx, NOW)
    assert (ctx.blobs.has(one), ctx.blobs.has(two)) == (False, True)
    assert set(ctx.blobs.hashes()) == live(ctx) | {two}


turns = st.lists(
    st.sampled_from(["replace", "append", "upsert", "branch", "tag", "prune", "sweep", "restore"]),
    min_size=4,
    max_size=14,
)


@given(turns, st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_every_standing_version_reads_as_it_was_and_no_byte_leaks(
    tmp_path_factory: pytest.TempPathFactory, acts: list[str], random: Any
) -> None:
    ctx = make_context(tmp_path_factory.mktemp("keep"))
    truth: dict[int, list[Any]] = {}
    protected: set[int] = set()

    def note(number: int) -> None:
        truth[number] = rows_of(actions.read(ctx, "people", number))

    note(make(ctx, [(n, "x", 0.0) for n in range(5)]).number)
    for turn, act in enumerate(acts):
        fresh = [(random.randint(0, 9) + 10 * (act == "append") * (turn + 1), "y", float(turn))]
        if act in ("replace", "append", "upsert"):
            note(make(ctx, fresh, how=act).number)
        elif act == "restore":
            note(actions.restore(ctx, "people", random.choice(standing(ctx))).number)
        elif act == "branch":
            start = random.choice(standing(ctx))
            actions.branch(ctx, "people", f"b{turn}", start)
            note(make(ctx, [(50, "z", 0.0)], how="upsert", branch=f"b{turn}").number)
        elif act == "tag":
            protected.add(actions.tag(ctx, "people", f"t{turn}", random.choice(standing(ctx))).number)
        elif act == "prune":
            gone = actions.prune(ctx, "people", NEWEST, keep=[1])
            heads = {one.head for one in actions.branches(ctx, "people")}
            assert not {*gone} & {1, *protected, *heads}
        else:
            actions.sweep(ctx, NOW)
    actions.prune(ctx, "people", NEWEST)
    actions.sweep(ctx, NOW)
    for number in standing(ctx):
        assert rows_of(actions.read(ctx, "people", number)) == truth[number]
    assert set(ctx.blobs.hashes()) == live(ctx)
    ctx.db.close()
