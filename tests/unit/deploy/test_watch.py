"""What is shown of a rollout: its way with what was said, both versions' answers, who has taken a step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.reach import reach
from modelloop.deploy.records import GatewayReport, Rollout, Stage, StageVerdict
from modelloop.deploy.rollout import OVER, move, where
from modelloop.deploy.settings import RolloutSettings
from modelloop.deploy.watch import BINS, compare, view, way

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROLLOUT = Rollout("rollout_1", "delay", "delay:1", "delay:2", Stage.CHECK, 0, NOW, NOW, (), "why", "me")


@dataclass
class Row:
    version: str = "delay:1"
    score: float = 0.5
    error: str | None = None
    shadow_version: str | None = None
    shadow_score: float | None = None
    shadow_error: str | None = None


def report(name: str, generation: int, ago: float) -> GatewayReport:
    return GatewayReport(name, generation, NOW - timedelta(seconds=ago), "here", 1, (), {}, 0, 0, 0, 0)


def test_a_step_is_done_where_all_who_live_have_it() -> None:
    assert not reach([], 3, NOW).done
    some = reach([report("a", 3, 1), report("b", 2, 1), report("gone", 1, 60), report("long-gone", 9, 9999)], 3, NOW)
    assert (some.done, some.alive, some.reached, some.behind) == (False, 2, 1, ("b",))
    assert [step.gateway for step in some.gateways] == ["a", "b", "gone"]
    assert some.told() == "1 of 2 gateways; behind: b"
    assert reach([report("a", 3, 1), report("future", 4, -90)], 3, NOW).done


def test_the_way_tells_what_was_said_at_each_stage() -> None:
    policy = RolloutSettings(canary=(0.1, 0.5), bake_rows=5)
    rollout, seen = ROLLOUT, []
    while rollout.stage not in OVER:
        seen.append([stage.state for stage in way(rollout, policy)])
        rollout = move(rollout, policy, StageVerdict("better", str(rollout.stage), where(rollout)), NOW)
    assert seen[2] == ["done", "done", "here", "ahead", "ahead", "ahead"]
    done = way(rollout, policy)
    assert [stage.state for stage in done] == ["done"] * 6
    assert [stage.share for stage in done] == [0.0, 1.0, 0.1, 0.5, 1.0, 1.0]
    assert [stage.verdict.reason for stage in done if stage.verdict] == [
        *("check", "shadow", "canary", "canary", "bake"),
    ]


def test_what_is_left_is_that_of_the_present_stage() -> None:
    said = StageVerdict("not yet", "wait", {"stage": "shadow", "step": 0, "remaining": {"rows": 40, "seconds": 8.0}})
    here = replace(ROLLOUT, stage=Stage.SHADOW, verdicts=(said,))
    seen = view(here, RolloutSettings(), None, NOW + timedelta(seconds=9))
    assert (seen.remaining_rows, seen.remaining_seconds, seen.stage_seconds) == (40, 8.0, 9.0)
    hopeless = replace(said, numbers={"stage": "shadow", "step": 0, "remaining": {"rows": 40, "gives_up": True}})
    assert view(replace(here, verdicts=(hopeless,)), RolloutSettings(), None, NOW).remaining_rows is None
    gone_on = view(replace(here, stage=Stage.CANARY), RolloutSettings(), None, NOW)
    assert (gone_on.verdict, gone_on.remaining_rows) == (None, None)


def test_both_versions_are_compared_on_the_same_rows() -> None:
    rows = [
        Row(score=0.2, shadow_version="delay:2", shadow_score=0.5),
        Row(score=0.2, shadow_version="delay:2", shadow_score=0.1),
        Row(score=0.9, shadow_version="delay:2", shadow_error="broken"),
        Row(version="delay:2", score=1.0),
    ]
    found = compare(rows, ROLLOUT, "binary")
    assert (found.rows, found.pairs, found.failed) == (4, 2, 1)
    assert found.disagreement == pytest.approx(0.2)
    assert found.largest == pytest.approx(0.3)
    assert (sum(found.champion), sum(found.challenger), found.challenger[-1]) == (3, 3, 1)


scores = st.floats(allow_nan=True, allow_infinity=True, width=32)
rows = st.builds(
    Row,
    version=st.sampled_from(["delay:1", "delay:2"]),
    score=scores,
    shadow_version=st.sampled_from([None, "delay:1", "delay:2"]),
    shadow_score=st.none() | scores,
)


@given(st.lists(rows, max_size=30), st.sampled_from(["binary", "regression", "multiclass"]))
def test_whatever_was_answered_can_be_shown(answered: list[Row], task: str) -> None:
    found = compare(answered, ROLLOUT, task)
    assert len(found.champion) == len(found.challenger) in (0, BINS)
    assert found.pairs <= found.rows == len(answered)
