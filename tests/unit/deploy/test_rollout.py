"""The state machine of a rollout: whatever the verdicts, it ends where it may, and never skips a stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.records import Arm, Rollout, Stage, StageVerdict
from modelloop.deploy.rollout import OVER, Served, first_stage, move, route, settled, withdrawn
from modelloop.deploy.settings import RolloutSettings
from modelloop.deploy.verdict import BETTER, NOT_YET, WORSE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVED = Served("delay", "delay", None, 1000, 10, Arm("delay:1", "a"))
NEW = Arm("delay:2", "b")


def begun(policy: RolloutSettings, champion: str | None = "delay:1") -> Rollout:
    stage = first_stage(champion, policy)
    return Rollout("rollout_1", "delay", champion, "delay:2", stage, 0, NOW, NOW, (), "why", "me")


def said(decision: str) -> StageVerdict:
    return StageVerdict(decision, decision, {})


def path(policy: RolloutSettings, champion: str | None = "delay:1") -> list[str]:
    rollout, stages = begun(policy, champion), []
    while rollout.stage not in OVER:
        stages.append(f"{rollout.stage}{rollout.step}" if rollout.stage is Stage.CANARY else str(rollout.stage))
        rollout = move(rollout, policy, said(BETTER), NOW)
    return [*stages, str(rollout.stage)]


def test_the_way_to_live() -> None:
    assert path(RolloutSettings()) == ["check", "shadow", "canary0", "canary1", "live"]
    assert path(RolloutSettings(approval=True)) == ["check", "shadow", "canary0", "canary1", "approval", "live"]
    assert path(RolloutSettings(shadow_rows=0, canary=(0.5,))) == ["check", "canary0", "live"]
    assert path(RolloutSettings(canary=())) == ["check", "shadow", "live"]
    assert path(RolloutSettings(), None) == ["check", "live"]
    assert path(RolloutSettings(approval=True), None) == ["approval", "check", "live"]


policies = st.builds(
    RolloutSettings,
    shadow_rows=st.sampled_from([0, 10]),
    canary=st.sampled_from([(), (0.1,), (0.1, 0.5, 0.9)]),
    approval=st.booleans(),
)


@given(policies, st.lists(st.sampled_from([BETTER, NOT_YET, WORSE]), max_size=20), st.sampled_from([None, "delay:1"]))
def test_any_verdicts_keep_the_rules(policy: RolloutSettings, decisions: list[str], champion: str | None) -> None:
    rollout = begun(policy, champion)
    for decision in decisions:
        before = rollout
        rollout = move(rollout, policy, said(decision), NOW)
        if before.stage in OVER:
            assert rollout == before
        elif decision == WORSE:
            assert rollout.stage is Stage.BACK
        elif decision == NOT_YET:
            assert (rollout.stage, rollout.step) == (before.stage, before.step)
        else:
            assert (rollout.stage, rollout.step) != (before.stage, before.step)
            assert rollout.stage is not Stage.BACK
        assert sum(v.decision == NOT_YET for v in rollout.verdicts) <= 1
        assert len(settled(rollout)) <= 2 + len(policy.canary) + 2
        made = route(SERVED if champion else replace(SERVED, champion=None), rollout, NEW, policy)
        assert made is None or made.challenger in (None, NEW)
        if made is not None and champion:
            assert made.champion == SERVED.champion
        if made is not None and made.stage is Stage.CANARY:
            assert made.share in policy.canary


def test_what_gateways_are_told() -> None:
    policy = RolloutSettings()
    rollout = begun(policy)
    assert route(SERVED, None, None, policy).challenger is None  # type: ignore[union-attr]
    seen = []
    while rollout.stage not in OVER:
        made = route(SERVED, rollout, NEW, policy)
        assert made is not None
        assert made.salt == "rollout_1"
        seen.append((made.stage, made.share))
        rollout = move(rollout, policy, said(BETTER), NOW)
    assert seen == [(Stage.CHECK, 0.0), (Stage.SHADOW, 1.0), (Stage.CANARY, 0.1), (Stage.CANARY, 0.5)]


def test_a_first_version_is_published_only_once_approved() -> None:
    policy, none = RolloutSettings(approval=True), replace(SERVED, champion=None)
    rollout = begun(policy, None)
    assert route(none, rollout, NEW, policy) is None
    approved = move(rollout, policy, said(BETTER), NOW)
    made = route(none, approved, NEW, policy)
    assert made is not None
    assert (made.champion, made.challenger) == (NEW, None)


def test_sent_back_from_anywhere() -> None:
    policy = RolloutSettings(approval=True)
    rollout = begun(policy)
    while rollout.stage not in OVER:
        gone = withdrawn(rollout, "changed our mind", NOW)
        assert gone.stage is Stage.BACK
        assert gone.verdicts[-1].reason == "changed our mind"
        rollout = move(rollout, policy, said(BETTER), NOW)
