"""Behaviour suite of datasets: each verb does the same on SQLite and PostgreSQL, in a folder and in an S3 store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelloop.data import actions, tables
from modelloop.data.actions.committing import digests_of, items_of
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
from modelloop.ground.core.errors import Conflict, DataRefused, InvalidInput, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import FakeClock, make_context
from servers import Servers

pytestmark = pytest.mark.timeout(120)
CONTRACT = ContractSettings(
    {
        "id": ColumnSettings(ColumnType.INTEGER),
        "name": ColumnSettings(ColumnType.STRING),
        "x": ColumnSettings(ColumnType.FLOAT, min=0),
        "scan": ColumnSettings(ColumnType.BINARY, nullable=True),
    },
    key=("id",),
    on_violation=Severity.QUARANTINE,
    max_quarantined=0.5,
)
Row = tuple[int, str, float, bytes | None]


class Place:
    """A store, and a folder where sources land."""

    def __init__(self, ctx: Context, folder: Path) -> None:
        self.ctx, self.folder = ctx, folder

    def source(self, mode: Mode) -> SourceSettings:
        return SourceSettings(path="in", dataset="people", contract="people", format=Format.PARQUET, mode=mode)

    def ingest(self, mode: Mode, name: str, *rows: Row, branch: str = "main") -> int:
        """Let rows land in a file, and take them in; return the number of the version."""
        (self.folder / "in").mkdir(exist_ok=True)
        frame = pl.DataFrame(rows, schema=["id", "name", "x", "scan"], orient="row")
        frame.write_parquet(self.folder / "in" / name)
        done = actions.ingest(
            self.ctx, "feed", self.source(mode), CONTRACT, root=self.folder, branch=branch, message=f"took {name}"
        )
        assert done is not None
        return done.version.number

    def rows(self, number: int | None = None, **how: Any) -> dict[int, tuple[str, float]]:
        frame = actions.read(self.ctx, "people", number, **how).collect()
        assert frame["id"].n_unique() == len(frame)
        return {one: (name, x) for one, name, x in frame.select("id", "name", "x").rows()}

    def advance(self, days: int) -> None:
        assert isinstance(self.ctx.clock, FakeClock)
        self.ctx.clock.advance(timedelta(days=days))


@pytest.fixture(params=["sqlite-folder", "sqlite-s3", "postgres-folder", "postgres-s3"])
def place(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path, s3_keys: None) -> Iterator[Place]:
    engine, store = request.param.split("-")
    with ExitStack() as stack:
        url = stack.enter_context(servers.postgres("18").fresh()) if engine == "postgres" else None
        ctx = make_context(tmp_path, database_url=url, blobs_url=servers.s3() if store == "s3" else None)
        stack.callback(ctx.db.close)
        yield Place(ctx, tmp_path)
        with ctx.db.reading() as connection:
            audit.verify(connection)
            every = list(tables.every_version(connection))
        for one in every:
            for digest in digests_of(one.parts) | items_of(ctx, one.parts) | ({one.profile} - {None}):
                assert ctx.blobs.has(str(digest)), f"{one.name} has lost bytes"


@pytest.fixture
def s3_keys(s3_url: str) -> None:
    """Have the keys of the S3 server in the environment."""


ANN, BOB, CID = (1, "ann", 1.0, b"picture of ann"), (2, "bob", 2.0, b"picture"), (3, "cid", 3.0, b"picture")


def test_modes_and_ways_to_read(place: Place) -> None:
    place.ingest(Mode.APPEND, "1.parquet", ANN)
    first = place.ctx.now()
    place.advance(1)
    place.ingest(Mode.APPEND, "2.parquet", BOB, CID)
    actions.tag(place.ctx, "people", "two-files", 2)
    place.advance(1)
    place.ingest(Mode.MERGE, "3.parquet", (2, "bobby", 2.5, None), (4, "dan", 4.0, None))
    place.ingest(Mode.REPLACE, "4.parquet", ANN, (2, "bobby", 2.5, None))
    assert place.rows(1) == place.rows(at=first) == {1: ("ann", 1.0)}
    assert place.rows(2) == place.rows(tag="two-files") == {1: ("ann", 1.0), 2: ("bob", 2.0), 3: ("cid", 3.0)}
    assert place.rows(3) == {1: ("ann", 1.0), 2: ("bobby", 2.5), 3: ("cid", 3.0), 4: ("dan", 4.0)}
    assert place.rows() == place.rows(branch="main") == {1: ("ann", 1.0), 2: ("bobby", 2.5)}
    assert actions.resolve(place.ctx, "people:two-files").number == 2
    with pytest.raises(NotFound, match="had no version at"):
        place.rows(at=first - timedelta(seconds=1))
    with pytest.raises(NotFound, match="has no version 9"):
        place.rows(9)
    every = actions.versions(place.ctx, "people")
    assert [(one.number, one.parent, one.message, one.source, one.made_by) for one in every] == [
        (number, number - 1 or None, f"took {number}.parquet", "feed", "tester") for number in (4, 3, 2, 1)
    ]
    source = place.source(Mode.REPLACE)
    assert actions.ingest(place.ctx, "feed", source, CONTRACT, root=place.folder) is None


def test_branches_merges_conflicts_and_differences(place: Place) -> None:
    place.ingest(Mode.MERGE, "1.parquet", ANN, BOB, CID)
    actions.branch(place.ctx, "people", "trial")
    place.ingest(Mode.MERGE, "2.parquet", (1, "anna", 1.0, b"picture of ann"), branch="trial")
    place.ingest(Mode.MERGE, "3.parquet", (4, "dan", 4.0, None))
    assert place.rows(branch="trial")[1] == ("anna", 1.0)
    assert place.rows()[1] == ("ann", 1.0)
    merged = actions.merge(place.ctx, "people", "trial", contract=CONTRACT)
    assert (merged.number, merged.parent, merged.merged) == (4, 3, 2)
    assert place.rows() == {1: ("anna", 1.0), 2: ("bob", 2.0), 3: ("cid", 3.0), 4: ("dan", 4.0)}
    told = actions.diff(place.ctx, "people", 1, 4)
    assert (told.rows, told.changes.added, told.changes.removed, told.changes.changed) == ((3, 4), 1, 0, 1)
    assert told.changes.by_column == {"name": 1}
    place.ingest(Mode.MERGE, "5.parquet", (3, "cecil", 3.0, None), branch="trial")
    place.ingest(Mode.MERGE, "6.parquet", (3, "cyd", 3.0, None))
    with pytest.raises(Conflict, match="1 rows were changed differently in main and trial: id=3"):
        actions.merge(place.ctx, "people", "trial", contract=CONTRACT)
    assert place.rows()[3] == ("cyd", 3.0)
    assert actions.restore(place.ctx, "people", 1).number == 7
    assert place.rows() == place.rows(1)


def test_rows_that_are_set_aside_and_come_in_after_all(place: Place) -> None:
    place.ingest(Mode.APPEND, "1.parquet", ANN, BOB, (7, "gil", -1.0, b"picture of gil"))
    assert place.rows().keys() == {1, 2}
    (row,) = actions.quarantined(place.ctx, "people")
    assert (row.file, row.row, row.values["name"]) == ("1.parquet", 3, "gil")
    named = (row.arrival, row.file, row.row)
    source = place.source(Mode.APPEND)
    still = actions.readmit(place.ctx, "feed", source, CONTRACT, root=place.folder)
    assert (still.version, len(still.still)) == (None, 1)
    done = actions.readmit(place.ctx, "feed", source, CONTRACT, root=place.folder, corrections={named: {"x": "7"}})
    assert done.version is not None
    assert place.rows()[7] == ("gil", 7.0)
    held = actions.read(place.ctx, "people", load=["scan"]).filter(pl.col("id") == 7).collect()
    assert held["scan"].to_list() == [b"picture of gil"], "its picture came with it"
    assert actions.quarantined(place.ctx, "people", waiting=True) == []
    with pytest.raises(Conflict, match="was readmitted already"):
        actions.drop(place.ctx, "people", [named])
    with pytest.raises(DataRefused, match=r"66\.67% are"):
        place.ingest(Mode.APPEND, "2.parquet", (8, "a", 1.0, None), (9, "b", -1.0, None), (10, "c", -1.0, None))
    assert [one.files for one in actions.refused(place.ctx, "people")] == [("2.parquet",)]
    assert actions.drop(place.ctx, "people", reason="known") == 2
    assert len(actions.versions(place.ctx, "people")) == 2


def test_what_retention_lets_go(place: Place) -> None:
    for number in range(1, 6):
        place.ingest(Mode.REPLACE, "t.parquet", ANN, (2, "bob", float(number), b"picture of turn %d" % number))
        place.advance(1)
    actions.tag(place.ctx, "people", "keep-me", 2)
    held = len(list(place.ctx.blobs.hashes()))
    rule = RetentionSettings(keep=timedelta(days=2), versions=2)
    assert actions.prune(place.ctx, "people", rule, keep=[3]) == (1,)
    assert actions.prune(place.ctx, "people", RetentionSettings(versions=1)) == (3, 4)
    assert actions.sweep(place.ctx) == 0, "not before the period of grace is over"
    place.advance(1)
    assert actions.sweep(place.ctx, referenced=set) == 0, "others hold them"
    assert actions.sweep(place.ctx) > 0
    assert len(list(place.ctx.blobs.hashes())) < held
    with pytest.raises(NotFound, match="was pruned"):
        place.rows(1)
    assert place.rows(tag="keep-me")[2] == ("bob", 2.0)
    assert place.rows()[2] == ("bob", 5.0)
    assert actions.version(place.ctx, "people", 1).report.accepted == 2, "its report stays"


def test_erasure(place: Place) -> None:
    place.ingest(Mode.MERGE, "1.parquet", ANN, BOB, (7, "ann", -1.0, b"another of ann"))
    actions.branch(place.ctx, "people", "trial")
    place.ingest(Mode.MERGE, "2.parquet", (2, "bob", 2.5, None), branch="trial")
    place.ingest(Mode.MERGE, "3.parquet", CID)
    done = actions.erase(place.ctx, "people", "name", "ann", reason="a letter")
    assert (done.rows, done.versions) == (2, (1, 2, 3))
    assert [place.rows(number).keys() for number in (1, 2, 3)] == [{2}, {2}, {2, 3}]
    assert actions.quarantined(place.ctx, "people") == []
    assert actions.erase(place.ctx, "people", "name", "ann", reason="a letter") == done, "once is enough"
    everything = [place.ctx.blobs.get(one) for one in place.ctx.blobs.hashes()]
    assert not [one for one in everything if b"of ann" in one], "her pictures are gone"
    texts = [str(pl.read_parquet(one).rows()) for one in everything if one[:4] == b"PAR1"]
    assert not [one for one in texts if "'ann'" in one]
    assert "ann" not in str(actions.erasures(place.ctx, "people"))


def test_binary_items(place: Place) -> None:
    large = bytes(range(256)) * 20_000
    place.ingest(Mode.APPEND, "1.parquet", (1, "a", 1.0, large), (2, "b", 1.0, large), (3, "c", 1.0, None))
    frame = actions.read(place.ctx, "people").collect()
    assert frame["scan"].n_unique() == 2, "the same bytes are kept once"
    assert actions.item(place.ctx, frame["scan"][0]) == large
    loaded = actions.read(place.ctx, "people", load=["scan"]).filter(pl.col("id") != 2).collect()
    assert loaded["scan"].to_list() == [large, None]
    with pytest.raises(InvalidInput, match="no binary column"):
        actions.read(place.ctx, "people", load=["name"])
    (place.folder / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        (place.folder / "pictures" / name).write_bytes(b"\x89PNG" + name.encode())
    binary = ContractSettings(
        {
            "name": ColumnSettings(ColumnType.STRING),
            "content": ColumnSettings(ColumnType.BINARY),
            "size": ColumnSettings(ColumnType.INTEGER),
            "modified": ColumnSettings(ColumnType.TIME),
        },
        key=("name",),
    )
    source = SourceSettings(path="pictures", dataset="pictures", contract="pictures", format=Format.BINARY)
    ingest: Callable[[], Any] = lambda: actions.ingest(  # noqa: E731
        place.ctx, "pictures", replace(source, mode=Mode.MERGE), binary, root=place.folder
    )
    assert ingest().version.rows == 2
    assert ingest() is None
    (place.folder / "pictures" / "a.png").write_bytes(b"\x89PNG anew")
    assert ingest().version.rows == 2
    held = dict(actions.read(place.ctx, "pictures", load=["content"]).select("name", "content").collect().rows())
    assert held == {"a.png": b"\x89PNG anew", "b.png": b"\x89PNGb.png"}
