"""Rows that were set aside are corrected and taken in, or dropped; each once, and never unseen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.data import actions, tables
from modelloop.data.records import QuarantinedRow
from modelloop.data.settings import (
    ColumnSettings,
    ColumnType,
    ContractSettings,
    Format,
    FreshnessSettings,
    Mode,
    Personal,
    Severity,
    SourceSettings,
)
from modelloop.data.versions.correcting import from_csv, name_of, to_csv
from modelloop.ground.core.errors import Conflict, InvalidInput, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context

CONTRACT = ContractSettings(
    {
        "id": ColumnSettings(ColumnType.INTEGER),
        "name": ColumnSettings(ColumnType.STRING, nullable=True),
        "age": ColumnSettings(ColumnType.FLOAT, min=0, max=150),
    },
    key=("id",),
    on_violation=Severity.QUARANTINE,
    max_quarantined=0.9,
)
SOURCE = SourceSettings(path="in", dataset="people", contract="people", format=Format.CSV)


@pytest.fixture
def folder(ctx: Context, tmp_path: Path) -> Path:
    """One good row is in, three bad ones are set aside."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text('id,name,age\n1,ann,30\n2,"bob, jr",-4\n3,,old\nx,dan,20\n')
    actions.ingest(ctx, "feed", SOURCE, CONTRACT, root=tmp_path)
    return tmp_path


def waiting(ctx: Context) -> list[QuarantinedRow]:
    return actions.quarantined(ctx, "people", waiting=True)


def ids(ctx: Context) -> list[int]:
    return sorted(actions.read(ctx, "people").collect()["id"])


def test_one_row_is_corrected_and_taken_in(ctx: Context, folder: Path) -> None:
    first = waiting(ctx)[0]
    done = actions.correct(ctx, "feed", SOURCE, CONTRACT, root=folder, row=name_of(first), changes={"age": "40"})
    assert done.version is not None
    assert (done.version.number, done.version.parent, done.rows, done.still) == (2, 1, 1, ())
    assert ids(ctx) == [1, 2]
    assert actions.read(ctx, "people").collect().row(1) == (2, "bob, jr", 40.0)
    assert [row.settled for row in actions.quarantined(ctx, "people")] == ["readmitted", "", ""]
    assert [row.row for row in waiting(ctx)] == [3, 4]
    with pytest.raises(Conflict, match="readmitted already"):
        actions.correct(ctx, "feed", SOURCE, CONTRACT, root=folder, row=name_of(first), changes={"age": "41"})
    assert len(actions.arrivals(ctx, "people")) == 1
    with ctx.db.reading() as connection:
        audit.verify(connection)


def test_the_good_ones_go_in_and_the_others_wait_with_their_new_reasons(ctx: Context, folder: Path) -> None:
    two, three, four = map(name_of, waiting(ctx))
    done = actions.readmit(
        ctx,
        "feed",
        SOURCE,
        CONTRACT,
        root=folder,
        corrections={two: {"age": "40"}, three: {"age": "500"}, four: {"id": "1"}},
    )
    assert done.rows == 1
    assert [(one.row, float(one.values["age"] or 0)) for one in done.still] == [(3, 500), (4, 20)]
    assert "range" in done.still[0].reasons[0]
    assert "key" in done.still[1].reasons[0]
    assert ids(ctx) == [1, 2]
    assert [row.row for row in waiting(ctx)] == [3, 4]
    assert waiting(ctx)[0].values["age"] == "old"  # what came stays what it was


def test_where_the_contract_changed_rows_need_no_correction(ctx: Context, folder: Path) -> None:
    wider = replace(CONTRACT, columns={**CONTRACT.columns, "age": ColumnSettings(ColumnType.FLOAT)})
    done = actions.readmit(ctx, "feed", SOURCE, wider, root=folder)
    assert (done.rows, len(done.still)) == (1, 2)
    assert ids(ctx) == [1, 2]


def test_none_is_good(ctx: Context, folder: Path) -> None:
    done = actions.readmit(ctx, "feed", SOURCE, CONTRACT, root=folder)
    assert (done.version, done.rows, len(done.still)) == (None, 0, 3)
    assert len(actions.versions(ctx, "people")) == 1


def test_killed_before_the_commit_nothing_is_settled(
    ctx: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    two = name_of(waiting(ctx)[0])
    with monkeypatch.context() as patch:
        patch.setattr(audit, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            actions.correct(ctx, "feed", SOURCE, CONTRACT, root=folder, row=two, changes={"age": "4"})
    assert (ids(ctx), len(waiting(ctx))) == ([1], 3)
    actions.correct(ctx, "feed", SOURCE, CONTRACT, root=folder, row=two, changes={"age": "4"})
    assert (ids(ctx), len(waiting(ctx))) == ([1, 2], 2)


def test_rows_are_dropped_once(ctx: Context, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.exists()
    two, three, four = map(name_of, waiting(ctx))
    assert actions.drop(ctx, "people", [two], reason="a test row") == 1
    with pytest.raises(Conflict, match="dropped already"):
        actions.drop(ctx, "people", [two])
    with pytest.raises(NotFound, match="row 9"):
        actions.drop(ctx, "people", [(two[0], "a.csv", 9)])
    with monkeypatch.context() as patch:  # somebody else was quicker
        every = [replace(row, settled="") for row in actions.quarantined(ctx, "people")]
        patch.setattr(actions.quarantine, "quarantined", lambda *_, **__: every)
        with pytest.raises(Conflict, match="at the same time"):
            actions.drop(ctx, "people", [three, two])
    assert actions.drop(ctx, "people") == 2
    assert actions.drop(ctx, "people") == 0
    assert {row.settled for row in actions.quarantined(ctx, "people")} == {"dropped"}
    with ctx.db.reading() as connection:
        assert len(tables.settled(connection, [four[0]])) == 3


def test_what_cannot_be_corrected(ctx: Context, folder: Path) -> None:
    two = name_of(waiting(ctx)[0])
    with pytest.raises(InvalidInput, match="no column 'agee'"):
        actions.correct(ctx, "feed", SOURCE, CONTRACT, root=folder, row=two, changes={"agee": "4"})
    with pytest.raises(NotFound, match="No row was set aside"):
        actions.correct(ctx, "feed", SOURCE, CONTRACT, root=folder, row=("arr_x", "a.csv", 2), changes={})
    columns = {**CONTRACT.columns, "name": ColumnSettings(ColumnType.STRING, nullable=True, personal=Personal.HASH)}
    with pytest.raises(InvalidInput, match="kept as a hash"):
        actions.readmit(ctx, "feed", SOURCE, replace(CONTRACT, columns=columns), root=folder)


def test_a_few_rows_are_not_held_to_what_is_asked_of_an_arrival(ctx: Context, folder: Path) -> None:
    columns = {**CONTRACT.columns, "at": ColumnSettings(ColumnType.TIME, nullable=True)}
    asking = replace(
        CONTRACT, columns=columns, min_rows=50, max_row_change=0.1, freshness=FreshnessSettings("at", within=1)  # type: ignore[arg-type]
    )  # fmt: skip
    two = name_of(waiting(ctx)[0])
    assert actions.correct(ctx, "feed", SOURCE, asking, root=folder, row=two, changes={"age": "4"}).rows == 1


def test_where_a_source_merges_a_corrected_row_replaces_the_one_with_its_key(ctx: Context, folder: Path) -> None:
    merging = replace(SOURCE, mode=Mode.MERGE)
    two = name_of(waiting(ctx)[0])
    actions.correct(ctx, "feed", merging, CONTRACT, root=folder, row=two, changes={"id": "1", "age": "31"})
    assert actions.read(ctx, "people").collect().rows() == [(1, "bob, jr", 31.0)]


def test_out_as_csv_and_back(ctx: Context, folder: Path) -> None:
    rows = waiting(ctx)
    text = to_csv(rows)
    assert from_csv(text, rows) == {name_of(row): {} for row in rows}
    changed = text.replace("-4.0", "44").replace("old", "50")
    corrections = from_csv(changed, rows)
    assert list(corrections.values()) == [{"age": "44"}, {"age": "50"}, {}]
    done = actions.readmit(ctx, "feed", SOURCE, CONTRACT, root=folder, corrections=corrections)
    assert (done.rows, [row.row for row in done.still]) == (2, [4])
    for wrong, said in (
        ("id,name\n1,2\n", "lacks the column __arrival"),
        (text + "a,b\n", "more or fewer fields"),
        (text + text.splitlines()[1] + "\n", "once more"),
        (text.replace(",3,", ",33,"), "not waiting"),
        (text.replace(",3,", ",three,"), "number of the row"),
    ):
        with pytest.raises(InvalidInput, match=said):
            from_csv(wrong, rows)


values = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)


@given(st.lists(st.tuples(values, values), min_size=1, max_size=5))
def test_any_value_survives_the_way_out_and_back(pairs: list[tuple[str | None, str | None]]) -> None:
    rows = [
        QuarantinedRow("people", "arr_1", None, "a,\n.csv", n, ("why; not",), {"a": a, "b": b})
        for n, (a, b) in enumerate(pairs)
    ]
    assert from_csv(to_csv(rows), rows) == {name_of(row): {} for row in rows}
    other = [replace(row, values={"a": "new", "b": None}) for row in rows]
    expected = [
        {"a": "new"} | ({"b": None} if row.values["b"] else {}) if row.values["a"] != "new" else {} for row in rows
    ]
    got = from_csv(to_csv(other), rows)
    assert [change.get("a", "new") for change in got.values()] == ["new"] * len(rows)
    assert [("b" in change) for change in got.values()] == [bool(row.values["b"]) for row in rows]
    assert len(expected) == len(got)
