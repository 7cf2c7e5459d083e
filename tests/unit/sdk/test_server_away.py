"""A server that is away, answers nonsense, loses answers or refuses: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_mlflow import FakeMlflow
from modelloop.cli import main
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.sdk import leftover, sending, where
from modelloop.sdk.run import start_run
from tracked import fake_place, make_project, seen_in


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again after a twentieth of a second."""
    monkeypatch.setattr(sending, "PAUSE", 0.05)
    monkeypatch.setattr(sending, "LONGEST_PAUSE", 0.1)


def wait(found: Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not found():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


def test_a_server_that_comes_later_gets_everything(fake: FakeMlflow, capsys: pytest.CaptureFixture[str]) -> None:
    fake.stop()
    began = time.monotonic()
    with start_run(to=fake.url, capture=False) as run:
        run.log("loss", 1.0)
        assert time.monotonic() - began < 0.5, "nothing waits for a server"
        time.sleep(0.3)
        fake.start()
        wait(lambda: fake.runs)
        run.log("loss", 2.0)
    seen = fake_place(fake).look(run.id)
    assert seen.series("loss") == [(0, 1.0), (1, 2.0)]
    assert seen.status == "FINISHED"


def test_a_server_that_goes_away_in_between_gets_everything(fake: FakeMlflow) -> None:
    with start_run(to=fake.url, capture=False) as run:
        run.log("loss", 1.0)
        wait(lambda: any(kept.points for kept in fake.runs.values()))
        fake.stop()
        for value in range(5000):
            run.log("gap", float(value))
        time.sleep(0.3)
        fake.start()
        run.log("loss", 2.0)
        wait(lambda: any(len(kept.points) >= 5002 for kept in fake.runs.values()))
    assert len(fake.runs) == 1
    assert len(fake_place(fake).look(run.id).series("gap")) == 5000


def test_a_run_that_ends_without_its_server_is_sent_by_the_next(fake: FakeMlflow, spools: Path) -> None:
    fake.stop()
    began = time.monotonic()
    with start_run("late", to=fake.url, capture={"output"}, params={"a": 1}) as run:
        run.log("loss", 1.0)
        run.log("file.bin", b"bytes")
    assert time.monotonic() - began < 3
    assert len(list(spools.iterdir())) == 1
    assert run.problems == {}
    fake.start()
    with start_run("next", to=fake.url, capture=False):
        wait(lambda: any(kept.status == "FINISHED" for kept in fake.runs.values()))
    late = next(kept for kept in fake.runs.values() if kept.tags["modelloop.client_id"] == run._header.run)
    assert late.status == "FINISHED"
    assert late.params == {"a": "1"}
    assert late.files["file.bin"] == b"bytes"
    assert list(spools.iterdir()) == []


def test_sync_sends_what_waits_and_says_what_has_to_wait(
    fake: FakeMlflow, spools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.stop()
    with start_run("late", to=fake.url, capture=False) as run:
        run.log("loss", 1.0)
    capsys.readouterr()
    assert main(["sync", "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["run"], told["target"], told["state"]) == (run._header.run, fake.url, "waits")
    assert "does not answer" in told["reason"]
    fake.start()
    assert main(["sync", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["state"] == "sent"
    assert main(["sync", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    (kept,) = fake.runs.values()
    assert kept.status == "FINISHED"


@pytest.mark.parametrize("takes_ids", [False, True])
def test_lost_answers_make_nothing_twice(takes_ids: bool) -> None:
    fake = FakeMlflow(takes_ids=takes_ids)
    fake.lose_answers = 6
    with start_run(to=fake.url, capture=False, params={"a": 1}) as run:
        for value in range(10):
            run.log("loss", float(value))
        run.log("file.bin", b"bytes")
        wait(lambda: fake.lose_answers == 0)
    seen = fake_place(fake).look(run.id)
    assert len(fake.runs) == len(fake.experiments) == 1
    assert len(seen.series("loss")) == 10
    assert seen.status == "FINISHED"
    assert run.problems == {}
    fake.stop()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_an_answer_that_is_no_refusal_of_ours_loses_nothing(fake: FakeMlflow, spools: Path, status: int) -> None:
    fake.status = status
    with start_run(to=fake.url, capture=False) as run:
        run.log("loss", 1.0)
    assert len(list(spools.iterdir())) == 1
    fake.status = 0
    (left,) = leftover.sync((spools,), os.environ, Path.cwd(), lambda _: None)
    assert left.state == "sent"
    (kept,) = fake.runs.values()
    assert len(kept.points) == 1


def test_a_wrong_token_keeps_everything(fake: FakeMlflow, spools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLOOP_TRACKING_TOKEN", "sesame-12345")
    with start_run(to=fake.url, capture=False) as run:
        run.log("loss", 1.0)
    assert not fake.runs
    (folder,) = spools.iterdir()
    assert b"sesame-12345" not in b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert folder.stat().st_mode & 0o077 == 0


def test_what_the_server_refuses_spoils_nothing_else(fake: FakeMlflow) -> None:
    with start_run(to=fake.url, capture=False) as run:
        run.log({f"good {number}": 1.0 for number in range(300)})
        run.log("refused", 1.0)
        run.log({f"fine {number}": 1.0 for number in range(300)})
        run.log(params={"a": 1})
    assert len(fake_place(fake).look(run.id).own) == 600
    assert [text for text in run.problems if "'refused'" in text] == list(run.problems)


def test_a_run_that_is_removed_meanwhile_ends_in_peace(fake: FakeMlflow, spools: Path) -> None:
    with start_run(to=fake.url, capture=False) as run:
        wait(lambda: fake.runs)
        fake.runs.clear()
        run.log("loss", 1.0)
    assert any("gone" in text for text in run.problems)
    assert list(spools.iterdir()) == []


def test_a_slow_server_slows_nobody(fake: FakeMlflow) -> None:
    fake.pause = 0.3
    with start_run(to=fake.url, capture=False) as run:
        began = time.perf_counter()
        for value in range(10_000):
            run.log("loss", float(value))
        assert time.perf_counter() - began < 1.0
    assert len(fake_place(fake).look(run.id).series("loss")) == 10_000


def test_where_a_run_goes(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    (project / "deep").mkdir()
    (project / ".modelloop" / "secrets").mkdir(parents=True)
    (project / ".modelloop" / "secrets" / "token").write_text("own\n")
    assert where.find(None, {}, project / "deep").target == f"store:{project}"
    found = where.find(None, {"MODELLOOP_TRACKING_URI": "http://127.0.0.1:8900/"}, project)
    assert (found.target, found.token) == ("http://127.0.0.1:8900", "own")
    assert where.find("https://far.example", {}, project).token == "", "the project's token is not for others"
    assert where.find("https://far.example", {"MODELLOOP_TRACKING_TOKEN": "given"}, project).token == "given"
    assert found.roots[0] == project / ".modelloop" / "spool"
    assert "own" not in repr(found)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://user:pass@host", "http://host:99999", "x://y"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(InvalidInput) as told:
        start_run(to=url)
    assert "pass" not in str(told.value).replace("password", "")


def test_without_a_place_to_go_it_says_what_to_do() -> None:
    with pytest.raises(NotFound, match="MODELLOOP_TRACKING_URI"):
        start_run()


def test_a_store_that_cannot_be_opened_keeps_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path / "project")
    home = project / ".modelloop"
    home.mkdir()
    (home / "facts.sqlite").write_bytes(b"this is no database" * 100)
    with start_run(to=project, capture=False) as run:
        run.log("loss", 1.0)
    (home / "facts.sqlite").unlink()
    (left,) = leftover.sync((home / "spool",), os.environ, project, lambda _: None)
    assert left.state == "sent"
    assert seen_in(project, run.id).series("loss") == [(0, 1.0)]
