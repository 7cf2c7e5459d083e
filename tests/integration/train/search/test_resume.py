"""Killed at any instant, a search goes on as if nothing had been; two processes share one study. Both engines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from modelloop.ground.store.db import Database
from modelloop.ground.store.migrate import migrate

SCRIPT = Path(__file__).with_name("searcher.py")


def begin(url: str, home: Path, *words: object) -> subprocess.Popen[str]:
    argv = [sys.executable, str(SCRIPT), url, str(home), *map(str, words)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(out)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def calls(home: Path) -> list[int]:
    path = home / "calls"
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def store(database_url: str, tmp_path: Path) -> str:
    db = Database(database_url)
    migrate(db)
    db.close()
    return database_url


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_killed_again_and_again_it_ends_like_one_that_was_not(store: str, tmp_path: Path, method: str) -> None:
    kill_and_compare(store, tmp_path, method)


@pytest.mark.parametrize("method", ["cmaes", "nsga2"])
def test_evolution_goes_on_where_it_was(tmp_path: Path, method: str) -> None:
    store = f"sqlite:///{tmp_path / 'facts.sqlite'}"
    db = Database(store)
    migrate(db)
    db.close()
    kill_and_compare(store, tmp_path, method, trials=36)


def kill_and_compare(store: str, tmp_path: Path, method: str, trials: int = 20) -> None:
    last, kills = 0, 0
    while kills < 3:
        process = begin(store, tmp_path, "killed", method, trials, 0.03, "confirm")
        deadline = time.monotonic() + 60
        while len(calls(tmp_path)) < last + 4 + kills and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.004 * kills)  # at different places within a trial
        kill(process)
        last, kills = len(calls(tmp_path)), kills + 1
    process = begin(store, tmp_path, "killed", method, trials, 0.0, "confirm")
    found = finish(process)
    counted = Counter(calls(tmp_path))
    assert set(range(trials)) <= set(counted)
    assert sum(counted.values()) <= trials + 12 + kills  # what was under way at a kill, and nothing else, ran again
    whole = finish(begin(store, tmp_path, "whole", method, trials, 0.0, "confirm"))
    assert found == whole
    before = len(calls(tmp_path))
    assert finish(begin(store, tmp_path, "killed", method, trials, 0.0, "confirm")) == found
    assert len(calls(tmp_path)) == before  # it is over: nothing runs again


def test_two_processes_share_a_study_and_tell_the_same(store: str, tmp_path: Path) -> None:
    both = [begin(store, tmp_path, "shared", "tpe", 30, 0.05, "confirm") for _ in range(2)]
    first, second = (finish(process) for process in both)
    assert first == second
    assert [trial[0] for trial in first["trials"]] == list(range(30))
    lines = (tmp_path / "calls").read_text().split("\n")[:-1]
    assert len({line.split()[0] for line in lines}) == len(lines) == 30 + 12  # each trial and repeat once
    workers = Counter(line.split()[1] for line in lines)
    assert len(workers) == 2
    assert min(workers.values()) >= 8


def test_what_a_dead_process_left_is_taken_over_by_the_living(store: str, tmp_path: Path) -> None:
    dying = begin(store, tmp_path, "left", "random", 12, 30.0)
    while not calls(tmp_path):
        time.sleep(0.01)
    living = begin(store, tmp_path, "left", "random", 12, 0.01)
    while len(calls(tmp_path)) < 6:
        time.sleep(0.01)
    kill(dying)
    found = finish(living)
    assert [trial[0] for trial in found["trials"]] == list(range(12))
    assert Counter(calls(tmp_path))[0] == 2
