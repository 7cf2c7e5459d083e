"""A second project (another data set, regression, scikit-learn) goes through the whole loop, as the how-to tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelloop import app
from modelloop.prepare.columns import from_frame
from modelloop.register import actions as register
from modelloop.register.package import load

from .player import Player, make_project, modelloop, up

pytestmark = pytest.mark.timeout(400)


def test_bikes_turn_the_loop(tmp_path: Path) -> None:
    project = make_project(tmp_path / "bikes")
    with up(project) as state, Player(project, state) as player:
        player.first_model("2011-04-01")
        before = player.get("/api/loop")
        player.play("2011-04-01", "2011-09-01", player.settle)
        assert player.refused == []
        assert player.get("/api/loop")["number"] > before["number"]
        spring_came_and_a_retrained_version_went_live(player)
        quality_fell_and_was_won_back(player)

    the_first_version_would_be_worse(player)
    for words in (("status",), ("audit", "verify"), ("rollback", "demand")):
        done = modelloop(*words, "--json", project=project)
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)


def spring_came_and_a_retrained_version_went_live(player: Player) -> None:
    episodes = sorted(player.episodes(), key=lambda episode: episode["number"])
    turned = [e for e in episodes if e["trigger"] == "off-the-mark" and e["result"] == "promoted"]
    assert turned, episodes
    signals = {signal["id"]: signal for signal in player.get("/api/signals")["signals"]}
    alerts = {alert["signal"] for alert in player.get("/api/alerts")["alerts"] if alert["monitor"] == "quality"}
    for episode in turned:
        assert episode["signal"] in alerts
        assert signals[episode["signal"]]["verdict"] == "fail"
        assert set(episode["evidence"]) >= {"signal", "run", "gates", "judgement", "rollout", "result"}
        assert all(gate["verdict"] == "pass" for gate in episode["evidence"]["gates"])


def quality_fell_and_was_won_back(player: Player) -> None:
    """In the platform's own windows: the error grew under the first version, and shrank under a later one."""
    signals = [s for s in player.get("/api/signals")["signals"] if s["kind"] == "quality" and s["value"] is not None]
    signals.sort(key=lambda signal: str(signal["window"]["end"]))
    first = [signal for signal in signals if signal["version"] == "demand:1"]
    assert max(s["value"] for s in first) > 1.5 * first[0]["value"]
    last = signals[-1]
    assert last["version"] != "demand:1"
    assert last["value"] < 0.75 * max(s["value"] for s in signals)


def the_first_version_would_be_worse(player: Player) -> None:
    """In the last four weeks the answers are off by a fifth less, at least, than demand:1 on the same hours."""
    since = player.world.at("2011-08-04")
    asked = [(rows, scores) for day, rows, scores in player.forecasts if day >= since]
    assert len({day for day, _, _ in player.forecasts if day >= since}) == 28
    rows = pl.concat([rows for rows, _ in asked])
    answered = np.concatenate([np.array(scores) for _, scores in asked])
    counted = rows["bikers"].to_numpy()
    unchanged = scores_of(player.project, "demand:1", rows)
    assert np.abs(answered - counted).mean() < 0.8 * np.abs(unchanged - counted).mean()


def scores_of(project: Path, version: str, rows: pl.DataFrame) -> Any:
    ctx = app.open_context(project)
    try:
        package = load(ctx.blobs, register.get_version(ctx, version).digest)
    finally:
        ctx.db.close()
    return package.scorer.score(from_frame(rows, [column.name for column in package.signature.inputs]))
