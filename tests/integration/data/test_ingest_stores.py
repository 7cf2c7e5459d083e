"""Ingest on real stores: both engines, an S3 server, and several processes at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelloop.data.actions import arrivals, datasets, ingest, quarantined, read, versions
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Format, Severity, SourceSettings
from modelloop.ground.core.errors import DataRefused
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context

CONTRACT = ContractSettings(
    {"id": ColumnSettings(ColumnType.INTEGER), "x": ColumnSettings(ColumnType.FLOAT, min=0)},
    key=("id",),
    on_violation=Severity.QUARANTINE,
    max_quarantined=0.5,
)
SOURCE = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.CSV)

RACER = """
import sys
from pathlib import Path
from modelloop.data.actions import ingest
from modelloop.data.settings import *
from modelloop.ground.core.errors import StaleState
from modelloop.testing.fakes import make_context
folder = Path(sys.argv[1])
columns = {"id": ColumnSettings(ColumnType.INTEGER), "x": ColumnSettings(ColumnType.FLOAT, min=0)}
contract = ContractSettings(columns, key=("id",), on_violation=Severity.QUARANTINE, max_quarantined=0.5)
ctx = make_context(folder, database_url=sys.argv[2])
source = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.CSV)
for _ in range(20):
    try:
        ingest(ctx, "feed", source, contract, root=folder)
        break
    except StaleState:
        print("again")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for name, first in (("a.csv", 0), ("b.csv", 100)):
        rows = "".join(f"{n},{-1 if n == 7 else n}\n" for n in range(first, first + 100))
        (tmp_path / "in" / name).write_text("id,x\n" + rows)
    return tmp_path


def check(ctx: Context, folder: Path) -> None:
    got = ingest(ctx, "feed", SOURCE, CONTRACT, root=folder)
    assert got is not None
    assert (got.report.accepted, got.report.quarantined) == (199, 1)
    assert read(ctx, "rows").collect()["id"].to_list() == [n for n in range(200) if n != 7]
    assert [one.row for one in quarantined(ctx, "rows")] == [8]
    (folder / "in" / "c.csv").write_text("id,y\n1,1\n")
    with pytest.raises(DataRefused, match="lacks the column x"):
        ingest(ctx, "feed", SOURCE, CONTRACT, root=folder)
    (folder / "in" / "c.csv").write_text("id,x\n200,1\n")
    assert ingest(ctx, "feed", SOURCE, CONTRACT, root=folder) is not None
    assert [one.rows for one in versions(ctx, "rows")] == [200, 199]
    assert [one.name for one in datasets(ctx)] == ["rows"]
    assert [one.version for one in arrivals(ctx, "rows")] in ([None, 1], [1, None])
    with ctx.db.reading() as connection:
        assert audit.verify(connection) == 3


def test_both_engines(both_engines: Context, folder: Path) -> None:
    check(both_engines, folder)


def test_an_object_store(tmp_path: Path, folder: Path, s3_url: str) -> None:
    ctx = make_context(tmp_path, blobs_url=s3_url)
    check(ctx, folder)
    ctx.db.close()


def test_processes_that_ingest_at_once_take_each_file_once(database_url: str, folder: Path) -> None:
    make_context(folder, database_url=database_url).db.close()
    racers = [subprocess.Popen([sys.executable, "-c", RACER, str(folder), database_url]) for _ in range(4)]
    assert [racer.wait(120) for racer in racers] == [0] * 4
    ctx = make_context(folder, database_url=database_url)
    assert [(one.number, one.rows) for one in versions(ctx, "rows")] == [(1, 199)]
    with ctx.db.reading() as connection:
        assert audit.verify(connection) == 1
    ctx.db.close()
