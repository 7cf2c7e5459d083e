"""No space left, for bytes, for facts and for temporary files: told in a sentence, nothing half-written is seen, and
once there is space again the same command works."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modelloop.cli import main
from modelloop.data import actions, tables
from modelloop.data.actions import gathering
from modelloop.data.actions.committing import digests_of
from modelloop.data.contract.checks import unique
from modelloop.data.settings import (
    ColumnSettings,
    ColumnType,
    ContractSettings,
    Format,
    Mode,
    RetentionSettings,
    Severity,
    SourceSettings,
)
from modelloop.ground.core.errors import StoreUnavailable
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from servers import unavailable

pytestmark = pytest.mark.timeout(120)
CONTRACT = ContractSettings(
    {
        "id": ColumnSettings(ColumnType.INTEGER),
        "text": ColumnSettings(ColumnType.STRING),
        "x": ColumnSettings(ColumnType.FLOAT, min=0),
    },
    key=("id",),
    on_violation=Severity.QUARANTINE,
    max_quarantined=1.0,
)
SOURCE = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.PARQUET)
MB = 2**20


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """Mount a file system of `size` bytes."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        unavailable(f"no small disk can be mounted: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 6 * MB) as place:
        yield place
        gc.collect()  # temporary files of what failed go while there still is a disk


def put(folder: Path, name: str, rows: int, first: int = 0, x: float = 1.0) -> None:
    """Write rows that cannot be packed: some 20 bytes each."""
    (folder / "in").mkdir(exist_ok=True)
    random = np.random.default_rng(first)
    text = [bytes(one).hex() for one in random.integers(0, 256, (rows, 10), dtype=np.uint8)]
    ids = np.arange(first, first + rows)
    pl.DataFrame({"id": ids, "text": text, "x": np.full(rows, x)}).write_parquet(folder / "in" / name)


def filled(place: Path, leave: int) -> Path:
    """Fill the disk but for some bytes; return the file that does it."""
    stat = os.statvfs(place)
    filling = place / "filling"
    free = stat.f_bavail * stat.f_frsize
    filling.write_bytes(bytes(max(0, free - leave)))
    return filling


def whole(ctx: Context) -> None:
    """All bytes that facts name are there, and the audit log holds."""
    with ctx.db.reading() as connection:
        audit.verify(connection)
        for one in tables.every_version(connection):
            for digest in digests_of(one.parts) | {one.profile or ""} - {""}:
                ctx.blobs.get(digest)
        for arrival in tables.all_arrivals(connection, None, 100):
            assert arrival.blob is None or ctx.blobs.get(arrival.blob)


def ingest(ctx: Context, folder: Path, mode: Mode = Mode.APPEND) -> None:
    asked = SourceSettings(path="in", dataset="rows", contract="rows", format=Format.PARQUET, mode=mode)
    actions.ingest(ctx, "feed", asked, CONTRACT, root=folder)


@pytest.mark.parametrize("leave", [0, 4096, 65_536, 500_000])
@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.REPLACE, Mode.MERGE])
def test_no_space_for_anything_of_the_project(tmp_path: Path, disk: Path, mode: Mode, leave: int) -> None:
    """Blobs and facts lie on the disk that is full."""
    ctx = make_context(disk)
    put(tmp_path, "1.parquet", 1000)
    ingest(ctx, tmp_path, mode)
    put(tmp_path, "2.parquet" if mode is not Mode.REPLACE else "1.parquet", 80_000, 1000)
    before = actions.read(ctx, "rows").collect()
    filling = filled(disk, leave)
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as caught:
            ingest(ctx, tmp_path, mode)
        assert "space" in str(caught.value) or "full" in str(caught.value)
        assert [one.number for one in actions.versions(ctx, "rows")] == [1]
        assert actions.read(ctx, "rows").collect().equals(before)
    ctx.db.close()
    filling.unlink()
    ctx = make_context(disk)
    whole(ctx)
    ingest(ctx, tmp_path, mode)
    assert actions.version(ctx, "rows").rows == (80_000 if mode is Mode.REPLACE else 81_000)
    whole(ctx)
    ctx.db.close()


def test_no_space_for_facts_alone(tmp_path: Path, disk: Path) -> None:
    """Bytes are written, then the transaction finds no room: nothing of it is seen."""
    (tmp_path / "blobs").mkdir()
    url = f"sqlite:///{disk / 'facts.sqlite'}"
    ctx = make_context(tmp_path, database_url=url)
    put(tmp_path, "1.parquet", 1000)
    ingest(ctx, tmp_path)
    filling = filled(disk, 0)
    refused = 0
    for turn in range(2, 30):
        put(tmp_path, f"{turn}.parquet", 100, 1000 * turn)
        try:
            ingest(ctx, tmp_path)
        except StoreUnavailable as error:
            assert "full" in str(error)  # noqa: PT017 - until the log of the database is full it goes on
            refused += 1
    assert refused
    before = len(actions.versions(ctx, "rows"))
    for act in (
        lambda: actions.tag(ctx, "rows", "good"),
        lambda: actions.branch(ctx, "rows", "trial"),
        lambda: actions.erase(ctx, "rows", "id", 1, reason="a letter", secret=b"key"),
    ):
        with pytest.raises(StoreUnavailable, match="full"):
            act()
    assert len(actions.versions(ctx, "rows")) == before
    filling.unlink()
    ingest(ctx, tmp_path)
    assert actions.version(ctx, "rows").rows == 1000 + 28 * 100
    whole(ctx)
    actions.erase(ctx, "rows", "id", 1, reason="a letter", secret=b"key")
    assert actions.version(ctx, "rows").rows == 999 + 28 * 100
    ctx.db.close()


def test_room_can_be_made_on_a_full_disk(tmp_path: Path, disk: Path) -> None:
    """Old versions go while nothing can be written."""
    ctx = make_context(disk)
    for turn in range(4):
        put(tmp_path, "1.parquet", 20_000, 100_000 * turn)
        ingest(ctx, tmp_path, Mode.REPLACE)
    filling = filled(disk, 131_072)
    held = os.statvfs(disk).f_bavail
    assert actions.prune(ctx, "rows", RetentionSettings(versions=1)) == (1, 2, 3)
    assert actions.sweep(ctx, timedelta(0)) >= 3
    assert os.statvfs(disk).f_bavail > held
    filling.unlink()
    whole(ctx)
    ctx.db.close()


def test_no_space_for_temporary_files(
    ctx: Context, tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys and rows that are set aside go to temporary files where they are many."""
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    monkeypatch.setattr(unique, "IN_MEMORY", 1)
    monkeypatch.setattr(gathering, "_ASIDE_ROWS", 1000)
    put(tmp_path, "1.parquet", 1000)
    ingest(ctx, tmp_path)
    put(tmp_path, "2.parquet", 60_000, 1000, x=-1.0)
    filling = filled(disk, 100_000)
    with pytest.raises(StoreUnavailable) as caught:
        ingest(ctx, tmp_path)
    assert str(disk) in str(caught.value)
    assert [one.number for one in actions.versions(ctx, "rows")] == [1]
    filling.unlink()
    ingest(ctx, tmp_path)
    assert len(actions.quarantined(ctx, "rows", limit=10**6)) == 60_000
    whole(ctx)


PROJECT = """
[project]
name = "full"
owner = "somebody"

[objective]
question = "How much?"
meaning = "By how much it is off."
label = "x"
task = "regression"
metric = "mae"

[contracts.rows.columns]
id = { type = "integer" }
text = { type = "string" }
x = { type = "float" }

[sources.feed]
path = "in"
dataset = "rows"
contract = "rows"
"""


def test_the_command_line_tells_it(tmp_path: Path, disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project = disk / "project"
    project.mkdir()
    (project / "modelloop.toml").write_text(PROJECT)
    put(project, "1.parquet", 1000)
    assert main(["data", "ingest", "--project", str(project)]) == 0
    put(project, "2.parquet", 50_000, 1000)
    filling = filled(disk, 200_000)
    capfd.readouterr()
    code = main(["data", "ingest", "--json", "--project", str(project)])
    seen = capfd.readouterr()
    assert code == 1
    assert "Traceback" not in seen.out + seen.err
    told = json.loads(seen.out)
    assert told["code"] == "ML800", told
    assert main(["data", "list", "--json", "--project", str(project)]) == 0, "what is there can be read"
    assert json.loads(capfd.readouterr().out)["datasets"][0]["rows"] == 1000
    filling.unlink()
    assert main(["data", "ingest", "--json", "--project", str(project)]) == 0
    assert json.loads(capfd.readouterr().out)["sources"]["feed"]["version"] == "rows:2"
