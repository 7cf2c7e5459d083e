"""Ingest: idempotent, all or nothing, one winner, and what was refused is kept and listed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from modelloop.data import actions
from modelloop.data.actions import ingest, intake, quarantined, read, report, version, versions
from modelloop.data.records import DatasetVersion
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Format, Mode, Severity, SourceSettings
from modelloop.ground.core.errors import BlobMissing, DataRefused, IdInvalid, NotFound, StaleState
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context

CONTRACT = ContractSettings(
    {"id": ColumnSettings(ColumnType.INTEGER, min=0), "x": ColumnSettings(ColumnType.FLOAT, nullable=True)}, key=("id",)
)
LENIENT = ContractSettings(CONTRACT.columns, key=("id",), on_violation=Severity.QUARANTINE, max_quarantined=0.5)
FOLDER = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.CSV)
TABLE = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.CSV, mode=Mode.REPLACE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def put(folder: Path, name: str, *rows: str) -> Path:
    path = folder / "in" / name
    path.write_text("\n".join(["id,x", *rows, ""]))
    return path


def ids(ctx: Context, number: int | None = None) -> list[int]:
    return read(ctx, "rows", number).collect()["id"].to_list()


def trail(ctx: Context) -> list[str]:
    with ctx.db.reading() as connection:
        audit.verify(connection)
        return [entry.action for entry in audit.entries(connection)]


def test_a_folder_that_grows_makes_versions(ctx: Context, folder: Path) -> None:
    assert ingest(ctx, "feed", FOLDER, CONTRACT, root=folder) is None
    put(folder, "b.csv", "3,", "4,1")
    put(folder, "a.csv", "1,5")
    put(folder, ".hidden.csv", "junk")
    put(folder, "_writing.csv", "junk")
    put(folder, "notes.txt", "junk")
    first = ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    assert first is not None
    assert (first.files, first.version.number, first.version.rows, first.version.parent) == (
        ("a.csv", "b.csv"),
        1,
        3,
        None,
    )
    assert ids(ctx) == [1, 3, 4]  # files in name order
    assert ingest(ctx, "feed", FOLDER, CONTRACT, root=folder) is None
    put(folder, "c.csv", "9,1")
    second = ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    assert second is not None
    assert (second.version.number, second.version.rows, second.version.parent) == (2, 4, 1)
    assert second.version.parts[0] == first.version.parts[0]
    assert (ids(ctx), ids(ctx, 1)) == ([1, 3, 4, 9], [1, 3, 4])
    assert [one.number for one in versions(ctx, "rows")] == [2, 1]
    assert [(one.name, one.versions, one.rows) for one in actions.datasets(ctx)] == [("rows", 2, 4)]
    assert {one.what for one in report(ctx, "rows", 2).changes} >= {"rows", "mean"}
    assert trail(ctx) == ["data.ingested", "data.ingested"]
    assert DatasetVersion.from_json(json.loads(json.dumps(second.version.to_json()))) == version(ctx, "rows")


def test_a_file_touched_but_equal_is_known_and_an_equal_file_by_another_name_is_not_taken_twice(
    ctx: Context, folder: Path
) -> None:
    path = put(folder, "a.csv", "1,1")
    ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    path.write_bytes(path.read_bytes())
    assert ingest(ctx, "feed", FOLDER, CONTRACT, root=folder) is None
    put(folder, "copy.csv", "1,1")
    with pytest.raises(DataRefused, match="no key that the dataset has already"):
        ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)


def test_a_file_that_changed_after_it_was_taken_is_refused(ctx: Context, folder: Path) -> None:
    put(folder, "a.csv", "1,1")
    ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    put(folder, "a.csv", "1,1", "2,2")
    with pytest.raises(DataRefused, match="other content"):
        ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    assert ids(ctx) == [1]


def test_replace_makes_the_newest_file_the_table(ctx: Context, folder: Path) -> None:
    put(folder, "1.csv", "1,1")
    put(folder, "2.csv", "1,2", "2,2")
    got = ingest(ctx, "feed", TABLE, CONTRACT, root=folder)
    assert got is not None
    assert ids(ctx) == [1, 2]
    put(folder, "2.csv", "7,2")
    got = ingest(ctx, "feed", TABLE, CONTRACT, root=folder)
    assert got is not None
    assert (ids(ctx), ids(ctx, 1), got.version.parent) == ([7], [1, 2], 1)
    one = SourceSettings(path="in/2.csv", dataset="single", contract="rows", format=Format.CSV, mode=Mode.REPLACE)
    got = ingest(ctx, "one", one, CONTRACT, root=folder)
    assert got is not None
    assert got.version.name == "single:1"


def test_stop_commits_nothing_but_keeps_the_evidence(ctx: Context, folder: Path) -> None:
    put(folder, "a.csv", "1,1", "-5,1", "x,2")
    put(folder, "b.csv", "2,1")
    with pytest.raises(DataRefused, match="id range: expected at least 0") as refused:
        ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    said = refused.value.detail["report"]
    assert (said["rows"], said["accepted"], said["quarantined"], said["refused"]) == (4, 0, 2, True)
    with pytest.raises(NotFound):
        version(ctx, "rows")
    assert [(one.file, one.row, one.version) for one in quarantined(ctx, "rows")] == [
        ("a.csv", 2, None),
        ("a.csv", 3, None),
    ]
    assert quarantined(ctx, "rows")[1].values == {"id": "x", "x": "2.0"}
    assert quarantined(ctx, "rows")[0].reasons == ("id: range, expected at least 0",)
    with pytest.raises(DataRefused):
        ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    assert len(actions.arrivals(ctx, "rows")) == 1  # the same refusal is recorded once
    assert trail(ctx) == ["data.refused"]
    put(folder, "a.csv", "1,1", "5,1")
    assert ingest(ctx, "feed", FOLDER, CONTRACT, root=folder) is not None
    assert ids(ctx) == [1, 5, 2]


def test_quarantine_takes_the_good_rows_and_lists_the_others(ctx: Context, folder: Path) -> None:
    put(folder, "a.csv", "1,1", "-5,1", "1,2", "4,")
    got = ingest(ctx, "feed", FOLDER, LENIENT, root=folder)
    assert got is not None
    assert (got.report.accepted, got.report.quarantined, ids(ctx)) == (2, 2, [1, 4])
    rows = quarantined(ctx, "rows")
    assert [(one.row, one.version) for one in rows] == [(2, 1), (3, 1)]
    assert actions.arrivals(ctx)[0].report == got.report
    put(folder, "b.csv", "-1,1", "-2,1", "8,1")
    with pytest.raises(DataRefused, match=r"at most 50\.00% bad rows"):
        ingest(ctx, "feed", FOLDER, LENIENT, root=folder)
    assert len(quarantined(ctx, "rows")) == 4
    assert len(quarantined(ctx, "rows", limit=3)) == 3


def test_an_unreadable_file_is_named_and_evidence_is_kept(ctx: Context, folder: Path) -> None:
    (folder / "in" / "a.parquet").write_bytes(b"PAR1 and no more")
    source = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.PARQUET)
    with pytest.raises(DataRefused, match=r"a\.parquet cannot be read as parquet"):
        ingest(ctx, "feed", source, CONTRACT, root=folder)
    assert quarantined(ctx, "rows") == []
    assert actions.arrivals(ctx)[0].report.broken[0].check == "readable"


def test_links_out_of_the_folder_are_never_followed(ctx: Context, folder: Path) -> None:
    secret = folder / "secret.csv"
    secret.write_text("id,x\n1,1\n")
    (folder / "in" / "a.csv").symlink_to(secret)
    with pytest.raises(DataRefused, match="leads out of its folder"):
        ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    one = SourceSettings(path="in/a.csv", dataset="rows", contract="rows", format=Format.CSV)
    with pytest.raises(DataRefused, match="leads out of its folder"):
        ingest(ctx, "feed", one, CONTRACT, root=folder)
    (folder / "in" / "a.csv").unlink()
    put(folder, "b.csv", "1,1")
    (folder / "in" / "c.csv").symlink_to("b.csv")
    got = ingest(ctx, "feed", TABLE, CONTRACT, root=folder)
    assert got is not None
    assert got.files == ("b.csv", "c.csv")


def test_what_a_store_could_not_keep_is_shown_otherwise_or_refused(ctx: Context, folder: Path) -> None:
    put(folder, "a.csv", "1,\x00bad", "2,1e308", "3,1e308")
    got = ingest(ctx, "feed", FOLDER, LENIENT, root=folder)
    assert got is not None
    assert "a.csv row 1: \ufffdbad" in got.report.broken[0].examples
    assert got.report.columns[1].mean is None or got.report.columns[1].mean < float("inf")
    put(folder, "line\nbreak.csv", "9,1")
    with pytest.raises(DataRefused, match="unprintable"):
        ingest(ctx, "feed", FOLDER, LENIENT, root=folder)


def test_killed_between_bytes_and_facts_it_goes_on(ctx: Context, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "a.csv", "1,1")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(intake.audit, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    assert actions.datasets(ctx) == []
    got = ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    assert got is not None
    assert got.version.number == 1
    assert len(list(ctx.blobs.hashes())) == 2  # the part and its profile


def test_of_two_at_once_one_wins_and_the_other_repeats(
    ctx: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "a.csv", "1,1")
    other = SourceSettings(path="other", dataset="rows", contract="rows", format=Format.CSV)
    (folder / "other").mkdir()
    (folder / "other" / "z.csv").write_text("id,x\n1,9\n")
    plain = intake._gather

    def overtaken(context: Context, asked: object) -> object:
        monkeypatch.setattr(intake, "_gather", plain)
        assert ingest(ctx, "feed", FOLDER, CONTRACT, root=folder) is not None
        return plain(context, asked)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "_gather", overtaken)
    with pytest.raises(StaleState, match="rows:1"):
        ingest(ctx, "second", other, CONTRACT, root=folder)
    assert ids(ctx) == [1]
    with pytest.raises(DataRefused, match="already"):  # the repeat sees the winner's keys
        ingest(ctx, "second", other, CONTRACT, root=folder)


def test_a_version_reads_old_parts_with_new_columns(ctx: Context, folder: Path) -> None:
    put(folder, "a.csv", "1,1")
    ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    wider = ContractSettings(
        {"note": ColumnSettings(ColumnType.STRING, nullable=True), "id": ColumnSettings(ColumnType.FLOAT)}, key=("id",)
    )
    (folder / "in" / "b.csv").write_text("id,note\n2.5,hello\n")
    (folder / "in" / "c.csv").write_text("id,note\n1.0,again\n")
    with pytest.raises(DataRefused, match="already"):
        ingest(ctx, "feed", FOLDER, wider, root=folder)
    (folder / "in" / "c.csv").unlink()
    got = ingest(ctx, "feed", FOLDER, wider, root=folder)
    assert got is not None
    assert read(ctx, "rows").collect().rows() == [(None, 1.0), ("hello", 2.5)]
    assert ids(ctx, 1) == [1]


def test_equal_content_has_an_equal_digest(ctx: Context, folder: Path) -> None:
    put(folder, "a.csv", "1,1")
    one = ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    two = ingest(
        ctx,
        "again",
        SourceSettings(path="in", dataset="more", contract="rows", format=Format.CSV),
        CONTRACT,
        root=folder,
    )
    three = ingest(
        ctx,
        "lenient",
        SourceSettings(path="in", dataset="third", contract="rows", format=Format.CSV),
        LENIENT,
        root=folder,
    )
    assert one is not None
    assert two is not None
    assert three is not None
    assert one.version.digest == two.version.digest != three.version.digest


def test_what_is_not_there_is_said_in_words(ctx: Context, folder: Path) -> None:
    with pytest.raises(NotFound, match="nowhere, which is not there"):
        ingest(ctx, "feed", SourceSettings(path="nowhere", dataset="rows", contract="rows"), CONTRACT, root=folder)
    with pytest.raises(NotFound, match="There are: none yet"):
        read(ctx, "rows")
    put(folder, "a.csv", "1,1")
    ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    with pytest.raises(NotFound, match="It has 1 to 1"):
        version(ctx, "rows", 2)
    with pytest.raises(IdInvalid):
        ingest(ctx, "../feed", FOLDER, CONTRACT, root=folder)
    path = ctx.blobs.path(version(ctx, "rows").parts[0].cells[0].digest)
    assert path is not None
    path.unlink()
    with pytest.raises(BlobMissing):
        read(ctx, "rows")


def test_an_empty_arrival_comes_in_where_no_rows_are_asked_for(ctx: Context, folder: Path) -> None:
    put(folder, "a.csv")
    with pytest.raises(DataRefused, match="expected at least 1 rows"):
        ingest(ctx, "feed", FOLDER, CONTRACT, root=folder)
    got = ingest(ctx, "feed", FOLDER, ContractSettings(CONTRACT.columns, min_rows=0), root=folder)
    assert got is not None
    assert read(ctx, "rows").collect().schema == {"id": pl.Int64, "x": pl.Float64}
