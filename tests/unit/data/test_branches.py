"""Branches, merges and going back: by key, judged before they are committed, and nobody overwrites anybody."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelloop.data import actions
from modelloop.data.actions.committing import commit
from modelloop.data.actions.judging import judge_kept
from modelloop.data.records import DatasetVersion
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, CustomCheckSettings
from modelloop.data.versions.diff import Retyped
from modelloop.ground.core.errors import Conflict, DataRefused, IdInvalid, NotFound, StaleState
from modelloop.ground.replies import plain
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import FakeClock, make_context
from versioned import KEYLESS, PEOPLE, Row, make, rows_of

ANN, BOB, CID = (1, "ann", 30.0), (2, "bob", 40.0), (3, "cid", 50.0)


def rows(ctx: Context, **which: object) -> list[Row]:
    return rows_of(actions.read(ctx, "people", **which))  # type: ignore[arg-type]


def trail(ctx: Context) -> list[str]:
    with ctx.db.reading() as connection:
        audit.verify(connection)
        return [entry.action for entry in audit.entries(connection)]


def test_a_branch_is_tried_and_merged_by_fast_forward(ctx: Context) -> None:
    make(ctx, [ANN, BOB])
    begun = actions.branch(ctx, "people", "trial")
    assert (begun.head, [one.name for one in actions.branches(ctx, "people")]) == (1, ["main", "trial"])
    made = make(ctx, [CID], how="append", branch="trial")
    assert (made.number, made.parent, made.branch) == (2, 1, "trial")
    assert rows(ctx) == [ANN, BOB]
    assert rows(ctx, branch="trial") == [ANN, BOB, CID]
    merged = actions.merge(ctx, "people", "trial", contract=PEOPLE)
    assert (merged.number, merged.parent, merged.merged, merged.branch) == (3, 1, 2, "main")
    assert merged.parts == made.parts
    assert merged.profile == made.profile
    assert rows(ctx) == [ANN, BOB, CID]
    assert [one.head for one in actions.branches(ctx, "people")] == [3, 2]
    with pytest.raises(Conflict, match="nothing to merge"):
        actions.merge(ctx, "people", "trial", contract=PEOPLE)
    assert trail(ctx) == ["data.branched", "data.merged"]


def test_both_sides_changed_and_are_merged_by_key(ctx: Context) -> None:
    make(ctx, [ANN, BOB, CID])
    actions.branch(ctx, "people", "trial")
    make(ctx, [(1, "anna", 30.0), CID, (4, "dan", 1.0)], branch="trial")  # 1 changed, 2 gone, 4 new
    make(ctx, [(3, "cyd", 50.0), (5, "eve", 2.0), (4, "dan", 1.0)], how="upsert")  # 3 changed, 5 new, 4 the same
    merged = actions.merge(ctx, "people", "trial", contract=PEOPLE, message="both")
    expected = [(1, "anna", 30.0), (3, "cyd", 50.0), (4, "dan", 1.0), (5, "eve", 2.0)]
    assert rows(ctx) == expected
    assert (merged.rows, merged.message, merged.merged, merged.parent) == (4, "both", 2, 3)
    assert merged.report.rows == 4
    make(ctx, [(6, "flo", 3.0)], how="append", branch="trial")
    actions.merge(ctx, "people", "trial", contract=PEOPLE)  # from the merge before on, not from the beginning
    assert [row[0] for row in rows(ctx)] == [1, 3, 4, 5, 6]


def test_a_row_that_both_changed_differently_is_a_conflict(ctx: Context) -> None:
    make(ctx, [ANN, BOB])
    actions.branch(ctx, "people", "trial")
    make(ctx, [(1, "anna", 30.0), BOB], branch="trial")
    make(ctx, [(1, "anne", 30.0)], how="upsert")
    with pytest.raises(Conflict, match="1 rows were changed differently in main and trial: id=1") as refused:
        actions.merge(ctx, "people", "trial", contract=PEOPLE)
    assert refused.value.detail == {"conflicts": 1, "keys": [{"id": "1"}]}
    assert [one.number for one in actions.versions(ctx, "people")] == [3, 2, 1]


def test_without_a_key_only_one_side_may_have_changed(ctx: Context) -> None:
    make(ctx, [ANN, ANN], contract=KEYLESS)
    actions.branch(ctx, "people", "trial")
    make(ctx, [BOB], how="append", branch="trial", contract=KEYLESS)
    actions.merge(ctx, "people", "trial", contract=KEYLESS)
    assert rows(ctx) == [ANN, ANN, BOB]
    make(ctx, [CID], how="append", branch="trial", contract=KEYLESS)
    make(ctx, [ANN], how="append", contract=KEYLESS)
    with pytest.raises(Conflict, match="has no key"):
        actions.merge(ctx, "people", "trial", contract=KEYLESS)


def test_what_breaks_the_contract_is_not_merged(ctx: Context) -> None:
    make(ctx, [ANN])
    actions.branch(ctx, "people", "trial")
    make(ctx, [(2, "bob", 999.0)], how="append", branch="trial")
    with pytest.raises(DataRefused, match="age range") as refused:
        actions.merge(ctx, "people", "trial", contract=PEOPLE)
    assert refused.value.detail["report"]["rows"] == 2
    assert rows(ctx) == [ANN]
    actions.merge(ctx, "people", "trial", contract=replace(PEOPLE, columns={**PEOPLE.columns, "age": LOOSE}))
    assert len(rows(ctx)) == 2


LOOSE = ColumnSettings(ColumnType.FLOAT, nullable=True)


def test_checks_in_python_are_asked_at_a_merge_too(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("def grown(frame):\n    return frame['age'] > 35\n")
    strict = replace(PEOPLE, custom={"grown": CustomCheckSettings("rules:grown")})
    make(ctx, [BOB])
    actions.branch(ctx, "people", "trial")
    make(ctx, [ANN], how="append", branch="trial")
    with pytest.raises(DataRefused, match="grown"):
        actions.merge(ctx, "people", "trial", contract=strict, root=tmp_path)
    with pytest.raises(NotFound, match="checks in Python"):
        actions.merge(ctx, "people", "trial", contract=strict)


def test_names_of_branches(ctx: Context) -> None:
    make(ctx, [ANN])
    actions.branch(ctx, "people", "trial")
    with pytest.raises(Conflict, match="has a branch 'trial' already"):
        actions.branch(ctx, "people", "trial")
    with pytest.raises(Conflict, match="'main' is there from the beginning"):
        actions.branch(ctx, "people", "main")
    with pytest.raises(Conflict, match="'main' is there"):
        actions.drop_branch(ctx, "people", "main")
    with pytest.raises(IdInvalid):
        actions.branch(ctx, "people", "Trial!")
    with pytest.raises(NotFound, match="has no branch 'trail'"):
        actions.merge(ctx, "people", "trail", contract=PEOPLE)
    with pytest.raises(NotFound, match="no version 7"):
        actions.branch(ctx, "people", "other", 7)
    actions.drop_branch(ctx, "people", "trial")
    with pytest.raises(NotFound):
        actions.read(ctx, "people", branch="trial")
    actions.branch(ctx, "people", "trial", 1)


def test_an_old_version_is_restored_as_a_new_one(ctx: Context) -> None:
    first = make(ctx, [ANN, BOB])
    make(ctx, [CID])
    back = actions.restore(ctx, "people", 1, message="the file was wrong")
    assert (back.number, back.parent, back.parts, back.digest) == (3, 2, first.parts, first.digest)
    assert back.message == "the file was wrong"
    assert rows(ctx) == [ANN, BOB]
    assert rows(ctx, version=2) == [CID]
    assert trail(ctx) == ["data.restored"]
    with pytest.raises(NotFound, match="It has 1 to 3"):
        actions.restore(ctx, "people", 4)


def test_of_two_writers_one_wins_and_the_other_is_told(ctx: Context) -> None:
    first = make(ctx, [ANN])
    draft = replace(first, parent=1)
    make(ctx, [BOB], how="append")
    with pytest.raises(StaleState, match="Another commit made people:2"), ctx.db.transaction() as connection:
        commit(ctx, connection, draft, first)
    with pytest.raises(StaleState), ctx.db.transaction() as connection:
        commit(ctx, connection, draft, None)
    assert [one.number for one in actions.versions(ctx, "people")] == [2, 1]


def test_a_merge_that_was_overtaken_is_told(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    make(ctx, [ANN])
    actions.branch(ctx, "people", "trial")
    make(ctx, [BOB], how="append", branch="trial")
    judge = judge_kept

    def slow(*arguments: object) -> object:
        make(ctx, [CID], how="append")
        return judge(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(actions.branching, "judge_kept", slow)
    with pytest.raises(StaleState, match="Another commit made people:3"):
        actions.merge(ctx, "people", "trial", contract=PEOPLE)
    monkeypatch.undo()
    actions.merge(ctx, "people", "trial", contract=PEOPLE)
    assert rows(ctx) == [ANN, BOB, CID]


def test_numbers_count_over_branches_and_a_dropped_branch_takes_no_commit(ctx: Context) -> None:
    make(ctx, [ANN])
    actions.branch(ctx, "people", "trial")
    make(ctx, [BOB], branch="trial")
    assert make(ctx, [CID]).number == 3
    head = actions.version(ctx, "people", branch="trial")
    actions.drop_branch(ctx, "people", "trial")
    with pytest.raises(StaleState), ctx.db.transaction() as connection:
        commit(ctx, connection, replace(head, parent=2), replace(head, number=9))
    assert [(one.name, one.versions, one.rows) for one in actions.datasets(ctx)] == [("people", 3, 1)]


def test_a_diff_says_what_changed_in_columns_counts_and_rows(ctx: Context) -> None:
    make(ctx, [ANN, BOB, CID])
    columns: dict[str, ColumnSettings] = {**PEOPLE.columns, "town": ColumnSettings(ColumnType.STRING, nullable=True)}
    del columns["name"]
    columns["age"] = ColumnSettings(ColumnType.INTEGER, nullable=True)
    make(ctx, [(2, "bob", 41.0), CID, (4, "dan", None)])
    found = actions.diff(ctx, "people", 1, 2)
    assert (found.rows, found.added, found.removed, found.retyped) == ((3, 3), (), (), ())
    assert (found.changes.added, found.changes.removed, found.changes.changed) == (1, 1, 1)
    assert found.changes.by_column == {"age": 1}
    assert found.changes.examples[0].before == {"id": 2, "name": "bob", "age": 40.0}
    assert found.changes.examples[0].after == {"id": 2, "name": "bob", "age": 41.0}
    age = next(one for one in found.columns if one.column == "age")
    assert (age.null_rate[0], round(age.null_rate[1], 3), age.mean) == (0.0, 0.333, (40.0, 45.5))
    assert next(one for one in found.columns if one.column == "name").new == ("dan",)
    assert json.loads(json.dumps(plain(found)))["changes"]["changed"] == 1
    frame = actions.read(ctx, "people").collect().with_columns(town=None, age=None).drop("name")
    make(ctx, frame, contract=ContractSettings(columns, key=("id",)), dataset="people")
    found = actions.diff(ctx, "people", 2, 3)
    assert (found.added, found.removed, found.retyped) == (("town",), ("name",), (Retyped("age", "float", "integer"),))
    assert (found.changes.changed, found.changes.key) == (0, ("id",))
    same = actions.diff(ctx, "people", 1, 1)
    assert (same.changes.examples, any(one.moved for one in same.columns)) == ((), False)


def test_a_diff_without_key_counts(ctx: Context) -> None:
    make(ctx, [ANN, ANN, BOB], contract=KEYLESS)
    make(ctx, [ANN, CID], contract=KEYLESS)
    changes = actions.diff(ctx, "people", 1, 2).changes
    assert (changes.key, changes.added, changes.removed, changes.changed) == ((), 1, 2, 0)


def test_who_was_first_does_not_matter_for_what_a_day_saw(tmp_path: Path) -> None:
    clock = FakeClock()
    ctx = make_context(tmp_path, clock=clock)
    begun = ctx.now()
    make(ctx, [ANN])
    clock.advance(timedelta(days=1))
    actions.branch(ctx, "people", "trial")
    make(ctx, [BOB], how="append", branch="trial")
    clock.advance(timedelta(days=1))
    actions.merge(ctx, "people", "trial", contract=PEOPLE)
    day = timedelta(days=1)
    assert [len(rows(ctx, at=begun + n * day)) for n in (0, 1, 2)] == [1, 1, 2]
    assert [len(rows(ctx, at=begun + n * day, branch="trial")) for n in (0, 1, 2)] == [1, 2, 2]
    ctx.db.close()


edits = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.none() | st.integers(0, 3)), min_size=1, max_size=5)


@given(st.dictionaries(st.integers(0, 6), st.integers(0, 3), min_size=1), edits)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_merge_through_the_store_is_that_of_dictionaries(
    tmp_path_factory: pytest.TempPathFactory, start: dict[int, int], changes: list[tuple[bool, int, int | None]]
) -> None:
    ctx = make_context(tmp_path_factory.mktemp("merge"))
    sides = {True: dict(start), False: dict(start)}
    for mine, key, value in changes:
        sides[mine].pop(key, None) if value is None else sides[mine].update({key: value})

    def put(table: dict[int, int], branch: str) -> DatasetVersion:
        return make(ctx, [(key, "x", float(value)) for key, value in table.items()], branch=branch)

    put(start, "main")
    actions.branch(ctx, "people", "trial")
    put(sides[True], "main")
    put(sides[False], "trial")
    states = {key: (start.get(key), sides[True].get(key), sides[False].get(key)) for key in range(7)}
    clash = [key for key, (was, mine, other) in states.items() if mine not in (was, other) and other != was]
    lenient = replace(PEOPLE, min_rows=0)
    if clash:
        with pytest.raises(Conflict, match=f"{len(clash)} rows"):
            actions.merge(ctx, "people", "trial", contract=lenient)
    else:
        actions.merge(ctx, "people", "trial", contract=lenient)
        expected = {key: other if mine == was else mine for key, (was, mine, other) in states.items()}
        assert rows(ctx) == [(key, "x", float(one)) for key, one in sorted(expected.items()) if one is not None]
    ctx.db.close()
