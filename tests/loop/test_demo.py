"""The main job: `modelloop demo` plays flights 2013, and what must be seen is seen, computed by the processes."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from .player import modelloop

pytestmark = pytest.mark.timeout(900)


def test_the_year_is_played(tmp_path: Path) -> None:
    done = modelloop("demo", str(tmp_path / "flights"), "--json", timeout=800)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    episodes = sorted(told["episodes"], key=lambda episode: episode["number"])
    by_trigger = {episode["trigger"]: episode for episode in reversed(episodes)}

    assert told["played"]["failed"] == 0, "no caller ever got a failed answer"
    assert told["played"]["requests"] > 10_000

    alert = next(a for a in reversed(told["alerts"]) if a["monitor"] == "quality")
    turned = by_trigger["quality-fell"]
    assert alert["event_time"][:7] in ("2013-03", "2013-04", "2013-05"), "quality falls in spring, and an alert says so"
    assert turned["result"] == "promoted"
    assert turned["evidence"]["signal"]["verdict"] == "fail"

    months = told["played"]["months"]
    static, loop = mean(m["static"] for m in months), mean(m["loop"] for m in months)
    assert len(months) == 10
    assert 0.67 < static < 0.71, "the first model, had it stayed (reference .69)"
    assert loop > static + 0.02, "retraining wins quality back"

    faulty = next(e for e in episodes if e["params"].get("calendar_days"))
    assert faulty["result"] == "rolled back"
    last = faulty["evidence"]["rollout"][-1]
    assert (last["numbers"]["stage"], last["decision"]) == ("canary", "worse")
    assert "lookup(date)" in last["reason"]

    short_sighted = next(e for e in episodes if e["params"].get("months"))
    assert short_sighted["result"] in ("refused", "rolled back")
    assert short_sighted["version"], "a refused version stands in the register with its verdict"

    data_came_in_under_contract(told["played"]["data"])
    what_came_in_can_be_looked_at(tmp_path / "flights")

    verified = modelloop("audit", "verify", "--json", project=tmp_path / "flights")
    assert verified.returncode == 0, verified.stderr


def data_came_in_under_contract(listed: list[dict[str, Any]]) -> None:
    """What the year's data really has: a wind of 1,048 mph, a frost in May, a flight of 17 miles, and a broken file."""
    by_name = {one["dataset"]: one for one in listed}
    weather, flights = by_name["weather"], by_name["flights"]
    assert (weather["set_aside"], weather["readmitted"], weather["refused"]) == (2, 1, ["2013-06-07.parquet"])
    assert (flights["set_aside"], flights["readmitted"], flights["refused"]) == (1, 0, [])
    assert flights["warned"]["references"] == 44, "aircraft that the register lacks come in every week, with a warning"
    assert weather["warned"]["drift"] > 40
    for one in (weather, flights):
        assert one["versions"] >= 44
        assert one["trained_on"]
        assert one["let_go"]
        assert not set(one["trained_on"]) & set(one["let_go"])
    assert flights["rows"] + flights["set_aside"] > 330_000


def what_came_in_can_be_looked_at(project: Path) -> None:
    rows = told_of(project, "data", "quarantine", "weather")["rows"]
    assert {row["settled"]: row["values"]["wind_speed"] for row in rows}["readmitted"] == "1048.36058"
    assert [row["values"]["temp"] for row in rows if not row["settled"]] == ["13.1"]
    diff = told_of(project, "data", "diff", "flights:1", "flights", "--limit", "1")
    assert diff["changes"]["added"] > 250_000
    assert (diff["changes"]["changed"], diff["changes"]["removed"]) == (0, 0)


def told_of(project: Path, *words: str) -> Any:
    done = modelloop(*words, "--json", project=project)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
