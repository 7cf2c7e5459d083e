"""What the page says of given facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelloop.data.records import Arrival, CheckResult, Dataset, Level, Report
from modelloop.deploy.records import Arm, EndpointState, GatewayReport, Rollout, Route, Stage, StageVerdict
from modelloop.evaluate.settings import Task
from modelloop.ground.core.records import Verdict
from modelloop.monitor.records import Alert, Signal, Window
from modelloop.project import read_project
from modelloop.register.records import ModelVersion
from modelloop.retrain.records import Episode, EpisodeState, Result, Turn
from modelloop.scaffold import scaffold
from modelloop.web.pages import day, figure, interval
from modelloop.web.picture import Facts, headline, picture
from modelloop.web.telling import tell

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
START = datetime(2013, 3, 1, tzinfo=UTC)
CHAMPION = ModelVersion("trial", 1, "d" * 64, Verdict.PASS, None, 0.71, NOW, "worker", START, START, {})


@pytest.fixture
def empty(tmp_path: Path) -> Facts:
    scaffold(tmp_path, "trial", task=Task.BINARY)
    return Facts(read_project(tmp_path / "modelloop.toml"), NOW)


@pytest.fixture
def serving(empty: Facts) -> Facts:
    report = GatewayReport("g1", 1, NOW, "http://127.0.0.1:1", 1, ("trial:1",), {}, 0, 0, 0, 0)
    return replace(
        empty,
        versions=[CHAMPION],
        endpoints=[EndpointState("trial", "trial", "binary", "trial:1", None)],
        routes={"trial": Route("trial", Arm("trial:1", "d"))},
        reports=[report],
    )


def state(facts: Facts, word: str) -> str:
    return next(stage["state"] for stage in picture(facts)["stages"] if stage["word"] == word)


def signal(value: float, verdict: Verdict, version: str = "trial:1") -> Signal:
    window = Window("trial", START, START + timedelta(weeks=4))
    return Signal(
        "s", "quality", "quality", window, version, verdict, value, value - 0.02, value + 0.02, 0.7, 500, "why", {}, NOW
    )


def test_before_anything_all_stages_idle(empty: Facts) -> None:
    seen = picture(empty)
    assert {stage["state"] for stage in seen["stages"]} == {"idle"}
    assert seen["headline"]["value"] is None
    assert seen["troubles"] == []


def test_the_headline_is_the_last_window_and_before_that_the_registration(serving: Facts) -> None:
    assert headline(serving)["value"] == 0.71
    assert "had not seen" in headline(serving)["about"]
    measured = headline(replace(serving, signals=[signal(0.68, Verdict.FAIL)]))
    assert measured["value"] == 0.68
    assert measured["state"] == "alarm"
    assert "0.660 to 0.700" in measured["about"]


def test_a_failing_window_of_a_version_that_was_replaced_is_no_alarm(serving: Facts) -> None:
    assert headline(replace(serving, signals=[signal(0.68, Verdict.FAIL, "trial:0")]))["state"] == "ok"


def test_an_open_alert_is_an_alarm_and_a_note_is_not(serving: Facts) -> None:
    alert = Alert("a", "quality", "trial", "alert", "s", START, NOW, None, "fell")
    assert state(replace(serving, signals=[signal(0.7, Verdict.PASS)], alerts=[alert]), "monitor") == "alarm"
    assert (
        state(
            replace(serving, signals=[signal(0.7, Verdict.PASS)], alerts=[replace(alert, severity="note")]), "monitor"
        )
        == "ok"
    )
    over = replace(alert, resolved_at=NOW)
    assert state(replace(serving, signals=[signal(0.7, Verdict.PASS)], alerts=[over]), "monitor") == "ok"


def test_a_refused_arrival_is_an_alarm_until_something_comes_in(serving: Facts) -> None:
    check = CheckResult("bad_rows", "", Level.TABLE, 1, "expected at most 30 %; 100 % are")
    refused = Arrival("arr_x", "rows", "landing", None, Report(9, 0, 9, True, ("a.csv",), (check,), ()), None, NOW)
    before = replace(serving, datasets=[Dataset("rows", 2, 10, NOW - timedelta(hours=1))], arrivals=[refused])
    assert state(before, "data") == "alarm"
    (told,) = picture(before)["refused"]
    assert (told["dataset"], told["reasons"]) == ("rows", "bad rows: expected at most 30 %; 100 % are")
    for later in (
        replace(before, arrivals=[replace(refused, version=2)]),
        replace(before, datasets=[Dataset("rows", 3, 10, NOW + timedelta(hours=1))]),
    ):
        assert (state(later, "data"), picture(later)["refused"]) == ("ok", [])


def test_stages_lead_to_where_more_is_told(serving: Facts) -> None:
    pages = {stage["word"]: stage["href"] for stage in picture(serving)["stages"]}
    assert pages["data"] == "/data"
    assert pages["train"] == "/runs"
    assert pages["register"] == pages["evaluate"] == "/models/trial/1"
    assert pages["label"] is None
    assert pages["monitor"] is None, "there is no chart yet"
    two = [signal(0.7, Verdict.PASS), signal(0.71, Verdict.PASS)]
    assert {stage["word"]: stage["href"] for stage in picture(replace(serving, signals=two))["stages"]}[
        "monitor"
    ] == "#quality"


def test_silent_processes_are_troubles(serving: Facts) -> None:
    turn = Turn(7, NOW, False, 0, 0, None, {})
    assert picture(replace(serving, turn=turn))["troubles"] == []
    later = replace(serving, turn=turn, now=NOW + timedelta(minutes=1))
    troubles = " ".join(picture(later)["troubles"])
    assert "No gateway" in troubles
    assert "No worker" in troubles
    assert state(later, "deploy") == "alarm"
    stumbling = picture(replace(serving, turn=replace(turn, errors={"measure": "TypeError: x"})))["troubles"]
    assert stumbling == ["The last turn of the loop stumbled in measure: TypeError: x"]


def test_a_rollout_under_way_is_told(serving: Facts) -> None:
    verdict = StageVerdict(
        "not yet", "why", {"stage": "canary", "step": 1, "champion": {"asked": 9, "mean_loss": 0.12}}
    )
    rollout = Rollout("r", "trial", "trial:1", "trial:2", Stage.CANARY, 1, NOW, NOW, (verdict,), "x", "worker")
    rolling = replace(
        serving,
        endpoints=[EndpointState("trial", "trial", "binary", "trial:1", "r")],
        routes={"trial": Route("trial", Arm("trial:1", "d"), Arm("trial:2", "d"), Stage.CANARY, 0.5)},
        rollouts=[rollout],
    )
    (endpoint,) = picture(rolling)["endpoints"]
    assert endpoint["challenger"] == "trial:2"
    assert endpoint["told"] == "in canary: 50 % of requests"
    assert state(rolling, "deploy") == "busy"
    other = {"other": Route("other", Arm("other:7", "d"))}
    several = picture(replace(rolling, routes=other | dict(rolling.routes)))["stages"]
    assert next(stage["lines"] for stage in several if stage["word"] == "deploy")[0] == "trial:1 answers"
    waiting = replace(rolling, rollouts=[replace(rollout, stage=Stage.APPROVAL)])
    assert picture(waiting)["endpoints"][0]["approve"] is True


def test_an_episode_is_told_from_its_evidence() -> None:
    episode = Episode(
        id="episode_x",
        number=3,
        endpoint="trial",
        pipeline="train",
        state=EpisodeState.CLOSED,
        trigger="person",
        signal=None,
        reason="an idea",
        params={},
        event_time=START,
        opened_at=NOW,
        version="trial:2",
        result=Result.ROLLED_BACK,
        evidence={
            "judgement": {
                "verdict": "pass",
                "gates": [{"gate": "g", "check": "parity", "verdict": "pass", "reason": "equal"}],
                "headline": {"metric": "auc", "value": 0.7, "low": 0.69, "high": 0.71, "rows": 1000},
            },
            "rollout": [
                {
                    "decision": "worse",
                    "reason": "3 of 9 failed",
                    "numbers": {"stage": "canary", "step": 0, "seen": [1, 2]},
                }
            ],
            "result": {"result": "rolled back", "reason": "3 of 9 failed"},
        },
    )
    told = tell(episode)
    assert told["headline"] == "a person → trial:2"
    assert told["quality"] == "auc 0.700 (0.690 to 0.710) on 1,000 unseen rows"
    assert told["gates"][0]["verdict"] == "pass"
    assert told["stages"] == [{"stage": "canary 1", "decision": "worse", "reason": "3 of 9 failed", "numbers": []}]
    assert told["result_text"] == "3 of 9 failed"
    bare = tell(replace(episode, evidence=None, result=None, state=EpisodeState.RUNNING))
    assert bare["gates"] == bare["stages"] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.7345, "0.735"),
        (0.00123, "0.00123"),
        (12345, "12,345"),
        (1234.56, "1,234.6"),
        ("x", "x"),
        (0, "0"),
    ],
)
def test_figures(value: object, text: str) -> None:
    assert figure(value) == text


def test_days_and_intervals() -> None:
    assert day("2013-08-05T00:00:00Z") == "5 Aug 2013"
    assert interval({"low": 0.1, "high": 0.2}) == "0.100 to 0.200"
    assert interval({"low": None, "high": 0.2}) == ""
