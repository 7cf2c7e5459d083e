"""Files that are damaged, of another encoding or not to be read: refused with where and why, and listed."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from modelloop.data import actions
from modelloop.data.adapters import copies
from modelloop.data.contract.cast import cast
from modelloop.data.formats.parse import parse
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Format, SourceSettings
from modelloop.ground.core.errors import DataRefused, NotFound
from modelloop.ground.store.context import Context

CONTRACT = ContractSettings({"at": ColumnSettings(ColumnType.TIME), "n": ColumnSettings(ColumnType.INTEGER)})
CSV = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.CSV)
PARQUET = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.PARQUET)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the header has 2"),
        (b"a,b\n1,2\n\xe9,2\n", "line 3 has the byte 0xe9, which is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16-be"), "line 1 has the byte"),
        ("a,b\n1,2\n".encode("utf-16"), "it is UTF-16; expected UTF-8"),
        (b"", "empty CSV"),
    ],
)
def test_a_csv_that_cannot_be_read_says_where(data: bytes, said: str) -> None:
    if said.startswith("line 1"):
        data = b"\xff" + data
    with pytest.raises(DataRefused) as caught:
        parse(data, Format.CSV, "rows.csv")
    assert said in caught.value.message
    assert caught.value.message.endswith(".")
    assert ".." not in caught.value.message


def test_a_quoted_line_break_is_no_ragged_row() -> None:
    assert parse(b'a,b\n"1\n1",2\n', Format.CSV, "rows.csv").height == 1


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_beyond_any_calendar_are_bad_values(ctx: Context, tmp_path: Path, unit: str) -> None:
    (tmp_path / "in").mkdir()
    far = 2**62 if unit != "ns" else 0
    frame = pl.DataFrame({"at": pl.Series([far, 0], dtype=pl.Int64).cast(pl.Datetime(unit)), "n": [1, 2]})  # type: ignore[arg-type]
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    (tmp_path / "in" / "a.parquet").write_bytes(buffer.getvalue())
    if unit == "ns":
        taken = actions.ingest(ctx, "feed", PARQUET, CONTRACT, root=tmp_path)
        assert taken is not None
        assert actions.read(ctx, "rows").collect()["at"][1] == datetime(1970, 1, 1, tzinfo=UTC)
        return
    with pytest.raises(DataRefused, match="expected time; 1 of 2 rows"):
        actions.ingest(ctx, "feed", PARQUET, CONTRACT, root=tmp_path)
    assert [row.row for row in actions.quarantined(ctx, "rows")] == [1]


@pytest.mark.parametrize("day", [2**30, -(2**30)])
def test_days_beyond_any_calendar_are_bad_values(ctx: Context, tmp_path: Path, day: int) -> None:
    (tmp_path / "in").mkdir()
    frame = pl.DataFrame({"at": pl.Series([day, 0], dtype=pl.Int32).cast(pl.Date), "n": [1, 2]})
    frame.write_parquet(tmp_path / "in" / "a.parquet")
    with pytest.raises(DataRefused, match="expected time; 1 of 2 rows"):
        actions.ingest(ctx, "feed", PARQUET, CONTRACT, root=tmp_path)


def test_a_file_refused_as_a_whole_is_listed_with_its_reason(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("at\n2013-01-01\n")
    with pytest.raises(DataRefused) as caught:
        actions.ingest(ctx, "feed", CSV, CONTRACT, root=tmp_path)
    assert "quarantine" not in caught.value.hint, "there is no single row to look at"
    (refused,) = actions.refused(ctx, "rows")
    assert refused.files == ("a.csv",)
    assert "a.csv lacks the column n" in refused.reasons[0]
    assert actions.quarantined(ctx, "rows") == []


def test_unknown_datasets_are_told(ctx: Context) -> None:
    for look in (actions.versions, actions.quarantined):
        with pytest.raises(NotFound, match="no dataset 'rows'"):
            look(ctx, "rows")


def test_a_file_that_may_not_be_read_is_refused(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("at,n\n2013-01-01,1\n")

    def forbidden(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(copies, "hash_file", forbidden)
    with pytest.raises(DataRefused, match=r"Permission denied \(.*a\.csv\)"):
        actions.ingest(ctx, "feed", CSV, CONTRACT, root=tmp_path)


@pytest.mark.parametrize("others", [[], ["2023-05-06"], ["2023-05-06", "x"]])
def test_a_year_of_two_digits_is_no_year(others: list[str]) -> None:
    """23-01-15 is of 2023 to whoever wrote it, and of the year 23 to most readers: it is asked about, not guessed."""
    for kind, end in ((ColumnType.DATE, ""), (ColumnType.TIME, "T10:00:00Z")):
        text = [*(one + end for one in others), "23-01-15" + end, "1-1-1" + end, "0999-01-01" + end]
        made = cast(pl.DataFrame({"at": text}), {"at": kind}).frame["at"]
        read = [one for one, value in zip(text, made.is_not_null(), strict=True) if value]
        assert read == [one + end for one in others if one != "x"] + ["0999-01-01" + end]
