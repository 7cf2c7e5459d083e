"""Erasure leaves no trace of a value: not in any version, blob or page of the database."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelloop.data import actions, tables
from modelloop.data.actions.committing import commit
from modelloop.data.actions.erasing import AT_ONCE
from modelloop.data.insight.describe import to_parquet
from modelloop.data.insight.protect import protect
from modelloop.data.records import Arrival, Erasure
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Personal, RetentionSettings
from modelloop.data.versions.erasing import Wanted
from modelloop.ground.core.errors import Conflict, InvalidInput, NotFound, StaleState
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import InputRef
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from versioned import KEYLESS, PEOPLE, TYPES, make, report, rows_of

KEY = b"the project's key"
WHO = "ada.lovelace@example.org"
OTHER = "bob@example.org"


def erase(ctx: Context, column: str = "name", value: object = WHO, **more: Any) -> Erasure:
    return actions.erase(
        ctx, more.pop("dataset", "people"), column, value, reason="asked by letter", secret=KEY, **more
    )


def traces(ctx: Context, text: str) -> list[str]:
    """Where a text is still to be found: blobs as they are and decoded, and the database's files."""
    found = []
    for digest in ctx.blobs.hashes():
        data = ctx.blobs.get(digest)
        shown = str(pl.read_parquet(io.BytesIO(data)).to_dicts()) if data[:4] == b"PAR1" else ""
        found += [digest] * (text.encode() in data or text in shown)
    for file in ctx.home.glob("facts.sqlite*"):
        found += [file.name] * (text.encode() in file.read_bytes())
    return found


def aside(ctx: Context, *names: str, said: str = "") -> Arrival:
    """Rows that were set aside."""
    rows = [
        {"file": "a.csv", "row": n, "reasons": ["age: range"], "values": f'{{"id":"{n}","name":"{name}","age":"999"}}'}
        for n, name in enumerate(names, 1)
    ]
    arrival = Arrival(
        ctx.id("arr"), "people", "feed", None, report(said), ctx.blobs.put(to_parquet(pl.DataFrame(rows))), ctx.now()
    )
    with ctx.db.transaction() as connection:
        tables.add_arrival(connection, arrival, arrival.id)
    return arrival


@pytest.fixture
def people(ctx: Context) -> Context:
    """The person is in two of three versions of main, in a branch, set aside, quoted, and in a profile."""
    make(ctx, [(1, WHO, 36.0), (2, OTHER, 50.0)], said=report(f"a.csv row 1: {WHO!r}", "a.csv row 9: 'x'", low=WHO))
    actions.branch(ctx, "people", "trial")
    make(ctx, [(3, WHO, 37.0)], how="append", branch="trial", message=f"about {WHO}")
    make(ctx, [(2, OTHER, 51.0)], how="upsert")
    make(ctx, [(2, OTHER, 51.0)])
    aside(ctx, WHO, OTHER, said=f"a.csv row 1: {WHO}")
    return ctx


def test_no_trace_is_left(people: Context) -> None:
    ctx = people
    assert traces(ctx, WHO)
    done = erase(ctx)
    assert (done.rows, done.versions, done.by) == (3, (1, 2, 3), "tester")
    assert traces(ctx, WHO) == []
    assert traces(ctx, OTHER)
    assert [rows_of(actions.read(ctx, "people", n)) for n in (1, 2, 3, 4)] == [
        [(2, OTHER, 50.0)],
        [(2, OTHER, 50.0)],
        [(2, OTHER, 51.0)],
        [(2, OTHER, 51.0)],
    ]
    assert [(one.rows, one.erased) for one in reversed(actions.versions(ctx, "people"))] == [
        (1, (done.id,)),
        (1, (done.id,)),
        (1, (done.id,)),
        (1, ()),
    ]
    assert [row.values["name"] for row in actions.quarantined(ctx, "people")] == [OTHER]
    first = actions.report(ctx, "people", 1)
    assert (first.checks[0].examples, first.columns[0].low) == (("a.csv row 9: 'x'",), None)
    with ctx.db.reading() as connection:
        audit.verify(connection)
        entry = list(audit.entries(connection))[-1]
    assert (entry.action, entry.detail["rows"], WHO in str(entry)) == ("data.erased", 3, False)
    assert actions.erasures(ctx, "people") == [done]
    assert WHO not in str(done)


def test_asked_again_it_says_what_was_done(people: Context) -> None:
    done = erase(people)
    assert erase(people) == done
    assert erase(people, value="nobody@example.org").rows == 0
    make(people, [(7, WHO, 1.0)], how="append")
    again = erase(people)
    assert (again.rows, again.versions) == (1, (5,))
    assert len(actions.erasures(people, "people")) == 3


def test_nothing_is_left_that_nobody_refers_to(people: Context) -> None:
    erase(people)
    actions.sweep(people, timedelta(0))
    with people.db.reading() as connection:
        every = list(tables.every_version(connection))
        arrivals = tables.all_arrivals(connection, None, 99)
    kept: set[str | None] = {cell.digest for one in every for part in one.parts for cell in part.cells}
    kept |= {part.deleted for one in every for part in one.parts} | {one.profile for one in every}
    assert set(people.blobs.hashes()) == (kept | {one.blob for one in arrivals}) - {None}


@pytest.mark.parametrize("moment", ["rewrite", "remove_unused", "append", "add_erasure", "set_version"])
def test_killed_at_any_step_it_is_repeated(people: Context, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    home = {"remove_unused": actions.erasing, "append": audit}.get(moment, tables)
    with monkeypatch.context() as patch:
        patch.setattr(home, moment, killed)
        with pytest.raises(KeyboardInterrupt):
            erase(people)
    assert len(rows_of(actions.read(people, "people", 4))) == 1
    done = erase(people)
    assert (done.rows, traces(people, WHO), len(actions.erasures(people, "people"))) == (3, [], 1)


def test_killed_while_bytes_go_the_next_finishes(people: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: object, digest: str) -> bool:
        raise KeyboardInterrupt(digest)

    with monkeypatch.context() as patch:
        patch.setattr(type(people.blobs), "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(people)
    assert traces(people, WHO)
    with people.db.reading() as connection:
        assert tables.unused(connection, AT_ONCE)
    erase(people)
    assert traces(people, WHO) == []


def test_a_version_whose_every_row_goes_is_empty(ctx: Context) -> None:
    make(ctx, [(1, WHO, 1.0)])
    erase(ctx)
    assert (actions.version(ctx, "people").rows, rows_of(actions.read(ctx, "people"))) == (0, [])
    assert actions.read(ctx, "people").collect().schema == TYPES
    assert make(ctx, [(2, OTHER, 1.0)], how="append").rows == 1


def test_a_writer_that_read_the_rows_before_cannot_bring_them_back(people: Context) -> None:
    before = actions.version(people, "people", branch="trial")
    erase(people)
    with pytest.raises(StaleState), people.db.transaction() as connection:
        commit(people, connection, before, before)
    with pytest.raises(NotFound):
        people.blobs.get(before.parts[0].cells[0].digest)


def test_a_commit_during_the_erasure_is_seen(people: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    look = actions.erasing._look
    calls: list[int] = []

    def overtaken(*arguments: Any) -> object:
        found = look(*arguments)
        if not calls:
            make(people, [(8, WHO, 1.0)], how="append")
        calls.append(1)
        return found

    monkeypatch.setattr(actions.erasing, "_look", overtaken)
    done = erase(people)
    assert (len(calls), done.rows, traces(people, WHO)) == (2, 4, [])


@pytest.mark.parametrize(("column", "value"), [("id", 1), ("id", "1"), ("age", "36"), ("age", 36.0)])
def test_numbers_are_found_as_people_write_them(people: Context, column: str, value: object) -> None:
    erase(people, column, value)
    assert rows_of(actions.read(people, "people", 1)) == [(2, OTHER, 50.0)]
    assert len(rows_of(actions.read(people, "people", 2))) == 2


def test_what_the_contract_hashed_is_found_by_what_it_was(ctx: Context) -> None:
    hashed = protect(pl.Series([WHO, OTHER]), Personal.HASH, KEY)
    make(ctx, pl.DataFrame({"id": [1, 2], "name": hashed, "age": [1.0, 2.0]}))
    assert erase(ctx).rows == 1
    assert [row[0] for row in rows_of(actions.read(ctx, "people"))] == [2]
    assert traces(ctx, hashed[0]) == []


def test_a_column_that_was_dropped_is_still_in_old_bytes(ctx: Context) -> None:
    make(ctx, [(1, WHO, 1.0), (2, OTHER, 2.0)])
    narrow = ContractSettings({"id": ColumnSettings(ColumnType.INTEGER)}, key=("id",))
    make(ctx, pl.DataFrame({"id": [3]}), how="append", contract=narrow)
    erase(ctx)
    assert traces(ctx, WHO) == []
    assert actions.read(ctx, "people").collect()["id"].to_list() == [2, 3]


def test_items_of_the_person_go_too(ctx: Context) -> None:
    kinds = ContractSettings({"name": ColumnSettings(ColumnType.STRING), "scan": ColumnSettings(ColumnType.BINARY)})
    mine, shared = ctx.blobs.put(b"her passport"), ctx.blobs.put(b"a logo")
    frame = pl.DataFrame({"name": [WHO, WHO, OTHER], "scan": [mine, shared, shared]})
    make(ctx, frame, contract=kinds)
    erase(ctx)
    assert (ctx.blobs.has(mine), ctx.blobs.has(shared)) == (False, True)


def test_pruned_versions_and_runs(people: Context, tmp_path: Path) -> None:
    version = actions.version(people, "people", 1)
    run = flow.submit(
        people, pipeline="train", function="steps:train", project_dir=tmp_path, params={},
        inputs={"rows": InputRef("people", 1, version.digest)},
    )  # fmt: skip
    with pytest.raises(Conflict, match="reads people and is queued"):
        erase(people)
    flow.cancel(people, run.id)
    actions.prune(people, "people", RetentionSettings(versions=1))
    forgotten: list[str] = []
    erase(people, forget=forgotten.extend)
    assert forgotten == [run.id] == actions.tainted_runs(people, "people")
    assert traces(people, WHO) == []


def test_what_cannot_be_asked(people: Context) -> None:
    with pytest.raises(NotFound, match="has no column 'mail'"):
        erase(people, "mail")
    with pytest.raises(NotFound, match="no dataset 'peple'"):
        erase(people, dataset="peple")
    with pytest.raises(InvalidInput, match="reason"):
        actions.erase(people, "people", "name", WHO, reason=" ", secret=KEY)
    with pytest.raises(InvalidInput, match="key"):
        actions.erase(people, "people", "name", WHO, reason="asked", secret=b"")


def test_only_refused_rows(ctx: Context) -> None:
    aside(ctx, WHO)
    assert erase(ctx).rows == 1
    assert (traces(ctx, WHO), actions.arrivals(ctx, "people")[0].blob) == ([], None)


def test_what_the_value_is_not() -> None:
    wanted = Wanted.of("id", 7, KEY)
    assert wanted.condition(pl.Int64()) is not None
    assert wanted.condition(pl.Datetime("us", "UTC")) is None
    assert [wanted.is_in(text) for text in ("7", " 7 ", "7.0", "07", "77", None, "x")] == [True] * 4 + [False] * 3


who = st.sampled_from(["ann", "bob", "cid-1", "cid"])
table = st.lists(st.tuples(st.integers(0, 8), who, st.just(1.0)), min_size=1, max_size=6, unique_by=lambda row: row[0])


@given(st.lists(st.tuples(st.sampled_from(["replace", "append", "upsert"]), table), min_size=1, max_size=4), who)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_versions_are_what_they_were_without_the_rows(
    tmp_path_factory: pytest.TempPathFactory, turns: list[tuple[str, list[Any]]], value: str
) -> None:
    ctx = make_context(tmp_path_factory.mktemp("erase"))
    keyless = any(how == "append" for how, _ in turns)
    for how, rows in turns:
        plain = "append" if how == "upsert" and keyless else how
        make(ctx, rows, how=plain, contract=KEYLESS if keyless else PEOPLE)
    numbers = [one.number for one in actions.versions(ctx, "people")]
    before = {number: rows_of(actions.read(ctx, "people", number)) for number in numbers}
    done = erase(ctx, value=value)
    assert (done.rows > 0) == bool(done.versions)
    for number in numbers:
        left = [row for row in before[number] if row[1] != value]
        assert rows_of(actions.read(ctx, "people", number)) == left
        assert actions.version(ctx, "people", number).rows == len(left)
    assert traces(ctx, f"'{value}'") == []
    ctx.db.close()
