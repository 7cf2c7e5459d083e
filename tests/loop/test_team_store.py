"""The same project on a team's store: real PostgreSQL for facts, a real S3 server for bytes, no change of user code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .player import Player, make_project, modelloop, up

pytestmark = pytest.mark.timeout(300)
HEAD = "at,hour,weekday,workingday,temp,humidity,wind,bikers\n"


def test_the_loop_turns_on_postgresql_and_s3(
    tmp_path: Path, postgres_url: str, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELLOOP_DATABASE_URL", postgres_url)
    monkeypatch.setenv("MODELLOOP_BLOBS_URL", s3_url)
    project = make_project(tmp_path / "bikes")
    with up(project) as state, Player(project, state) as player:
        player.first_model("2011-04-01")
        player.play("2011-04-01", "2011-04-08", lambda: None)
        player.settle()
        assert player.refused == []
        loop = player.get("/api/loop")
        assert loop["predictions"] == 7 * 24
        assert loop["outcomes"] == 6 * 24
        (episode,) = player.episodes()
        assert episode["version"] == "demand:1"

    data_is_worked_on_by_the_command_line(project)
    status = modelloop("status", "--json", project=project)
    assert status.returncode == 0, status.stderr
    verified = modelloop("audit", "verify", "--json", project=project)
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["entries"] > 5
    assert not (project / ".modelloop" / "facts.sqlite").exists()
    assert not (project / ".modelloop" / "blobs").exists()


def told(project: Path, *words: str) -> dict[str, Any]:
    answer = modelloop(*words, "--json", project=project)
    assert answer.returncode == 0, answer.stderr
    return dict(json.loads(answer.stdout))


def data_is_worked_on_by_the_command_line(project: Path) -> None:
    """Branch, correct, compare, merge, tag, refuse, prune and erase, each in a process of its own."""
    before = told(project, "data", "show", "rides")["versions"]
    head = before[0]["number"]
    late = project / "landing" / "late.csv"
    late.write_text(HEAD + "2011-04-08T00:00:00Z,0,5,yes,0.2,0.5,0.1,20\n")
    told(project, "data", "branch", "rides", "trial")
    told(project, "data", "ingest", "rides", "--branch", "trial", "--message", "one late hour")
    assert told(project, "data", "show", "rides")["versions"][0]["message"] == "one late hour"
    changes = told(project, "data", "diff", f"rides:{head}", "rides@trial")["changes"]
    assert (changes["added"], changes["removed"]) == (1, 0)
    told(project, "data", "merge", "rides", "trial")
    told(project, "data", "tag", "rides", "with-the-late-hour")
    late.with_name("bad.csv").write_text(HEAD + "2011-04-08T01:00:00Z,25,5,yes,0.2,0.5,0.1,20\n")
    refused = modelloop("data", "ingest", project=project)
    assert (refused.returncode, "at least 0 and at most 23" in refused.stderr) == (1, True), refused.stderr
    late.with_name("bad.csv").unlink()
    assert told(project, "data", "prune", "rides", "--versions", "1")
    erased = told(project, "data", "erase", "rides", "bikers", "20", "--reason", "a letter")
    assert erased["rows"] >= 1, erased
    assert told(project, "data", "diff", f"rides:{head}", "rides:with-the-late-hour")
