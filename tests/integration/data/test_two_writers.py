"""Several processes write to one dataset at once: one wins, the others are told, and nothing is lost or comes twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from data_writer import CONTRACT, TURNS, ingest, put, source, wait_for
from modelloop.data import actions
from modelloop.data.settings import Mode
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from servers import Servers

pytestmark = pytest.mark.timeout(300)
WRITER = Path(__file__).parents[2] / "data_writer.py"


class Writers:
    """The process that forks writers."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self.program = program
        self.folder = Path()
        self.database = ""

    def start(self, verb: str, number: int, *, hold: bool = False) -> None:
        asked = {"folder": str(self.folder), "database": self.database, "verb": verb, "number": number, "hold": hold}
        assert self.program.poll() is None, "it ended by itself"
        assert self.program.stdin is not None
        self.program.stdin.write(json.dumps(asked) + "\n")
        self.program.stdin.flush()

    def go(self, number: int | None = None) -> None:
        (self.folder / "signs" / ("go" if number is None else f"{number}-go")).touch()

    def held(self, number: int) -> None:
        wait_for(self.folder / "signs" / f"{number}-held")

    def end(self, number: int) -> str:
        told = json.loads(wait_for(self.folder / "signs" / f"{number}-told").read_text())
        return str(told["said"])

    def at_once(self, verb: str, count: int) -> list[str]:
        """Let processes begin together; return what each was told."""
        for number in range(1, count + 1):
            self.start(verb, number)
        time.sleep(0.1)
        self.go()
        return [self.end(number) for number in range(1, count + 1)]


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, str(WRITER)], stdin=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.fixture
def writers(program: subprocess.Popen[str], place: Context, tmp_path: Path) -> Writers:
    made = Writers(program)
    made.folder, made.database = tmp_path, place.db.url.render_as_string(hide_password=False)
    (tmp_path / "signs").mkdir()
    return made


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Context]:
    """A dataset with twenty rows."""
    with ExitStack() as stack:
        url = stack.enter_context(servers.postgres("18").fresh()) if request.param == "postgres" else None
        ctx = make_context(tmp_path, database_url=url)
        stack.callback(ctx.db.close)
        put(tmp_path, 0, "first.csv", range(20))
        ingest(ctx, tmp_path, 0)
        yield ctx


def second_of_two(writers: Writers, verb: str) -> str:
    """Let one writer commit while another is about to; return what that one was told."""
    writers.start(verb, 1, hold=True)
    writers.go()
    writers.held(1)
    writers.start(verb, 2)
    assert writers.end(2) == ""
    writers.go(1)
    return writers.end(1)


def rows_of(ctx: Context) -> dict[int, int]:
    found = actions.read(ctx, "rows").collect()
    assert found["id"].n_unique() == len(found), "no row comes twice"
    return dict(found.select("id", "by").rows())


def whole(ctx: Context) -> None:
    """Versions are numbered without a gap, each has all rows it says, and the audit log holds."""
    every = actions.versions(ctx, "rows")
    assert [one.number for one in every] == list(range(len(every), 0, -1))
    for one in every:
        assert actions.read(ctx, "rows", one.number).collect().height == one.rows
    with ctx.db.reading() as connection:
        audit.verify(connection)


@pytest.mark.parametrize("count", [2, 8])
def test_appended_rows_of_all_writers_come_in_once(place: Context, writers: Writers, count: int) -> None:
    assert writers.at_once("append", count) == [""] * count
    own = {1000 * n + one: n for n in range(1, count + 1) for one in range(10 * TURNS)}
    assert rows_of(place) == dict.fromkeys(range(20), 0) | own
    assert len(actions.versions(place, "rows")) == 1 + count * TURNS
    whole(place)


def test_merged_rows_of_all_writers_come_in_once(place: Context, writers: Writers) -> None:
    assert writers.at_once("merge", 4) == [""] * 4
    found = rows_of(place)
    assert {one: by for one, by in found.items() if one >= 20} == {
        1000 * n + one: n for n in range(1, 5) for one in range(20)
    }
    last = {found[one] for one in range(20)}
    assert len(last) == 1, "the last writer's rows, all of them"
    assert last <= {1, 2, 3, 4}
    assert len(actions.versions(place, "rows")) == 1 + 4 * 2
    whole(place)


def test_branches_of_all_writers_come_home(place: Context, writers: Writers) -> None:
    assert writers.at_once("branch", 3) == [""] * 3
    own = {1000 * n + one: n for n in range(1, 4) for one in range(20)}
    assert rows_of(place) == dict.fromkeys(range(20), 0) | own
    whole(place)


def test_who_commits_second_is_told_and_nothing_of_it_is_there(
    place: Context, writers: Writers, tmp_path: Path
) -> None:
    said = second_of_two(writers, "once")
    assert said.startswith("StaleState: Another commit made rows:2 while this one was at work.")
    assert "ingest again" in said
    assert rows_of(place) == dict.fromkeys(range(20), 0) | dict.fromkeys(range(2000, 2010), 2)
    ingest(place, tmp_path, 1)
    assert rows_of(place).keys() == {*range(20), *range(2000, 2010), *range(1000, 1010)}
    whole(place)


def test_one_of_two_merges_of_a_branch(place: Context, writers: Writers, tmp_path: Path) -> None:
    actions.branch(place, "rows", "trial")
    put(tmp_path, 9, "trial.csv", range(9000, 9010))
    actions.ingest(place, "feed-9", source(9, Mode.MERGE), CONTRACT, root=tmp_path, branch="trial")
    assert second_of_two(writers, "bring_home").startswith("StaleState: Another commit made rows:3")
    assert rows_of(place) == dict.fromkeys(range(20), 0) | dict.fromkeys(range(9000, 9010), 9)
    whole(place)


def test_one_of_two_branches_of_one_name(place: Context, writers: Writers) -> None:
    told = writers.at_once("same_branch", 2)
    assert sorted(one[:8] for one in told) == ["", "Conflict"]
    assert [one.name for one in actions.branches(place, "rows")] == ["main", "trial"]
