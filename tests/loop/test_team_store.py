"""The same project on a team's store: real PostgreSQL for facts, a real S3 server for bytes, no change of user code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .player import Player, make_project, modelloop, up

pytestmark = pytest.mark.timeout(300)


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

    status = modelloop("status", "--json", project=project)
    assert status.returncode == 0, status.stderr
    verified = modelloop("audit", "verify", "--json", project=project)
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["entries"] > 5
    assert not (project / ".modelloop" / "facts.sqlite").exists()
    assert not (project / ".modelloop" / "blobs").exists()
