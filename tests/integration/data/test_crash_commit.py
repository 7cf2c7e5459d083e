"""SIGKILL before every effect of every verb that changes data: what was there stays, what comes is whole, and the same
command, given again, ends where an undisturbed one does."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modelloop.data import actions, tables
from modelloop.data.actions.committing import digests_of, items_of
from modelloop.ground.core.errors import NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from servers import Servers

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="forks after Polars was imported"),
]
MOST = 60
"""No verb has so many effects."""
VERBS = ("append", "replace", "rewrite", "merge", "refuse", "readmit", "join", "erase", "retain", "restore")
State = dict[str, Any]


class Crasher:
    """The process that forks those that are killed."""

    def __init__(self) -> None:
        program = [sys.executable, str(Path(__file__).parents[2] / "data_crasher.py")]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, place: Place, verb: str, kill: int = 0) -> bool:
        """Carry out a verb in a child; return whether it lived to the end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(place.asked | {"verb": verb, "kill": kill}) + "\n")
        self.process.stdin.flush()
        status = int(self.process.stdout.readline())
        assert status in (0, -signal.SIGKILL), f"{verb} ended with {status}"
        return status == 0


class Place:
    """A store, and the dataset in it that is worked on."""

    dataset = "rows"

    def __init__(self, folder: Path, database: str | None = None, blobs: str | None = None) -> None:
        self.folder, self.database, self.blobs = folder, database, blobs
        folder.mkdir(exist_ok=True)

    @property
    def asked(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder), "dataset": self.dataset, "database": self.database, "blobs": self.blobs,
        }  # fmt: skip

    def open(self) -> Context:
        return make_context(self.folder, database_url=self.database, blobs_url=self.blobs)

    def look(self) -> State:
        """Read everything, and see that nothing is missing or damaged."""
        ctx = self.open()
        try:
            nothing_is_missing(ctx, self.dataset)
            return state_of(ctx, self.dataset)
        finally:
            ctx.db.close()


@contextmanager
def started() -> Iterator[Crasher]:
    made = Crasher()
    with made.process:
        yield made
    assert made.process.returncode == 0


@pytest.fixture(scope="module")
def crasher() -> Iterator[Crasher]:
    with started() as made:
        yield made


def state_of(ctx: Context, dataset: str) -> State:
    """What a person sees: versions with their rows, heads, rows set aside and their fate, refused arrivals."""
    versions = {one.number: one for one in actions.versions(ctx, dataset)}
    with ctx.db.reading() as connection:
        heads = {row.name: row.number for row in tables.refs(connection, dataset, tables.BRANCH)}
    waiting = actions.quarantined(ctx, dataset)
    return {
        "rows": {number: rows_of(ctx, dataset, number) for number in versions},
        "lines": {number: (one.branch, one.parent, one.merged, one.digest) for number, one in versions.items()},
        "erased": {number: len(one.erased) for number, one in versions.items()},
        "heads": heads,
        "aside": sorted((one.file, one.row, str(one.values), one.settled) for one in waiting),
        "refused": len(actions.refused(ctx, dataset)),
        "erasures": len(actions.erasures(ctx, dataset)),
    }


def rows_of(ctx: Context, dataset: str, number: int) -> list[tuple[Any, ...]] | str:
    if actions.version(ctx, dataset, number).pruned:
        with pytest.raises(NotFound, match="was pruned"):
            actions.read(ctx, dataset, number)
        return "pruned"
    return sorted(actions.read(ctx, dataset, number, load=["scan"]).collect().rows())


def nothing_is_missing(ctx: Context, dataset: str) -> None:
    with ctx.db.reading() as connection:
        versions = tables.all_versions(connection, dataset)
        arrivals = tables.all_arrivals(connection, dataset, 1000)
        audit.verify(connection)
    for one in versions:
        for digest in digests_of(one.parts) | items_of(ctx, one.parts) | ({one.profile} - {None}):
            ctx.blobs.get(str(digest))
    for arrival in arrivals:
        if arrival.blob is not None:
            ctx.blobs.get(arrival.blob)


def check_killed(verb: str, before: State, killed: State, whole: State) -> None:
    """Each version is as it was or as it will be, and those that change together changed together."""
    rows = killed["rows"]
    assert rows.keys() >= before["rows"].keys()
    for number, held in rows.items():
        assert held in (before["rows"].get(number), whole["rows"][number]), f"version {number}"
        assert held == before["rows"].get(number, held) or verb in ("erase", "retain"), f"version {number} was changed"
        assert killed["lines"][number][:3] == whole["lines"][number][:3]
    assert killed["erased"] in (before["erased"], whole["erased"]) or verb != "erase"
    if verb not in ("merge", "retain"):  # those are several transactions
        assert any(
            all(killed[name] == state[name] for name in ("rows", "heads", "aside", "refused", "erasures"))
            for state in (before, whole)
        ), "neither before nor after"


@pytest.mark.parametrize("verb", VERBS)
def test_killed_before_each_effect(crasher: Crasher, tmp_path: Path, verb: str) -> None:
    base = Place(tmp_path / "base")
    assert crasher.do(base, f"{verb}_before")
    before = base.look()
    undisturbed = Place(Path(shutil.copytree(base.folder, tmp_path / "whole")))
    assert crasher.do(undisturbed, verb)
    whole = undisturbed.look()
    assert whole != before
    effects = int((undisturbed.folder / "effects").read_text())
    assert 2 <= effects < MOST
    for turn in range(1, effects + 1):
        place = Place(Path(shutil.copytree(base.folder, tmp_path / str(turn))))
        assert not crasher.do(place, verb, turn)
        check_killed(verb, before, place.look(), whole)
        assert crasher.do(place, verb), "the same command again"
        assert place.look() == whole, f"killed before effect {turn} of {effects}"
        shutil.rmtree(place.folder)


@pytest.fixture
def crasher_on_s3(s3_url: str) -> Iterator[Crasher]:
    with started() as made:
        yield made


@pytest.mark.parametrize(("verb", "every"), [("append", 2), ("join", 1), ("erase", 5)])
def test_killed_on_postgresql_and_s3(
    crasher_on_s3: Crasher, tmp_path: Path, servers: Servers, verb: str, every: int
) -> None:
    effects, whole = 1, dict[str, Any]()
    turn = 0
    while turn <= effects:
        with servers.postgres("18").fresh() as url:
            place = Place(tmp_path / str(turn), url, servers.s3())
            assert crasher_on_s3.do(place, f"{verb}_before")
            if turn == 0:
                assert crasher_on_s3.do(place, verb)
                whole = place.look()
                effects = int((place.folder / "effects").read_text())
            else:
                before = place.look()
                assert not crasher_on_s3.do(place, verb, turn)
                check_killed(verb, before, place.look(), whole)
                assert crasher_on_s3.do(place, verb)
                assert place.look() == whole, f"killed before effect {turn} of {effects}"
        turn += every if turn else 1
