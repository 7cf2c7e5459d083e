"""A second project (another data set, regression, scikit-learn) goes through the whole loop, as the how-to tells."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from modelloop import app
from modelloop.prepare.columns import from_frame
from modelloop.register import actions as register
from modelloop.register.package import load

from .player import DATABASE, Player, example, make_project, modelloop, up

pytestmark = pytest.mark.timeout(400)


def test_bikes_turn_the_loop(tmp_path: Path) -> None:
    project = make_project(tmp_path / "bikes", database=True)
    with up(project) as state, Player(project, state, database=True) as player:
        player.first_model("2011-04-01")
        a_day_without_humidity_waits_for_a_person(project)
        an_hour_that_was_counted_again_is_one_changed_row(project)
        a_report_is_handed_over_at_the_second_attempt_and_says_why_it_ran(project, player)
        mondays_are_in_the_calendar(project)
        before = player.get("/api/loop")
        days = count()
        player.play("2011-04-01", "2011-09-01", lambda: player.settle() if next(days) % 2 else None)
        assert player.refused == []
        assert player.get("/api/loop")["number"] > before["number"]
        spring_came_and_a_retrained_version_went_live(player)
        quality_fell_and_was_won_back(player)

    the_first_version_would_be_worse(player)
    what_models_were_trained_on_is_kept(project)
    for words in (("status",), ("audit", "verify"), ("rollback", "demand")):
        told(project, *words)


def told(project: Path, *words: str) -> Any:
    """Ask the command line as a user does, and return the document that it answers with."""
    done = modelloop(*words, "--json", project=project)
    assert done.returncode == 0, (words, done.stderr, done.stdout[-2000:])
    return json.loads(done.stdout)


def a_day_without_humidity_waits_for_a_person(project: Path) -> None:
    """On 10 March 2011 the station sent a humidity of 0 all day: the contract knows better, the other hours came in."""
    aside = told(project, "data", "quarantine", "rides", "--limit", "100")["rows"]
    assert len(aside) == 22
    assert {row["values"]["at"][:10] for row in aside} == {"2011-03-10"}
    assert all("humidity" in reason for row in aside for reason in row["reasons"])
    listed = project / "aside.csv"
    told(project, "data", "quarantine", "rides", "--export", str(listed))
    header, first, *_ = listed.read_text().splitlines()
    listed.write_text(f"{header}\n{first.replace(',0.0,', ',0.6,', 1)}\n")
    assert told(project, "data", "readmit", "rides", str(listed))["rows"] == 1
    assert told(project, "data", "drop", "rides", "--reason", "the station was down")["dropped"] == 21
    assert told(project, "data", "quarantine", "rides", "--waiting")["rows"] == []


def an_hour_that_was_counted_again_is_one_changed_row(project: Path) -> None:
    before = told(project, "data", "show", "rides")["versions"][0]
    example().recount(project / DATABASE, "2011-02-01T08:00:00Z", 123)
    taken = told(project, "data", "ingest")["sources"]["rides"]
    assert taken["report"]["rows"] == 1, "only what is beyond the cursor is asked for"
    diff = told(project, "data", "diff", f"rides:{before['number']}", taken["version"])
    assert (diff["changes"]["added"], diff["changes"]["removed"], diff["changes"]["changed"]) == (0, 0, 1)
    assert set(diff["changes"]["by_column"]) == {"bikers", "change"}
    assert told(project, "data", "ingest")["sources"]["rides"] is None, "nothing is new"


def a_report_is_handed_over_at_the_second_attempt_and_says_why_it_ran(project: Path, player: Player) -> None:
    with ThreadPoolExecutor(1) as desk:
        asked = desk.submit(told, project, "run", "report")
        player.wait_for(lambda: player.get("/api/runs")["runs"][0]["pipeline"] == "report", "the report's run")
        run = player.get("/api/runs")["runs"][0]["id"]
        player.wait_for(lambda: steps_of(player, run).get("summarise", {}).get("state") == "done", "its first step")
        time.sleep(0.3)  # the first attempt to write has failed by now: there is no folder
        (project / "reports").mkdir()
        assert asked.result()["run"]["state"] == "done"
    assert steps_of(player, run)["hand_over"]["attempts"] > 1
    assert (project / "reports" / "weeks.csv").is_file()

    code = (project / "steps.py").read_text()
    (project / "steps.py").write_text(code.replace("weeks.tail(4)", "weeks.tail(8)"))
    told(project, "run", "report")
    assert "weeks.tail(8)" in json.dumps(told(project, "runs", "why", "summarise"))


def steps_of(player: Player, run: str) -> dict[str, Any]:
    return {step["name"]: step for step in player.get(f"/api/runs/{run}")["steps"]}


def mondays_are_in_the_calendar(project: Path) -> None:
    mondays = next(one for one in told(project, "triggers", "list")["triggers"] if one["name"] == "mondays")
    upcoming = datetime.fromisoformat(mondays["upcoming"]).astimezone(ZoneInfo("America/New_York"))
    assert (upcoming.weekday(), upcoming.hour, upcoming.minute) == (0, 6, 30)


def what_models_were_trained_on_is_kept(project: Path) -> None:
    told(project, "data", "prune", "rides", "--versions", "1")
    versions = told(project, "data", "versions", "rides")["versions"]
    kept = {one["number"] for one in versions if not one["pruned"]}
    models = told(project, "models", "list")["versions"]
    used = {int(name.rpartition(":")[2]) for one in models for name in one["lineage"]["data"].values()}
    assert len(used) > 1
    assert used | {max(one["number"] for one in versions)} == kept < {one["number"] for one in versions}


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
