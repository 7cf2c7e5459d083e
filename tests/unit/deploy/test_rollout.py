"""The state machine of a rollout: the ways, what nobody may do to it, and what gateways are told at each step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelloop.deploy.records import Arm, Rollout, Stage, StageVerdict
from modelloop.deploy.rollout import (
    ANSWERS,
    OVER,
    Served,
    approved,
    first_stage,
    holds,
    judged,
    judging,
    move,
    paused,
    promoted,
    resumed,
    route,
    settled,
    since,
    stages,
    withdrawn,
)
from modelloop.deploy.settings import RolloutSettings, Strategy
from modelloop.deploy.verdict import BETTER, NOT_YET, WORSE
from modelloop.ground.core.errors import Conflict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OLD, NEW, OLDER = Arm("delay:1", "a"), Arm("delay:2", "b"), Arm("delay:0", "c")
SERVED = Served("delay", "delay", None, 1000, 10, OLD)


def begun(policy: RolloutSettings, champion: str | None = "delay:1") -> Rollout:
    stage = first_stage(champion, policy)
    return Rollout("rollout_1", "delay", champion, "delay:2", stage, 0, NOW, NOW, (), "why", "me")


def said(decision: str) -> StageVerdict:
    return StageVerdict(decision, decision, {})


def path(policy: RolloutSettings, champion: str | None = "delay:1") -> list[str]:
    rollout, seen = begun(policy, champion), []
    while rollout.stage not in OVER:
        seen.append(f"{rollout.stage}{rollout.step}" if rollout.stage is Stage.CANARY else str(rollout.stage))
        rollout = move(rollout, policy, said(BETTER), NOW)
    return [*seen, str(rollout.stage)]


def test_the_ways_to_live() -> None:
    assert path(RolloutSettings()) == ["check", "shadow", "canary0", "canary1", "live"]
    assert path(RolloutSettings(approval=True)) == ["check", "shadow", "canary0", "canary1", "approval", "live"]
    assert path(RolloutSettings(shadow_rows=0, canary=(0.5,))) == ["check", "canary0", "live"]
    assert path(RolloutSettings(canary=(), bake_rows=5)) == ["check", "shadow", "bake", "live"]
    assert path(RolloutSettings(), None) == ["check", "live"]
    assert path(RolloutSettings(approval=True, bake_rows=5), None) == ["approval", "check", "live"]
    blue = RolloutSettings(strategy=Strategy.BLUE_GREEN, approval=True, bake_rows=9)
    assert path(blue) == ["check", "shadow", "approval", "bake", "live"]
    assert path(replace(blue, shadow_rows=0, approval=False)) == ["check", "bake", "live"]
    test = RolloutSettings(strategy=Strategy.AB_TEST, bake_rows=9)
    assert path(test) == ["check", "test", "bake", "live"]
    assert path(replace(test, approval=True, bake_rows=0)) == ["check", "test", "approval", "live"]


policies = st.builds(
    RolloutSettings,
    strategy=st.sampled_from(Strategy),
    shadow_rows=st.sampled_from([0, 10]),
    canary=st.sampled_from([(), (0.1,), (0.1, 0.5, 0.9)]),
    approval=st.booleans(),
    bake_rows=st.sampled_from([0, 10]),
    max_hours=st.sampled_from([0.0, 1.0]),
)


class AnyHands(RuleBasedStateMachine):
    """Verdicts and people in any order: the rules hold whatever they do."""

    @initialize(policy=policies, first=st.booleans())
    def begin(self, policy: RolloutSettings, first: bool) -> None:
        self.policy = policy
        self.rollout = begun(policy, None if first else "delay:1")
        self.now = NOW
        self.checked = False
        self.agreed = False

    def became(self, after: Rollout) -> None:
        before, self.rollout = self.rollout, after
        if before.stage in OVER:
            assert after == before
        if before.stage is Stage.CHECK and after.stage not in (Stage.CHECK, Stage.BACK):
            self.checked = True
        if before.stage is Stage.BAKE:
            assert after.stage in (Stage.BAKE, Stage.LIVE, Stage.BACK)

    @rule(minutes=st.integers(0, 90))
    def later(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(decision=st.sampled_from([BETTER, NOT_YET, WORSE]))
    def judge(self, decision: str) -> None:
        before = self.rollout
        after = judged(before, self.policy, said(decision), self.now)
        if before.stage not in OVER:
            if decision == WORSE:
                assert after.stage is Stage.BACK
            elif holds(before) or decision == NOT_YET:
                assert (after.stage, after.step) == (before.stage, before.step)
                assert after.verdicts[-1].decision == NOT_YET
            else:
                assert (after.stage, after.step) != (before.stage, before.step)
                assert after.stage is not Stage.BACK
        self.became(after)

    @rule()
    def pause(self) -> None:
        if self.rollout.stage in OVER:
            with pytest.raises(Conflict):
                paused(self.rollout, "ann", self.now)
            return
        after = paused(self.rollout, "ann", self.now)
        assert paused(after, "bob", self.now) == after
        self.became(after)

    @precondition(lambda self: self.rollout.stage not in OVER)
    @rule()
    def resume(self) -> None:
        gone = since(self.rollout, self.now)
        after = resumed(self.rollout, self.now)
        assert after.paused_by is None
        assert since(after, self.now) == gone
        self.became(after)

    @rule()
    def promote(self) -> None:
        early = self.rollout.stage in OVER or self.rollout.stage is Stage.CHECK or self.rollout.champion is None
        if early:
            with pytest.raises(Conflict):
                promoted(self.rollout, self.policy, "ann", "now", self.now)
            return
        after = promoted(self.rollout, self.policy, "ann", "now", self.now)
        assert after.stage in ANSWERS
        assert after.approved_by == "ann"
        self.agreed = True
        self.became(after)

    @rule()
    def approve(self) -> None:
        if self.rollout.stage is not Stage.APPROVAL or self.rollout.paused_by:
            with pytest.raises(Conflict):
                approved(self.rollout, self.policy, "ann", "", self.now)
            return
        after = approved(self.rollout, self.policy, "ann", "", self.now)
        assert after.stage is not Stage.APPROVAL
        self.agreed = True
        self.became(after)

    @rule()
    def abort(self) -> None:
        after = withdrawn(self.rollout, "enough", self.now)
        assert after.stage in OVER
        self.became(after)

    @invariant()
    def nobody_is_met_unchecked(self) -> None:
        if self.rollout.stage not in (Stage.CHECK, Stage.APPROVAL, Stage.BACK):
            assert self.checked
        if self.rollout.stage in ANSWERS and self.policy.approval:
            assert self.agreed
        assert sum(v.decision == NOT_YET for v in self.rollout.verdicts) <= 1
        assert len(settled(self.rollout)) <= len(self.policy.canary) + 5
        if self.rollout.stage in OVER:
            assert self.rollout.paused_by is None
        assert since(self.rollout, self.now) <= max(self.now, self.rollout.stage_since)

    @invariant()
    def the_route_fits(self) -> None:
        answers = self.rollout.stage in ANSWERS
        if self.rollout.champion is None:
            served = replace(SERVED, champion=NEW if answers else None)
        else:
            served = replace(SERVED, champion=NEW if answers else OLD, standby=OLD if answers else OLDER)
        made = route(served, self.rollout, NEW, self.policy)
        if made is None:
            assert self.rollout.champion is None
            assert not answers
            return
        assert made.challenger is None or made.challenger != made.champion
        assert made.champion not in made.standby
        if answers and self.rollout.champion:
            assert made.champion == NEW
            assert OLD in (made.challenger, *made.standby)  # loaded: going back takes an instant
        if made.stage is Stage.CANARY:
            assert made.share in self.policy.canary
        if made.stage in (Stage.CHECK, Stage.LIVE):
            assert made.share == 0.0


AnyHands.TestCase.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
TestAnyHands = AnyHands.TestCase


def test_what_gateways_are_told() -> None:
    policy = RolloutSettings(bake_rows=5, slices=("carrier",))
    rollout = begun(policy)
    assert route(SERVED, None, None, policy).challenger is None  # type: ignore[union-attr]
    seen = []
    while rollout.stage not in OVER:
        answers = rollout.stage in ANSWERS
        made = route(replace(SERVED, champion=NEW, standby=OLD) if answers else SERVED, rollout, NEW, policy)
        assert made is not None
        assert (made.salt, made.slices) == ("rollout_1", ("carrier",))
        seen.append((made.stage, made.share, made.champion, made.challenger))
        rollout = move(rollout, policy, said(BETTER), NOW)
    assert seen == [
        (Stage.CHECK, 0.0, OLD, NEW),
        (Stage.SHADOW, 1.0, OLD, NEW),
        (Stage.CANARY, 0.1, OLD, NEW),
        (Stage.CANARY, 0.5, OLD, NEW),
        (Stage.BAKE, 1.0, NEW, OLD),
    ]


@pytest.mark.parametrize(
    ("policy", "stage", "share"),
    [
        (RolloutSettings(approval=True), Stage.CANARY, 0.5),
        (RolloutSettings(approval=True, strategy=Strategy.BLUE_GREEN, shadow_fraction=0.3), Stage.SHADOW, 0.3),
        (RolloutSettings(approval=True, strategy=Strategy.AB_TEST, test_share=0.4), Stage.TEST, 0.4),
        (RolloutSettings(approval=True, canary=(), shadow_rows=0), Stage.CHECK, 0.0),
    ],
)
def test_while_a_person_is_asked_the_exposure_stays(policy: RolloutSettings, stage: Stage, share: float) -> None:
    rollout = begun(policy)
    while rollout.stage is not Stage.APPROVAL:
        rollout = move(rollout, policy, said(BETTER), NOW)
    made = route(SERVED, rollout, NEW, policy)
    assert made is not None
    assert (made.stage, made.share) == (stage, share)
    assert judging(rollout, policy)[0] is stage


def test_what_is_held_cannot_use_its_exposure_up() -> None:
    policy = RolloutSettings(max_rows=100, max_hours=1, shadow_rows=10)
    rollout = replace(begun(policy), stage=Stage.SHADOW)
    assert judging(rollout, policy) == (Stage.SHADOW, policy)
    _, held = judging(paused(rollout, "ann", NOW), policy)
    assert held.max_hours == 0
    assert held.max_rows > 10**12
    assert replace(held, max_rows=100, max_hours=1) == policy


def test_the_clock_stands_still_while_it_is_paused() -> None:
    rollout = paused(begun(RolloutSettings()), "ann", NOW + timedelta(minutes=5))
    assert since(rollout, NOW + timedelta(minutes=65)) == NOW + timedelta(hours=1)
    on = resumed(rollout, NOW + timedelta(minutes=65))
    assert since(on, NOW + timedelta(days=3)) == NOW + timedelta(hours=1)
    again = resumed(paused(on, "bob", NOW + timedelta(hours=2)), NOW + timedelta(hours=3))
    assert since(again, NOW) == NOW + timedelta(hours=2)
    back_in_time = paused(begun(RolloutSettings()), "ann", NOW)
    assert since(back_in_time, NOW - timedelta(hours=9)) == NOW


def test_a_first_version_is_published_only_once_approved() -> None:
    policy, none = RolloutSettings(approval=True), replace(SERVED, champion=None)
    rollout = begun(policy, None)
    assert route(none, rollout, NEW, policy) is None
    made = route(none, approved(rollout, policy, "ann", "", NOW), NEW, policy)
    assert made is not None
    assert (made.champion, made.challenger) == (NEW, None)


@given(policies)
def test_sent_back_from_anywhere(policy: RolloutSettings) -> None:
    rollout = begun(policy)
    while rollout.stage not in OVER:
        gone = withdrawn(rollout, "changed our mind", NOW)
        assert gone.stage is Stage.BACK
        assert gone.verdicts[-1].reason == "changed our mind"
        assert gone.verdicts[-1].numbers["stage"] == rollout.stage
        rollout = move(rollout, policy, said(BETTER), NOW)
    assert (rollout.stage, withdrawn(rollout, "too late", NOW)) == (Stage.LIVE, rollout)


def test_the_way_has_one_beginning_and_one_end() -> None:
    assert stages(RolloutSettings(canary=(0.1, 0.9))) == (
        (Stage.CHECK, 0),
        (Stage.SHADOW, 0),
        (Stage.CANARY, 0),
        (Stage.CANARY, 1),
        (Stage.LIVE, 0),
    )
