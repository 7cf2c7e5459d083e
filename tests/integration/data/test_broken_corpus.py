"""Broken files through `ingest` itself and through the command line: each is refused with its name and the reason, in
bounded memory and time; nothing is committed, what was there before still reads, and the audit log holds."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from broken_files import broken_files
from modelloop.cli import main
from modelloop.data import actions
from modelloop.data.adapters import copies
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Format, Mode, Severity, SourceSettings
from modelloop.ground.core.errors import DataRefused, ModelloopError, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process in /proc"),
]
MOST_GROWTH = 300 * 2**20
"""Bytes of memory that a broken file may take for a moment."""
COLUMNS = {"a": ColumnSettings(ColumnType.INTEGER), "b": ColumnSettings(ColumnType.STRING)}
CONTRACT = ContractSettings(COLUMNS)
WIDE = ContractSettings(
    {
        "i": ColumnSettings(ColumnType.INTEGER),
        "f": ColumnSettings(ColumnType.FLOAT),
        "d": ColumnSettings(ColumnType.DATE),
        "t": ColumnSettings(ColumnType.TIME),
    }
)


def source(form: Format, encoding: str = "utf-8", mode: Mode = Mode.APPEND) -> SourceSettings:
    return SourceSettings(path="in", dataset="rows", contract="rows", format=form, encoding=encoding, mode=mode)


class Place:
    """A dataset with one version, and a folder for what is broken."""

    def __init__(self, ctx: Context, folder: Path) -> None:
        self.ctx, self.folder = ctx, folder
        (folder / "before").mkdir()
        (folder / "before" / "good.csv").write_text("a,b\n1,x\n2,y\n")
        first = replace(source(Format.CSV), path="before")
        assert actions.ingest(ctx, "before", first, CONTRACT, root=folder) is not None
        (folder / "in").mkdir()

    def put(self, name: str, data: bytes) -> Path:
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def refused(self, asked: SourceSettings, contract: ContractSettings = CONTRACT) -> ModelloopError:
        """Ingest; return what was said, after a look at everything that must not have changed."""
        began, held = time.monotonic(), reset_peak()
        with pytest.raises(DataRefused) as caught:
            actions.ingest(self.ctx, "feed", asked, contract, root=self.folder)
        assert peak() - held < MOST_GROWTH, f"{(peak() - held) / 2**20:.0f} MiB"
        assert time.monotonic() - began < 60
        self.unchanged()
        assert len(caught.value.message) < 4000
        assert "\n" not in caught.value.message
        return caught.value

    def unchanged(self) -> None:
        assert [one.number for one in actions.versions(self.ctx, "rows")] == [1]
        assert actions.read(self.ctx, "rows").collect().rows() == [(1, "x"), (2, "y")]
        with self.ctx.db.reading() as connection:
            audit.verify(connection)


@pytest.fixture
def place(ctx: Context, tmp_path: Path) -> Place:
    return Place(ctx, tmp_path)


def reset_peak() -> int:
    """Let the kernel measure the peak of memory anew; return what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def peak() -> int:
    return status("VmHWM")


def status(word: str) -> int:
    found = re.search(rf"{word}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.parametrize("name", [one.name for one in broken_files()])
def test_the_corpus(place: Place, name: str) -> None:
    (broken,) = [one for one in broken_files() if one.name == name]
    place.put(broken.name, broken.data)
    told = place.refused(source(broken.format, broken.encoding))
    assert broken.name in told.message
    assert broken.said in told.message
    (kept,) = actions.refused(place.ctx, "rows")
    assert kept.files == (broken.name,)
    assert any(broken.said in reason for reason in kept.reasons)
    again = place.refused(source(broken.format, broken.encoding))
    assert again.message == told.message
    assert len(actions.refused(place.ctx, "rows")) == 1, "the same refusal is listed once"


@pytest.mark.parametrize("mode", list(Mode))
def test_one_broken_file_keeps_out_the_good_ones_that_came_with_it(place: Place, mode: Mode) -> None:
    place.put("1.csv", b"a,b\n3,z\n")
    place.put("2.csv", b"a,b\n4,z,z\n")
    contract = replace(CONTRACT, key=("a",))
    if mode is Mode.MERGE:  # each file is a version of its own: the good one before it is in
        with pytest.raises(DataRefused, match=r"2\.csv cannot be read"):
            actions.ingest(place.ctx, "feed", source(Format.CSV, mode=mode), contract, root=place.folder)
        assert sorted(actions.read(place.ctx, "rows").collect()["a"]) == [1, 2, 3]
        return
    assert "2.csv cannot be read" in place.refused(source(Format.CSV, mode=mode), contract).message


def test_ten_thousand_columns(place: Place) -> None:
    names = [f"c{n}" for n in range(10_000)]
    place.put("wide.csv", (",".join(names) + "\n" + ",".join(["1"] * 10_000) + "\n").encode())
    told = place.refused(source(Format.CSV))
    assert "wide.csv lacks the columns a, b" in told.message
    (place.folder / "in" / "wide.csv").unlink()
    buffer = io.BytesIO()
    pl.DataFrame({name: [1, 2] for name in names}).write_parquet(buffer)
    place.put("wide.parquet", buffer.getvalue())
    assert "wide.parquet" in place.refused(source(Format.PARQUET)).message
    contract = ContractSettings({name: ColumnSettings(ColumnType.INTEGER) for name in names})
    asked = replace(source(Format.PARQUET), dataset="wide")
    done = actions.ingest(place.ctx, "wide", asked, contract, root=place.folder)
    assert done is not None
    assert actions.read(place.ctx, "wide").collect().shape == (2, 10_000)


BAD_VALUES = {
    "i": ["1.5", "1,5", "1_000", "0x10", "١٢", "9223372036854775808", "1e400", "inf", "2 000", "twelve", "--1"],
    "f": ["1,5", "1_0", "0x1p3", "inf", "-Infinity", "1e400", "٣", "1.2.3", "5%", "€5"],
    "d": ["0000-01-01", "0000-00-00", "10000-01-01", "-0001-01-01", "2023-02-29", "2023-13-01", "31.12.2023", "23-1-1"],
    "t": ["0000-01-01T00:00:00Z", "2023-01-01T25:00:00Z", "99999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "noon"],
}  # fmt: skip


@pytest.mark.parametrize("column", list(BAD_VALUES))
def test_values_that_are_none(place: Place, column: str) -> None:
    """Dates of year 0, numbers written as text: each such row is set aside as it came, the others come in."""
    good = {"i": "1", "f": "1.5", "d": "2023-01-01", "t": "2023-01-01T00:00:00Z"}
    lines = [good, *(good | {column: value} for value in BAD_VALUES[column])]
    text = "i,f,d,t\n" + "".join(",".join(f'"{value}"' for value in line.values()) + "\n" for line in lines)
    place.put("values.csv", text.encode())
    told = place.refused(source(Format.CSV), WIDE)
    assert f"{column} type" in told.message
    rows = actions.quarantined(place.ctx, "rows")
    assert [row.row for row in rows] == list(range(2, len(lines) + 1))
    assert [row.values[column] for row in rows] == BAD_VALUES[column]
    lenient = replace(WIDE, on_violation=Severity.QUARANTINE, max_quarantined=1.0)
    done = actions.ingest(place.ctx, "f", replace(source(Format.CSV), dataset="others"), lenient, root=place.folder)
    assert done is not None
    assert (done.report.accepted, done.report.quarantined) == (1, len(BAD_VALUES[column]))


def test_dates_in_parquet_that_no_calendar_has(place: Place) -> None:
    days = pl.Series("d", [0, -800_000, 4_000_000, 2**31 - 1, -(2**31)], dtype=pl.Int32).cast(pl.Date)
    times = pl.Series("t", [0, -(2**62), 2**62, 0, 0], dtype=pl.Int64).cast(pl.Datetime("us"))
    buffer = io.BytesIO()
    pl.DataFrame([pl.Series("i", [1] * 5), pl.Series("f", [1.0] * 5), days, times]).write_parquet(buffer)
    place.put("far.parquet", buffer.getvalue())
    told = place.refused(source(Format.PARQUET), WIDE)
    assert "d type: expected date; 4 of 5 rows" in told.message
    assert "t type: expected time; 2 of 5 rows" in told.message


def parquet_of(frame: pl.LazyFrame | pl.DataFrame, **how: object) -> bytes:
    buffer = io.BytesIO()
    frame.lazy().sink_parquet(buffer, **how)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_bombs_of_parquet(place: Place) -> None:
    """Few bytes that say many rows: 20 KB that would be a gigabyte, and one value of 100 MB."""
    rows = pl.LazyFrame({"a": [7]}).select(pl.col("a").repeat_by(70_000_000).explode().cast(pl.Int64))
    same = parquet_of(rows.with_columns(b=pl.lit("the same text in every row")), row_group_size=20_000_000)
    assert len(same) < 2**21
    path = place.put("same.parquet", same)
    assert "same.parquet" in place.refused(source(Format.PARQUET)).message
    path.unlink()
    one = parquet_of(pl.DataFrame({"a": [1], "b": ["x" * 100_000_000]}), compression="zstd")
    assert len(one) < 2**20
    place.put("one.parquet", one)
    assert "one.parquet" in place.refused(source(Format.PARQUET)).message


def test_nested_columns(place: Place) -> None:
    place.put("nested.parquet", parquet_of(pl.DataFrame({"a": [[1]], "b": [{"c": 1}]})))
    told = place.refused(source(Format.PARQUET))
    assert "nested.parquet" in told.message


LINKS: dict[str, Callable[[Path], None]] = {
    "out": lambda path: path.symlink_to("/etc/passwd"),
    "out by steps": lambda path: path.symlink_to("../before/good.csv"),
    "to nothing": lambda path: path.symlink_to("nothing.csv"),
    "to itself": lambda path: path.symlink_to(path.name),
    "to memory": lambda path: path.symlink_to("/proc/self/mem"),
    "to a device": lambda path: path.symlink_to("/dev/zero"),
    "to a folder": lambda path: path.symlink_to("."),
}


@pytest.mark.parametrize("name", list(LINKS))
def test_links(place: Place, name: str) -> None:
    LINKS[name](place.folder / "in" / "linked.csv")
    assert "linked.csv" in place.refused(source(Format.CSV)).message


def test_no_file_at_all(place: Place) -> None:
    os.mkfifo(place.folder / "in" / "pipe.csv")
    assert actions.ingest(place.ctx, "feed", source(Format.CSV), CONTRACT, root=place.folder) is None, "not a file"
    os.mkfifo(place.folder / "alone")
    assert "neither a file nor a folder" in place.refused(replace(source(Format.CSV), path="alone")).message
    place.refused(replace(source(Format.CSV), path="/dev/zero"))
    loop = place.folder / "loop"
    loop.symlink_to("loop")
    with pytest.raises((NotFound, DataRefused)):
        actions.ingest(place.ctx, "feed", replace(source(Format.CSV), path="loop"), CONTRACT, root=place.folder)
    with pytest.raises(NotFound, match="not there"):
        actions.ingest(place.ctx, "feed", replace(source(Format.CSV), path="nowhere"), CONTRACT, root=place.folder)
    place.unchanged()


def test_long_and_strange_names(place: Place, both_engines: Context) -> None:
    deep = "/".join(["f" * 200] * 3)
    place.put(f"{deep}/long.csv", b"a,b\n3,z\n")
    asked = replace(source(Format.CSV), dataset="deep")
    with pytest.raises(DataRefused, match=r"long\.csv .* has a name of 611 characters; at most 255 are kept"):
        actions.ingest(both_engines, "deep", asked, CONTRACT, root=place.folder)
    (place.folder / "in" / ("f" * 200)).rename(place.folder / "in" / "é\u202e🚲 '\";--")
    with pytest.raises(DataRefused, match="unprintable name"):
        actions.ingest(both_engines, "deep", asked, CONTRACT, root=place.folder)
    (place.folder / "in" / "é\u202e🚲 '\";--").rename(place.folder / "in" / "é🚲 '\";--")
    with pytest.raises(DataRefused, match="at most 255"):
        actions.ingest(both_engines, "deep", asked, CONTRACT, root=place.folder)
    (place.folder / "in" / "é🚲 '\";--" / ("f" * 200) / ("f" * 200)).rename(place.folder / "in" / "é🚲 '\";--" / "g")
    assert actions.ingest(both_engines, "deep", asked, CONTRACT, root=place.folder) is not None
    assert actions.ingest(both_engines, "deep", asked, CONTRACT, root=place.folder) is None


CHANGES: dict[str, Callable[[Path], object]] = {
    "grows": lambda path: path.write_bytes(path.read_bytes() + b"9,z\n"),
    "other bytes": lambda path: path.write_bytes(path.read_bytes().replace(b"3", b"4", 1)),
    "cut": lambda path: os.truncate(path, path.stat().st_size - 4),
    "gone": lambda path: path.unlink(),
    "another file": lambda path: os.replace(path.with_name("_other"), path),  # noqa: PTH105
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", list(CHANGES))
def test_a_source_that_changes_while_it_is_read(
    place: Place, name: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(copies, "IN_MEMORY", 1)
    path = place.put("live.csv", b"a,b\n" + b"3,z\n" * 1000)
    place.put("_other", b"a,b\n" + b"5,z\n" * 1000)
    real, done = copies.blocks_of_file if large else copies.OnDisk.content, []

    def then_change(given: object) -> Iterator[bytes] | bytes:
        made = list(real(given)) if large else real(given)  # type: ignore[arg-type]
        if not done:
            done.append(CHANGES[name](path))
        return iter(made) if large else made  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(copies if large else copies.OnDisk, "blocks_of_file" if large else "content", then_change)
    assert "live.csv changed while it was being read" in place.refused(source(Format.CSV)).message
    monkeypatch.undo()
    if name != "gone":
        taken = actions.ingest(place.ctx, "feed", source(Format.CSV), CONTRACT, root=place.folder)
        assert taken is not None, "once it is at rest it comes in"


def test_a_file_that_somebody_keeps_writing_to(place: Place) -> None:
    """Whatever the moment: refused, or taken in as it was; never rows of two states."""
    path = place.put("live.csv", b"a,b\n" + b"0,z\n" * 50_000)
    stop, refused = threading.Event(), list[str]()

    def write() -> None:
        turn = 0
        while not stop.is_set():
            turn = (turn + 1) % 10
            path.write_bytes(b"a,b\n" + (b"%d,z\n" % turn) * 50_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(6):
            asked = replace(source(Format.CSV, mode=Mode.REPLACE), dataset=f"live-{turn}")
            try:
                actions.ingest(place.ctx, f"live-{turn}", asked, CONTRACT, root=place.folder)
            except DataRefused as error:
                refused.append(error.message)
            else:
                assert actions.read(place.ctx, f"live-{turn}").collect()["a"].n_unique() == 1
    finally:
        stop.set()
        writer.join()
    assert all("live.csv" in said for said in refused)
    place.unchanged()


PROJECT = """
[project]
name = "corpus"
owner = "somebody"

[objective]
question = "How much?"
meaning = "By how much it is off."
label = "a"
task = "regression"
metric = "mae"

[contracts.rows.columns]
a = { type = "integer" }
b = { type = "string" }

[sources.feed]
path = "in"
format = "FORMAT"
dataset = "rows"
contract = "rows"
"""


@pytest.mark.parametrize(
    "name", ["long-row.csv", "mixed.csv", "bomb.csv.gz", "cut-behind.parquet", "bomb.xlsx", "deep.jsonl", "link.csv"]
)
def test_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    broken = next((one for one in broken_files() if one.name == name), None)
    (tmp_path / "in").mkdir()
    if broken is None:
        (tmp_path / "in" / name).symlink_to("/etc/passwd")
    else:
        (tmp_path / "in" / name).write_bytes(broken.data)
    (tmp_path / "modelloop.toml").write_text(PROJECT.replace("FORMAT", broken.format if broken else "csv"))
    for _ in range(2):
        capfd.readouterr()
        code = main(["data", "ingest", "--json", "--project", str(tmp_path)])
        seen = capfd.readouterr()
        assert code == 1
        assert "Traceback" not in seen.err + seen.out
        told = json.loads(seen.out)
        assert told["code"] == "ML500"
        assert name in told["error"]
        assert (broken.said if broken else "leads out of its folder") in told["error"]
        assert seen.err.startswith("error ML500")
    assert main(["data", "list", "--json", "--project", str(tmp_path)]) == 0
    assert json.loads(capfd.readouterr().out)["datasets"] == []
    assert main(["audit", "verify", "--project", str(tmp_path)]) == 0
