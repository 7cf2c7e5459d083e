"""A project that is not the demo (another data set, regression, scikit-learn) goes through the whole loop, as the how-to tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .player import Player, make_project, modelloop, up

pytestmark = pytest.mark.timeout(400)


def test_bikes_turn_the_loop(tmp_path: Path) -> None:
    project = make_project(tmp_path / "bikes")
    with up(project) as state, Player(project, state) as player:
        player.first_model("2011-04-01")
        before = player.get("/api/loop")
        player.play("2011-04-01", "2011-09-01", lambda day: player.settle() if day.day % 2 else None)
        player.settle()

        assert player.refused == []
        episodes = sorted(player.episodes(), key=lambda episode: episode["number"])
        turned = [e for e in episodes if e["trigger"] == "off-the-mark" and e["result"] == "promoted"]
        assert turned, episodes  # spring came: the alert fired, a retrained version went live
        episode = turned[0]
        assert episode["signal"]
        assert set(episode["evidence"]) >= {"signal", "run", "gates", "rollout"}
        alerts = player.get("/api/alerts")["alerts"]
        assert any(alert["monitor"] == "quality" for alert in alerts)
        signals = [
            s for s in player.get("/api/signals")["signals"] if s["kind"] == "quality" and s["value"] is not None
        ]
        worst = max(signals, key=lambda s: s["value"])
        last = max(signals, key=lambda s: s["window"]["end"])
        assert last["value"] < 0.75 * worst["value"]  # the retrained model won the quality back
        assert player.get("/api/loop")["number"] > before["number"]

    status = modelloop("status", "--json", project=project)
    assert status.returncode == 0, status.stderr
    json.loads(status.stdout)
    verified = modelloop("audit", "verify", "--json", project=project)
    assert verified.returncode == 0, verified.stderr
    back = modelloop("rollback", "demand", "--json", project=project)
    assert back.returncode == 0, back.stderr
