"""Garbage collection: frees what nothing needs, and never a byte that something does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from modelloop.govern.collecting import collect, why
from modelloop.ground.core.clock import SystemClock
from modelloop.ground.core.errors import BlobMissing, Conflict, NotFound, StoreUnavailable
from modelloop.ground.core.hashing import hash_bytes
from modelloop.ground.store.context import Context
from modelloop.ground.store.db import metadata
from modelloop.ground.store.reach import REMEMBERED, found_in, in_facts
from modelloop.register import actions
from modelloop.testing.fakes import FakeClock, declare_tables, make_context
from modelloop.train.tracking.actions import artifacts, runs
from modelloop.train.tracking.records import Owner
from packages import make_candidate, make_evidence

DAY = timedelta(days=1)


@pytest.fixture
def later(tmp_path: Path) -> Iterator[Context]:
    """A Context two days ahead of the files' times, so that all of them are old."""
    context = make_context(tmp_path, clock=FakeClock(datetime.now(UTC) + 2 * DAY))
    yield context
    context.db.close()


def advance(ctx: Context, by: timedelta) -> None:
    assert isinstance(ctx.clock, FakeClock)
    ctx.clock.advance(by)


def test_two_steps_free_what_nothing_names(later: Context) -> None:
    kept = actions.register(later, "delay", make_candidate(), make_evidence())
    orphan = later.blobs.put(b"nobody needs this")
    before = set(later.blobs.hashes())
    planned = collect(later, dry_run=True)
    assert planned.digests == (orphan,)
    assert set(later.blobs.hashes()) == before, "a dry run moves nothing"
    assert collect(later).aside.count == 1
    assert set(later.blobs.hashes()) == before - {orphan}
    assert later.blobs.path(orphan) is not None
    second = collect(later)
    assert (second.deleted.count, second.aside.count) == (0, 1), "looking at it brought it back"
    advance(later, DAY)
    done = collect(later)
    assert (done.deleted.count, done.deleted.bytes) == (1, 17)
    with pytest.raises(BlobMissing):
        later.blobs.get(orphan)
    (checked,) = actions.verify(later)
    assert checked.version == kept.name
    assert not checked.wrong


def test_a_deleted_version_frees_its_bytes_and_shared_ones_stay(later: Context) -> None:
    first = actions.register(later, "delay", make_candidate(), make_evidence())
    second = actions.register(later, "delay", make_candidate((0.9, 0.1, 0.1)), make_evidence())
    size = sum(one.size for one in later.blobs.stored())
    actions.delete_version(later, "delay", second.number)
    for _ in range(2):
        collect(later)
        advance(later, DAY)
    left = sum(one.size for one in later.blobs.stored())
    assert left < size
    assert not later.blobs.has(second.digest)
    assert [one.wrong for one in actions.verify(later)] == [()]
    assert "register_version.digest" in why(later, first.digest)[-1]


def test_artifacts_and_snapshots_of_them_are_needed(later: Context) -> None:
    run = runs.create_run(later, 0, name="x", user="u", start_ms=1, tags={})
    artifacts.put(later, Owner("run", run.id), "model/a.txt", b"in a version")
    artifacts.put(later, Owner("run", run.id), "other/b.txt", b"only logged")
    actions.create_model(later, "m")
    actions.create_version(later, "m", source=f"runs:/{run.id}/model")
    assert collect(later).aside.count == 0
    artifacts.delete(later, Owner("run", run.id), "model")
    artifacts.delete(later, Owner("run", run.id), "other")
    assert collect(later).digests == (hash_bytes(b"only logged"),)
    told = why(later, hash_bytes(b"in a version"))
    assert "named within" in told[0]
    assert not actions.verify(later, "m:1")[0].wrong


def test_young_bytes_stay(ctx: Context, tmp_path: Path) -> None:
    now = make_context(tmp_path, clock=SystemClock())
    digest = now.blobs.put(b"just written, named in a moment")
    found = collect(now)
    assert (found.aside.count, found.young.count) == (0, 1)
    assert now.blobs.has(digest)


def test_a_writer_that_comes_between_loses_nothing(later: Context) -> None:
    """It found its bytes stored already, and named them after they were put aside: reads and collections agree."""
    digest = later.blobs.put(b"stored long ago")
    collect(later)
    assert digest not in set(later.blobs.hashes())
    run = runs.create_run(later, 0, name="x", user="u", start_ms=1, tags={})
    artifacts.put(later, Owner("run", run.id), "a.txt", b"stored long ago")
    advance(later, 2 * DAY)
    done = collect(later)
    assert (done.deleted.count, done.back.count) == (0, 1)
    assert later.blobs.get(digest) == b"stored long ago"


def test_named_without_being_stored_again(later: Context) -> None:
    digest = later.blobs.put(b"bytes of old")
    collect(later)
    actions.create_model(later, "m", description=f"see {digest}")
    advance(later, 2 * DAY)
    assert collect(later).back.count == 1
    assert digest in set(later.blobs.hashes())


def test_a_version_whose_list_is_missing_or_damaged_stops_the_collection(later: Context) -> None:
    version = actions.register(later, "delay", make_candidate(), make_evidence())
    orphan = later.blobs.put(b"orphan")
    path = later.blobs.path(version.digest)
    assert path is not None
    good = path.read_bytes()
    path.write_bytes(good[:-2] + b"  ")
    with pytest.raises(StoreUnavailable, match="damaged"):
        collect(later)
    assert actions.verify(later)[0].wrong
    path.unlink()
    with pytest.raises(Conflict, match=r"delay:1 .* is missing"):
        collect(later)
    path.write_bytes(good)
    assert later.blobs.has(orphan)
    assert collect(later).digests == (orphan,)


def test_why_tells_about_everything(later: Context) -> None:
    orphan = later.blobs.put(b"orphan")
    assert "Nothing needs them" in why(later, orphan)[0]
    collect(later)
    assert "lie aside" in why(later, orphan)[0]
    for wrong in ("x", "0" * 64):
        with pytest.raises(NotFound):
            why(later, wrong)


def test_killed_in_the_middle_and_done_again(tmp_path: Path) -> None:
    """SIGKILL at any instant: afterwards versions are whole, and the next collection does what is left."""
    ctx = make_context(tmp_path, clock=SystemClock())
    actions.register(ctx, "delay", make_candidate(), make_evidence())
    old = time.time() - 3 * 86400
    orphans = [ctx.blobs.put(f"orphan {n}".encode()) for n in range(400)]
    for digest in ctx.blobs.hashes():
        path = ctx.blobs.path(digest)
        assert path is not None
        os.utime(path, (old, old))
    code = (
        "import sys; from pathlib import Path\n"
        "from modelloop.testing.fakes import make_context\n"
        "from modelloop.ground.core.clock import SystemClock\n"
        "from modelloop.govern.collecting import collect\n"
        "ctx = make_context(Path(sys.argv[1]), clock=SystemClock())\n"
        "print('go', flush=True); collect(ctx)"
    )
    for pause in (0.01, 0.05, 0.1):
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(pause)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert not actions.verify(ctx)[0].wrong
    collect(ctx)
    assert not set(orphans) & set(ctx.blobs.hashes())
    assert not actions.verify(ctx)[0].wrong


def test_every_text_of_every_table_is_looked_through(later: Context) -> None:
    """A column that is added tomorrow is looked through by itself; what is left out is named, and is there."""
    declare_tables()
    assert set(REMEMBERED) <= set(metadata.tables)
    digest = hash_bytes(b"wherever it stands")
    with later.db.transaction() as connection:
        connection.execute(sa.text("CREATE TABLE tomorrow (a VARCHAR(64), b JSON, c TEXT, d VARCHAR(20))"))
        connection.execute(
            sa.text("INSERT INTO tomorrow VALUES (:a, :b, :c, 'x')"),
            {"a": digest, "b": json.dumps({"deep": [digest]}), "c": f"see {digest}."},
        )
        assert {where for where, one in in_facts(connection) if one == digest} == {
            "tomorrow.a",
            "tomorrow.b",
            "tomorrow.c",
        }


def test_columns_that_hold_hashes_are_wide_enough_to_be_looked_at() -> None:
    """A hash has 64 characters: a column named after one must not be a type that is passed over."""
    declare_tables()
    for table in metadata.tables.values():
        for column in table.columns:
            if any(word in column.name for word in ("digest", "blob", "parts", "stdout", "profile")):
                kind = column.type
                length = getattr(kind, "length", None)
                assert isinstance(kind, sa.String | sa.JSON | sa.TypeDecorator), f"{table.name}.{column.name}"
                assert length is None or length >= 36, f"{table.name}.{column.name}"


def test_hashes_are_found_whole() -> None:
    digest = "ab" * 32
    assert found_in(f'{{"x":"{digest}"}}'.encode()) == {digest}
    assert found_in(b"0" + digest.encode()) == set()
