"""Files of a source: what is new is found, once; what is read is what was hashed; nothing outside is ever read."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from broken_files import broken_files, build, xlsx
from modelloop.data.adapters import copies, files
from modelloop.data.adapters.reading import Item, Reading, read_new
from modelloop.data.records import Taken
from modelloop.data.settings import Format, Mode, SourceKind, SourceSettings
from modelloop.data.sources.secrets import Secrets
from modelloop.ground.core.errors import DataRefused, NotFound


def source(**said: Any) -> SourceSettings:
    return SourceSettings(**{"path": "in", "dataset": "rows", "contract": "rows", "format": Format.CSV} | said)


def read(root: Path, asked: SourceSettings, *known: Taken, cursor: Any = None, rows: Any = None) -> Reading:
    names = {one.name: tuple(other for other in known if other.name == one.name) for one in known}
    secrets = Secrets({}, root / ".modelloop")
    return read_new("feed", asked, root=root, known=names, cursor=cursor, secrets=secrets, dataset_rows=rows)


def all_of(item: Item) -> pl.DataFrame:
    frame = pl.concat(item.batches())
    item.confirm()
    return frame


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_what_is_new_is_found_in_name_order_and_once(folder: Path) -> None:
    (folder / "b.csv").write_text("a\n2\n")
    (folder / "a.csv").write_text("a\n1\n")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "c.csv").write_text("a\n3\n")
    (folder / "d.csv.gz").write_bytes(gzip.compress(b"a\n4\n"))
    for hidden in (".e.csv", "_f.csv", "notes.txt"):
        (folder / hidden).write_text("a\n9\n")
    (folder / "_later").mkdir()
    (folder / "_later" / "g.csv").write_text("a\n9\n")
    first = read(folder.parent, source())
    assert [one.name for one in first.items] == ["a.csv", "b.csv", "d.csv.gz", "deep/er/c.csv"]
    assert [all_of(one)["a"].to_list() for one in first.items] == [["1"], ["2"], ["4"], ["3"]]
    assert first.cursor_after() is None
    known = [taken for one in first.items for taken in one.all_taken]
    assert read(folder.parent, source(), *known).items == []
    (folder / "a.csv").write_text("a\n5\n6\n")
    os.utime(folder / "b.csv", ns=(1, 1))
    assert [one.name for one in read(folder.parent, source(), *known).items] == ["a.csv"], "b.csv has the same content"


def test_one_file_is_a_source_too(tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_text("a;b\n1;2\n")
    (item,) = read(tmp_path, source(path="table.txt", separator=";")).items
    assert (item.name, all_of(item).rows()) == ("table.txt", [("1", "2")])


@pytest.mark.parametrize("name", [one.name for one in broken_files()])
def test_a_broken_file_in_a_folder_is_refused_when_it_is_read(name: str, corpus: dict[str, Path]) -> None:
    (broken,) = [one for one in broken_files() if one.name == name]
    asked = source(path=str(corpus[name]), format=broken.format, encoding=broken.encoding)
    (item,) = read(corpus[name].parent, asked).items
    with pytest.raises(DataRefused) as caught:
        all_of(item)
    assert broken.said in caught.value.message
    assert name in caught.value.message


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("broken"))


def test_links_out_of_the_folder_are_refused(folder: Path) -> None:
    outside = folder.parent / "secret.csv"
    outside.write_text("a\n1\n")
    (folder / "a.csv").symlink_to(outside)
    with pytest.raises(DataRefused, match="a link that leads out of its folder"):
        read(folder.parent, source())
    (folder / "a.csv").unlink()
    (folder / "deep").symlink_to(folder.parent)
    with pytest.raises(DataRefused, match="deep in the source 'feed' is a link to a folder"):
        read(folder.parent, source())
    (folder / "deep").unlink()
    (folder / "b.csv").symlink_to(folder / "nothing.csv")
    with pytest.raises(DataRefused, match="a link to nothing"):
        read(folder.parent, source())
    (folder / "b.csv").unlink()
    (folder / "real.csv").write_text("a\n1\n")
    (folder / "also.csv").symlink_to(folder / "real.csv")
    assert [one.name for one in read(folder.parent, source()).items] == ["also.csv", "real.csv"]


def test_what_is_no_file_is_told(folder: Path) -> None:
    with pytest.raises(NotFound, match="which is not there"):
        read(folder.parent, source(path="nowhere"))
    os.mkfifo(folder / "pipe.csv")
    assert read(folder.parent, source()).items == []
    with pytest.raises(DataRefused, match="neither a file nor a folder"):
        read(folder.parent, source(path="in/pipe.csv"))
    (folder / "two\nlines.csv").write_text("a\n")
    with pytest.raises(DataRefused, match="unprintable name"):
        read(folder.parent, source())


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("form", [Format.CSV, Format.PARQUET])
def test_a_file_that_changes_between_hashing_and_reading_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, form: Format, large: bool
) -> None:
    monkeypatch.setattr(copies, "IN_MEMORY", 0 if large else 2**28)
    path = folder / f"a.{form}"
    write(path, form, 1)
    (item,) = read(folder.parent, source(format=form)).items
    stat = path.stat()
    write(path, form, 2)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size, "neither size nor time tell"
    with pytest.raises(DataRefused, match=r"changed while it was being read"):
        all_of(item)


@pytest.mark.parametrize("form", [Format.CSV, Format.PARQUET])
def test_a_large_file_is_read_in_batches_from_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch, form: Format
) -> None:
    monkeypatch.setattr(copies, "IN_MEMORY", 100)
    monkeypatch.setattr(copies, "BLOCK", 64)
    monkeypatch.setattr("modelloop.data.formats.parse.BATCH_ROWS", 10)
    frame = pl.DataFrame({"a": [str(n) for n in range(1000)]})
    (frame.write_csv if form is Format.CSV else frame.write_parquet)(folder / f"a.{form}")
    (item,) = read(folder.parent, source(format=form)).items
    batches = list(item.batches())
    assert len(batches) >= 90
    assert max(map(len, batches)) <= 10
    assert pl.concat(batches).equals(frame)
    item.confirm()
    (folder / f"a.{form}").unlink()
    with pytest.raises(DataRefused, match="changed while it was being read"):
        item.confirm()


def write(path: Path, form: Format, value: int) -> None:
    frame = pl.DataFrame({"a": [value] * 100})
    frame.write_csv(path) if form is Format.CSV else frame.write_parquet(path)


def test_a_file_that_may_not_be_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.csv").write_text("a\n1\n")

    def forbidden(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(copies, "hash_file", forbidden)
    with pytest.raises(DataRefused, match=r"Permission denied \(.*a\.csv\)"):
        read(folder.parent, source())


def test_binary_files_are_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "GROUP_FILES", 2)
    for n in range(3):
        (folder / f"{n}.png").write_bytes(bytes([n, 0, 255]))
        os.utime(folder / f"{n}.png", ns=(0, 1_356_998_400_000_000_000))
    first, second = read(folder.parent, source(format=Format.BINARY)).items
    assert first.name == "0.png to 1.png (2 files)"
    assert [one.name for one in first.all_taken] == ["0.png", "1.png"]
    assert all_of(second).rows(named=True) == [
        {"name": "2.png", "content": b"\x02\x00\xff", "size": 3, "modified": datetime(2013, 1, 1, tzinfo=UTC)}
    ]
    assert read(folder.parent, source(format=Format.BINARY), *first.all_taken).items[0].name == "2.png"
    (folder / "0.png").write_bytes(b"other")
    with pytest.raises(DataRefused, match=r"0\.png changed"):
        all_of(first)


def test_excel_is_a_format_of_files(folder: Path) -> None:
    (folder / "a.xlsx").write_bytes(xlsx({"One": [["a"], [1]], "Two": [["b"], ["x"]]}))
    (folder / "~$a.xlsx").write_bytes(b"lock")
    (item,) = read(folder.parent, source(format=Format.EXCEL, sheet="Two")).items
    assert all_of(item).rows() == [("x",)]


def test_a_version_of_another_dataset_is_taken_in_once(tmp_path: Path) -> None:
    asked = source(path=None, kind=SourceKind.DATASET, of="other", mode=Mode.REPLACE)
    rows = pl.LazyFrame({"a": [1, 2]})
    (item,) = read(tmp_path, asked, rows=lambda _: ("d1", rows)).items
    assert (item.name, all_of(item)["a"].to_list()) == ("other", [1, 2])
    assert read(tmp_path, asked, item.taken, rows=lambda _: ("d1", rows)).items == []
    assert len(read(tmp_path, asked, item.taken, rows=lambda _: ("d2", rows)).items) == 1


def test_of_a_dataset_that_grows_just_the_new_rows_are_taken(tmp_path: Path) -> None:
    asked = source(path=None, kind=SourceKind.DATASET, of="other", cursor="at")
    days = [datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    first = read(tmp_path, asked, rows=lambda _: ("d1", pl.LazyFrame({"at": days[:2]})))
    assert len(all_of(first.items[0])) == 2
    cursor = first.cursor_after()
    assert cursor == {"time": "2013-01-02T00:00:00+00:00"}
    assert read(tmp_path, asked, cursor=cursor, rows=lambda _: ("d1", pl.LazyFrame({"at": days[:2]}))).items == []
    second = read(tmp_path, asked, cursor=cursor, rows=lambda _: ("d2", pl.LazyFrame({"at": days})))
    assert all_of(second.items[0])["at"].to_list() == days[2:]
    with pytest.raises(DataRefused, match="no value in 'at'"):
        read(tmp_path, asked, rows=lambda _: ("d3", pl.LazyFrame({"at": [*days, None]})))
    with pytest.raises(DataRefused, match="cannot compare its cursor"):
        read(tmp_path, asked, cursor=cursor, rows=lambda _: ("d4", pl.LazyFrame({"at": ["x"]})))
    with pytest.raises(DataRefused, match="no column of other"):
        read(tmp_path, asked, rows=lambda _: ("d5", pl.LazyFrame({"b": ["x"]})))
