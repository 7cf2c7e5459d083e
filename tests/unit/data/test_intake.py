"""What an arrival goes through, end to end: modes, severities, own checks, other datasets, drift, personal data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from modelloop.data import actions
from modelloop.data.actions import gathering, ingest, quarantined, read, version, versions
from modelloop.data.settings import (
    AnomalySettings,
    ColumnSettings,
    ColumnType,
    ConditionSettings,
    ContractSettings,
    CustomCheckSettings,
    Format,
    Mode,
    Personal,
    Severity,
    SourceDriftSettings,
    SourceKind,
    SourceSettings,
)
from modelloop.ground.core.errors import DataRefused, InvalidInput, NotFound
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import FakeClock

NUMBER = ColumnSettings(ColumnType.INTEGER)
TEXT = ColumnSettings(ColumnType.STRING)
SOURCE = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.CSV)
CONTRACT = ContractSettings({"id": NUMBER, "x": NUMBER}, key=("id",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def put(folder: Path, name: str, header: str, *rows: str) -> None:
    (folder / "in" / name).write_text("\n".join([header, *rows]) + "\n")


def ids(ctx: Context, number: int | None = None) -> dict[int, int]:
    return dict(sorted(read(ctx, "rows", number).select("id", "x").collect().iter_rows()))


def test_merged_files_are_versions_in_their_order(ctx: Context, folder: Path) -> None:
    source = replace(SOURCE, mode=Mode.MERGE)
    put(folder, "1.csv", "id,x", "1,1", "2,2")
    put(folder, "2.csv", "id,x", "2,20", "3,3")
    got = ingest(ctx, "feed", source, CONTRACT, root=folder)
    assert got is not None
    assert got.version.number == 2
    assert ids(ctx, 1) == {1: 1, 2: 2}
    assert ids(ctx) == {1: 1, 2: 20, 3: 3}
    put(folder, "2.csv", "id,x", "2,21")  # a file may change: its rows are merged again
    ingest(ctx, "feed", source, CONTRACT, root=folder)
    assert ids(ctx) == {1: 1, 2: 21, 3: 3}
    assert ids(ctx, 2) == {1: 1, 2: 20, 3: 3}
    assert ingest(ctx, "feed", source, CONTRACT, root=folder) is None


def test_merging_needs_a_key(ctx: Context, folder: Path) -> None:
    put(folder, "1.csv", "id,x", "1,1")
    with pytest.raises(InvalidInput, match="merges by key"):
        ingest(ctx, "feed", replace(SOURCE, mode=Mode.MERGE), replace(CONTRACT, key=()), root=folder)


def test_a_warning_keeps_the_rows_and_tells(ctx: Context, folder: Path) -> None:
    x = ColumnSettings(ColumnType.INTEGER, max=10, severity=Severity.WARN)
    put(folder, "1.csv", "id,x", "1,1", "2,99")
    got = ingest(ctx, "feed", SOURCE, replace(CONTRACT, columns={"id": NUMBER, "x": x}), root=folder)
    assert got is not None
    assert (got.report.accepted, got.report.quarantined, got.report.refused) == (2, 0, False)
    (broken,) = got.report.broken
    assert (broken.check, broken.violations, broken.severity) == ("range", 1, Severity.WARN)


def test_conditions_and_own_checks_judge_rows_and_tables(ctx: Context, folder: Path) -> None:
    (folder / "checks.py").write_text(
        "import polars as pl\n"
        "def odd(frame):\n    return frame['x'] % 2 == 1\n"
        "def enough(frame):\n    return True if len(frame) > 1 else f'only {len(frame)} rows'\n"
        "def broken(frame):\n    return frame['y']\n"
    )
    put(folder, "1.csv", "id,x", "1,1", "2,2", "3,9", "4,5")
    contract = replace(
        CONTRACT,
        on_violation=Severity.QUARANTINE,
        max_quarantined=0.6,
        rows={"small": ConditionSettings("x < id * 3")},
        custom={"odd": CustomCheckSettings("checks:odd"), "enough": CustomCheckSettings("checks:enough")},
    )
    got = ingest(ctx, "feed", SOURCE, contract, root=folder)
    assert got is not None
    assert ids(ctx) == {1: 1, 4: 5}
    assert {one.row: one.reasons for one in quarantined(ctx, "rows")}.keys() == {2, 3}
    (folder / "checks.py").write_text("def odd(frame):\n    return 1 / 0\n")  # taken as it is now
    put(folder, "2.csv", "id,x", "5,5")
    with pytest.raises(DataRefused, match="ZeroDivisionError"):
        ingest(ctx, "feed", SOURCE, replace(contract, custom={"odd": CustomCheckSettings("checks:odd")}), root=folder)


def test_every_value_is_in_the_other_dataset(ctx: Context, folder: Path) -> None:
    refers = replace(CONTRACT, columns={"id": NUMBER, "x": ColumnSettings(ColumnType.INTEGER, references="others.id")})
    put(folder, "1.csv", "id,x", "1,7")
    with pytest.raises(NotFound, match="others"):
        ingest(ctx, "feed", SOURCE, refers, root=folder)
    (folder / "others.csv").write_text("id,x\n7,0\n8,0\n")
    ingest(
        ctx,
        "o",
        SourceSettings(path="others.csv", dataset="others", contract="rows", format=Format.CSV),
        CONTRACT,
        root=folder,
    )
    assert ingest(ctx, "feed", SOURCE, refers, root=folder) is not None
    put(folder, "2.csv", "id,x", "2,9")
    with pytest.raises(DataRefused, match="references"):
        ingest(ctx, "feed", SOURCE, refers, root=folder)


def test_drift_is_part_of_the_verdict(ctx: Context, folder: Path) -> None:
    contract = replace(CONTRACT, drift=SourceDriftSettings(severity=Severity.STOP))
    put(folder, "1.csv", "id,x", *(f"{n},{n % 10}" for n in range(2000)))
    put(folder, "2.csv", "id,x")
    (folder / "in" / "2.csv").unlink()
    assert ingest(ctx, "feed", SOURCE, contract, root=folder) is not None
    put(folder, "2.csv", "id,x", *(f"{n},{(n * 7) % 10}" for n in range(2000, 4000)))
    same = ingest(ctx, "feed", SOURCE, contract, root=folder)
    assert same is not None
    assert same.report.drift is not None
    assert (same.report.drift.reference, same.report.drift.drifted) == ("rows:1", ())
    put(folder, "3.csv", "id,x", *(f"{n},{n % 10 + 500}" for n in range(4000, 6000)))
    with pytest.raises(DataRefused, match="x drift: differs from rows:1"):
        ingest(ctx, "feed", SOURCE, contract, root=folder)
    assert version(ctx, "rows").number == 2
    warned = ingest(ctx, "feed", SOURCE, replace(contract, drift=SourceDriftSettings()), root=folder)
    assert warned is not None
    assert warned.report.drift is not None
    assert warned.report.drift.drifted == ("x",)


def test_anomalies_are_told(ctx: Context, folder: Path) -> None:
    put(folder, "1.csv", "id,x", *(f"{n},{n % 10}" for n in range(500)), "500,100000")
    contract = replace(CONTRACT, anomalies=AnomalySettings())
    got = ingest(ctx, "feed", SOURCE, contract, root=folder)
    assert got is not None
    assert "outliers" in {one.kind for one in got.report.findings}


def test_personal_data_is_nowhere_in_the_store(ctx: Context, folder: Path) -> None:
    mail = "jane.doe@example.org"
    columns = {"id": NUMBER, "x": NUMBER, "mail": ColumnSettings(ColumnType.STRING, personal=Personal.HASH)}
    contract = ContractSettings(columns, key=("id",), on_violation=Severity.QUARANTINE, max_quarantined=0.9)
    put(folder, "1.csv", "id,x,mail", f"1,1,{mail}", f"2,bad,{mail}", "3,3,other@example.org")
    assert ingest(ctx, "feed", SOURCE, contract, root=folder) is not None
    held = read(ctx, "rows").collect()["mail"]
    assert held.n_unique() == 2
    put(folder, "2.csv", "id,x,mail", f"4,4,{mail}")
    ingest(ctx, "feed", SOURCE, contract, root=folder)
    assert read(ctx, "rows").collect()["mail"].n_unique() == 2  # the same person has the same hash
    blobs = b"".join(ctx.blobs.get(one) for one in ctx.blobs.hashes())
    facts = (ctx.home / "facts.sqlite").read_bytes() + b"".join(p.read_bytes() for p in ctx.home.glob("facts.sqlite-*"))

    decoded = "".join(
        str(pl.read_parquet(ctx.blobs.path(one)).rows())
        for one in ctx.blobs.hashes()
        if ctx.blobs.get(one)[:4] == b"PAR1"
    )
    assert mail not in decoded
    assert mail.encode() not in blobs + facts


def test_many_batches_are_one_arrival(ctx: Context, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PART_ROWS", 2)
    monkeypatch.setattr(gathering, "_ASIDE_ROWS", 2)
    contract = replace(CONTRACT, on_violation=Severity.QUARANTINE, max_quarantined=0.9)
    for name in range(6):
        put(folder, f"{name}.csv", "id,x", f"{name},1", f"{name + 1},1", f"{name + 100},bad")
    got = ingest(ctx, "feed", SOURCE, contract, root=folder)
    assert got is not None
    assert (got.report.rows, got.report.accepted, got.report.quarantined) == (18, 7, 11)
    assert ids(ctx) == dict.fromkeys(range(7), 1)
    assert len(quarantined(ctx, "rows")) == 11


def test_a_source_that_is_not_a_folder_is_asked_when_it_is_due(ctx: Context, folder: Path) -> None:
    put(folder, "1.csv", "id,x", "1,1")
    ingest(ctx, "feed", SOURCE, CONTRACT, root=folder)
    copy = SourceSettings(kind=SourceKind.DATASET, of="rows", dataset="copy", contract="rows", mode=Mode.REPLACE)
    assert ingest(ctx, "copy", copy, CONTRACT, root=folder, only_due=True) is not None
    put(folder, "2.csv", "id,x", "2,2")
    ingest(ctx, "feed", SOURCE, CONTRACT, root=folder)
    assert ingest(ctx, "copy", copy, CONTRACT, root=folder, only_due=True) is None
    clock = ctx.clock
    assert isinstance(clock, FakeClock)
    clock.advance(timedelta(minutes=15))
    assert ingest(ctx, "copy", copy, CONTRACT, root=folder, only_due=True) is not None
    assert len(versions(ctx, "copy")) == 2
    assert [one.name for one in actions.datasets(ctx)] == ["copy", "rows"]


def test_what_was_refused_is_judged_anew_when_its_cause_is_mended(ctx: Context, folder: Path) -> None:
    refers = replace(CONTRACT, columns={"id": NUMBER, "x": ColumnSettings(ColumnType.INTEGER, references="others.id")})
    (folder / "others.csv").write_text("id,x\n7,0\n")
    others = replace(SOURCE, path="others.csv", dataset="others", mode=Mode.REPLACE)
    ingest(ctx, "o", others, CONTRACT, root=folder)
    put(folder, "1.csv", "id,x", "1,8")
    for _ in range(2):
        with pytest.raises(DataRefused):
            ingest(ctx, "feed", SOURCE, refers, root=folder)
    assert len(actions.arrivals(ctx, "rows")) == 1
    (folder / "others.csv").write_text("id,x\n7,0\n8,0\n")
    ingest(ctx, "o", others, CONTRACT, root=folder)
    assert ingest(ctx, "feed", SOURCE, refers, root=folder) is not None
    (folder / "checks.py").write_text("def good(frame):\n    return 'not yet'\n")
    put(folder, "2.csv", "id,x", "2,2")
    own = replace(CONTRACT, custom={"good": CustomCheckSettings("checks:good")})
    with pytest.raises(DataRefused, match="not yet"):
        ingest(ctx, "feed", SOURCE, own, root=folder)
    (folder / "checks.py").write_text("def good(frame):\n    return True\n")
    assert ingest(ctx, "feed", SOURCE, own, root=folder) is not None


def test_a_branch_that_is_dropped_gives_its_files_back(ctx: Context, folder: Path) -> None:
    put(folder, "1.csv", "id,x", "1,1")
    ingest(ctx, "feed", SOURCE, CONTRACT, root=folder)
    with pytest.raises(NotFound, match="no branch"):
        ingest(ctx, "feed", SOURCE, CONTRACT, root=folder, branch="nowhere")
    actions.branch(ctx, "rows", "try")
    put(folder, "2.csv", "id,x", "2,2")
    ingest(ctx, "feed", SOURCE, CONTRACT, root=folder, branch="try")
    assert ids(ctx) == {1: 1}
    assert ingest(ctx, "feed", SOURCE, CONTRACT, root=folder) is None
    actions.drop_branch(ctx, "rows", "try")
    assert ingest(ctx, "feed", SOURCE, CONTRACT, root=folder) is not None
    assert ids(ctx) == {1: 1, 2: 2}


def test_a_refused_source_is_asked_again_only_when_it_is_due(ctx: Context, folder: Path) -> None:
    put(folder, "1.csv", "id,x", "1,1")
    ingest(ctx, "feed", SOURCE, CONTRACT, root=folder)
    copy = SourceSettings(kind=SourceKind.DATASET, of="rows", dataset="copy", contract="rows", mode=Mode.REPLACE)
    strict = replace(CONTRACT, min_rows=5)
    with pytest.raises(DataRefused):
        ingest(ctx, "copy", copy, strict, root=folder, only_due=True)
    assert ingest(ctx, "copy", copy, strict, root=folder, only_due=True) is None


def test_a_hash_in_a_file_is_nobodys_item(ctx: Context, folder: Path) -> None:
    """Who knows the hash of another's bytes could else read them through a table, or have them erased."""
    secret = ctx.blobs.put(b"a model package")
    columns = {"id": NUMBER, "image": ColumnSettings(ColumnType.BINARY, nullable=True)}
    contract = ContractSettings(columns, key=("id",), on_violation=Severity.QUARANTINE, max_quarantined=0.9)
    put(folder, "1.csv", "id,image", f"1,{secret}", "2,", "3,")
    got = ingest(ctx, "feed", SOURCE, contract, root=folder)
    assert got is not None
    assert (got.report.accepted, got.report.quarantined) == (2, 1)
    with pytest.raises(InvalidInput, match="cannot be written by hand"):
        actions.readmit(ctx, "feed", SOURCE, contract, root=folder)
    (row,) = quarantined(ctx, "rows")
    with pytest.raises(InvalidInput, match="cannot be written by hand"):
        actions.correct(
            ctx, "feed", SOURCE, contract, root=folder, row=(row.arrival, row.file, row.row), changes={"image": secret}
        )
    without = {"image": None}
    actions.correct(ctx, "feed", SOURCE, contract, root=folder, row=(row.arrival, row.file, row.row), changes=without)
    assert read(ctx, "rows").collect().sort("id")["image"].to_list() == [None] * 3


def test_items_of_another_dataset_are_taken_over(ctx: Context, folder: Path) -> None:
    columns = {"name": TEXT, "content": ColumnSettings(ColumnType.BINARY)}
    contract = ContractSettings(columns, key=("name",), extra_columns=True)
    (folder / "in" / "a.png").write_bytes(b"picture")
    ingest(ctx, "feed", replace(SOURCE, format=Format.BINARY), contract, root=folder)
    copy = SourceSettings(kind=SourceKind.DATASET, of="rows", dataset="copy", contract="rows", mode=Mode.REPLACE)
    assert ingest(ctx, "copy", copy, contract, root=folder) is not None
    assert read(ctx, "copy", load=["content"]).collect()["content"].to_list() == [b"picture"]
