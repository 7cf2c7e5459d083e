"""Branches, retention and erasure on real stores: both engines, an S3 server, and writers in several processes."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from modelloop.data import actions, tables
from modelloop.data.actions.committing import digests_of
from modelloop.data.settings import RetentionSettings
from modelloop.ground.core.errors import Conflict, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from versioned import PEOPLE, make, rows_of

ANN, BOB, CID = (1, "ann", 30.0), (2, "bob", 40.0), (3, "cid", 50.0)

RACER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from modelloop.ground.core.errors import StaleState
from modelloop.testing.fakes import make_context
from versioned import make
ctx = make_context(Path(sys.argv[1]), database_url=sys.argv[2])
number = int(sys.argv[4])
for turn in range(5):
    while True:
        try:
            make(ctx, [(100 * number + turn, "x", 1.0)], how="append")
            break
        except StaleState:
            continue
"""


def life(ctx: Context) -> None:
    """Everything once."""
    make(ctx, [ANN, BOB])
    actions.branch(ctx, "people", "trial")
    make(ctx, [(1, "anna", 30.0), BOB], branch="trial")
    make(ctx, [CID], how="append")
    actions.tag(ctx, "people", "before", 3)
    merged = actions.merge(ctx, "people", "trial", contract=PEOPLE)
    assert rows_of(actions.read(ctx, "people")) == [(1, "anna", 30.0), BOB, CID]
    assert actions.diff(ctx, "people", 1, merged.number).changes.by_column == {"name": 1}
    make(ctx, [(1, "anne", 30.0)], how="upsert", branch="trial")
    make(ctx, [(1, "annie", 30.0)], how="upsert")
    with pytest.raises(Conflict):
        actions.merge(ctx, "people", "trial", contract=PEOPLE)
    actions.drop_branch(ctx, "people", "trial")
    actions.restore(ctx, "people", merged.number)
    with pytest.raises(Conflict):
        actions.tag(ctx, "people", "before", 1)
    assert actions.prune(ctx, "people", RetentionSettings(versions=1), keep=[4]) == (1, 2, 6)
    actions.sweep(ctx, timedelta(0))
    with pytest.raises(NotFound, match="pruned"):
        actions.read(ctx, "people", 1)
    done = actions.erase(ctx, "people", "name", "bob", reason="a letter", secret=b"key")
    assert (done.rows, done.versions) == (1, (3, 4, 5, 7))  # 5: the newest of a line that was dropped
    assert rows_of(actions.read(ctx, "people", tag="before")) == [ANN, CID]
    assert rows_of(actions.read(ctx, "people")) == [(1, "anna", 30.0), CID]
    assert actions.erase(ctx, "people", "name", "bob", reason="a letter", secret=b"key") == done
    actions.sweep(ctx, timedelta(0))
    with ctx.db.reading() as connection:
        audit.verify(connection)
        every = list(tables.every_version(connection))
    kept = {digest for one in every for digest in {*digests_of(one.parts), one.profile}}
    assert set(ctx.blobs.hashes()) == kept - {None}


def test_both_engines(both_engines: Context) -> None:
    life(both_engines)


def test_an_object_store(tmp_path: Path, s3_url: str) -> None:
    ctx = make_context(tmp_path, blobs_url=s3_url)
    life(ctx)
    ctx.db.close()


def test_writers_at_once_lose_nothing(database_url: str, tmp_path: Path) -> None:
    ctx = make_context(tmp_path, database_url=database_url)
    make(ctx, [ANN])
    tests = str(Path(__file__).parents[2])
    words = [sys.executable, "-c", RACER, str(tmp_path), database_url, tests]
    racers = [subprocess.Popen([*words, str(number)]) for number in (1, 2, 3)]
    assert [racer.wait(120) for racer in racers] == [0, 0, 0]
    expected = [ANN, *((100 * number + turn, "x", 1.0) for number in (1, 2, 3) for turn in range(5))]
    assert rows_of(actions.read(ctx, "people")) == expected
    assert [one.number for one in actions.versions(ctx, "people")] == list(range(16, 0, -1))
    ctx.db.close()


def test_no_page_of_postgresql_keeps_an_erased_value(postgres_url: str, tmp_path: Path) -> None:
    ctx = make_context(tmp_path, database_url=postgres_url)
    make(ctx, [(1, "ada.lovelace@example.org", 1.0), BOB], message="of ada.lovelace@example.org")
    actions.erase(ctx, "people", "name", "ada.lovelace@example.org", reason="a letter", secret=b"key")
    with ctx.db.reading() as connection:
        for version in tables.every_version(connection):
            assert "ada" not in str(version.to_json())
    assert rows_of(actions.read(ctx, "people")) == [BOB]
    ctx.db.close()
