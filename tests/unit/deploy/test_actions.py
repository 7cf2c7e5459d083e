"""Rollouts on facts: forward on evidence, back at once, one at a time, and whatever dies is made up for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelloop.deploy import actions, tables
from modelloop.deploy.records import Rollout, Stage
from modelloop.deploy.settings import RolloutSettings
from modelloop.deploy.table import TABLE_DOCUMENT, decode_table
from modelloop.ground.core.errors import Conflict, NotFound, RolloutRefused, StaleState
from modelloop.ground.core.records import Verdict
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from served import ENDPOINT, POLICY, T0, Gateway, Scores, blind, broken, dull, fair, make_project, put_version


def table(ctx: Context) -> Any:
    return decode_table(ctx.blobs.read_document(TABLE_DOCUMENT))


def go_live(ctx: Context, number: int = 1) -> Rollout:
    put_version(ctx, number)
    rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, f"delay:{number}", reason="first")
    Gateway(ctx, {f"delay:{number}": fair}).report()
    return actions.advance(ctx, rollout.id)


def drive(ctx: Context, challenger: Scores, policy: RolloutSettings = POLICY, *, outcomes: bool = True) -> Rollout:
    """Roll `delay:2` out over `delay:1` with traffic until it ends or 60 rounds of 25 requests were asked."""
    go_live(ctx)
    put_version(ctx, 2)
    rollout = actions.start_rollout(ctx, make_project(policy), ENDPOINT, "delay:2", reason="better?")
    gateway = Gateway(ctx, {"delay:1": dull, "delay:2": challenger})
    for _ in range(60):
        gateway.report()
        told = gateway.ask(25)
        actions.collect(ctx)
        if outcomes:
            gateway.tell(told)
        rollout = actions.advance(ctx, rollout.id)
        if rollout.stage in (Stage.LIVE, Stage.BACK):
            break
    return rollout


def test_a_first_version_goes_live_after_its_check(ctx: Context) -> None:
    rollout = go_live(ctx)
    assert rollout.stage is Stage.LIVE
    (live,) = actions.live(ctx, ENDPOINT)
    assert (live.version, live.before, live.event_time, live.reason) == ("delay:1", None, None, "first")
    (route,) = table(ctx).routes
    assert (route.champion.version, route.challenger) == ("delay:1", None)


def test_a_better_version_goes_all_the_way(ctx: Context) -> None:
    rollout = drive(ctx, fair)
    assert rollout.stage is Stage.LIVE
    assert [v.numbers["stage"] for v in rollout.verdicts] == ["check", "shadow", "canary", "canary"]
    assert {v.decision for v in rollout.verdicts} == {"better"}
    live = actions.live(ctx, ENDPOINT)[0]
    assert (live.version, live.before, live.rollout) == ("delay:2", "delay:1", rollout.id)
    assert live.event_time is not None
    assert actions.rollout(ctx, rollout.id) == rollout
    with ctx.db.reading() as connection:
        moves = [
            (e.detail["from"], e.detail["to"])
            for e in audit.entries(connection, subject=rollout.id)
            if "to" in e.detail
        ]
        audit.verify(connection)
    assert moves == [("check", "shadow"), ("shadow", "canary"), ("canary", "canary"), ("canary", "live")]


def test_a_worse_version_is_stopped_in_shadow(ctx: Context) -> None:
    rollout = drive(ctx, blind)
    assert rollout.stage is Stage.BACK
    assert rollout.verdicts[-1].numbers["stage"] == "shadow"
    assert actions.live(ctx, ENDPOINT)[0].version == "delay:1"
    assert table(ctx).routes[0].challenger is None


def test_a_broken_version_is_rolled_back_in_canary_by_its_errors(ctx: Context) -> None:
    rollout = drive(ctx, broken, replace(POLICY, shadow_rows=0), outcomes=False)
    assert rollout.stage is Stage.BACK
    last = rollout.verdicts[-1]
    assert last.numbers["stage"] == "canary"
    assert "feature 'x' is broken" in last.reason
    assert last.numbers["challenger"]["asked"] <= 20


def test_without_outcomes_the_shadow_waits_and_without_traffic_everything_does(ctx: Context) -> None:
    rollout = drive(ctx, fair, outcomes=False)
    assert rollout.stage is Stage.SHADOW
    before = actions.rollout(ctx, rollout.id)
    assert actions.advance(ctx, rollout.id) == before


def hopeful(x: float) -> float:
    """Say yes to everybody."""
    return 0.9


def test_outcomes_count_when_all_kinds_of_them_can_be_known(ctx: Context) -> None:
    """Who pays late is known late: the outcomes of the first hours are all of one kind, and speak for the wrong one."""
    go_live(ctx)
    put_version(ctx, 2)
    policy = replace(POLICY, outcome_hours=24)
    rollout = actions.start_rollout(ctx, make_project(policy), ENDPOINT, "delay:2", reason="says yes to everybody")
    gateway = Gateway(ctx, {"delay:1": dull, "delay:2": hopeful})

    def look(hours: float) -> Rollout:
        ctx.clock.advance(timedelta(hours=hours))  # type: ignore[attr-defined]
        gateway.report()
        return actions.advance(ctx, rollout.id)

    look(0)
    told = gateway.ask(800)
    actions.collect(ctx)
    gateway.tell([(name, label) for name, label in told if label == 1])
    early = look(1)
    assert (early.stage, early.verdicts[-1].numbers["challenger"]["labelled"]) == (Stage.SHADOW, 0)
    assert "outcomes count 24 hours after" in early.verdicts[-1].reason
    gateway.tell([(name, label) for name, label in told if label == 0])
    assert look(1).stage is Stage.SHADOW
    late = look(22.5)  # nothing came in since
    assert late.verdicts[-1].numbers["challenger"]["labelled"] == 800
    assert late.stage is Stage.BACK


def test_a_version_that_cannot_be_loaded_goes_back(ctx: Context) -> None:
    go_live(ctx)
    put_version(ctx, 2)
    rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:2", reason="new")
    Gateway(ctx, {"delay:1": fair}).report()
    back = actions.advance(ctx, rollout.id)
    assert back.stage is Stage.BACK
    assert "its graph is damaged" in back.verdicts[-1].reason


def test_only_what_passed_its_gates_is_rolled_out(ctx: Context) -> None:
    put_version(ctx, 1, verdict=Verdict.MISSING)
    with pytest.raises(RolloutRefused, match="missing evidence"):
        actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:1", reason="")
    started = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:1", reason="I answer for it", skip_gates=True)
    with ctx.db.reading() as connection:
        (entry, *_) = audit.entries(connection, subject=started.id)
    assert entry.detail["gates_skipped"] is True


def test_what_may_not_be_started(ctx: Context) -> None:
    go_live(ctx)
    with pytest.raises(RolloutRefused, match="already answers"):
        actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:1", reason="")
    with pytest.raises(NotFound, match="Did you mean 'delay'"):
        actions.start_rollout(ctx, make_project(), "dealy", "delay:1", reason="")
    put_version(ctx, 1, model="price")
    with pytest.raises(RolloutRefused, match="no version of 'delay'"):
        actions.start_rollout(ctx, make_project(), ENDPOINT, "price:1", reason="")
    put_version(ctx, 2)
    put_version(ctx, 3)
    first = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:2", reason="")
    assert actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:2", reason="again") == first
    with pytest.raises(Conflict, match="delay:2 is being rolled out"):
        actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:3", reason="")


def test_of_many_at_once_one_rollout_is_opened(ctx: Context) -> None:
    for number in range(1, 5):
        put_version(ctx, number)

    def start(number: int) -> str | None:
        try:
            return actions.start_rollout(ctx, make_project(), ENDPOINT, f"delay:{number}", reason="").id
        except Conflict:
            return None

    with ThreadPoolExecutor(4) as pool:
        started = [name for name in pool.map(start, range(1, 5)) if name]
    assert len(started) == 1
    assert [r.id for r in actions.open_rollouts(ctx)] == started


def test_rollback_goes_to_what_answered_before_and_then_no_further(ctx: Context) -> None:
    drive(ctx, fair)
    generation = table(ctx).generation
    assert actions.rollback(ctx, ENDPOINT, reason="complaints") == "delay:1"
    assert table(ctx).generation > generation
    assert table(ctx).routes[0].champion.version == "delay:1"
    with pytest.raises(Conflict, match="no earlier version"):
        actions.rollback(ctx, ENDPOINT, reason="more")
    assert actions.rollback(ctx, ENDPOINT, to="delay:2", reason="after all") == "delay:2"
    with pytest.raises(Conflict, match="never answered"):
        actions.rollback(ctx, ENDPOINT, to="delay:9", reason="")
    assert [live.version for live in actions.live(ctx, ENDPOINT, limit=9)] == [
        "delay:2",
        "delay:1",
        "delay:2",
        "delay:1",
    ]


def test_rollback_ends_what_is_under_way(ctx: Context) -> None:
    go_live(ctx)
    put_version(ctx, 2)
    rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:2", reason="")
    assert actions.rollback(ctx, ENDPOINT, reason="not today") == "delay:1"
    assert actions.rollout(ctx, rollout.id).stage is Stage.BACK
    assert table(ctx).routes[0].challenger is None


def test_a_person_approves(ctx: Context) -> None:
    rollout = drive(ctx, fair, replace(POLICY, approval=True))
    assert rollout.stage is Stage.APPROVAL
    approved = actions.approve(ctx, ENDPOINT, reason="looked at it")
    assert (approved.stage, approved.approved_by) == (Stage.LIVE, "tester")
    assert actions.live(ctx, ENDPOINT)[0].version == "delay:2"
    with pytest.raises(Conflict, match="Nothing waits"):
        actions.approve(ctx, ENDPOINT)


def test_publish_makes_up_for_a_lost_document(ctx: Context) -> None:
    go_live(ctx)
    before = ctx.blobs.read_document(TABLE_DOCUMENT)
    ctx.blobs.drop_document(TABLE_DOCUMENT)
    assert actions.publish(ctx) == table(ctx).generation
    assert ctx.blobs.read_document(TABLE_DOCUMENT) == before
    ctx.blobs.write_document(TABLE_DOCUMENT, b"{}")
    actions.publish(ctx)
    assert ctx.blobs.read_document(TABLE_DOCUMENT) == before


def test_whoever_looks_at_old_facts_writes_nothing(ctx: Context) -> None:
    go_live(ctx)
    put_version(ctx, 2)
    rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:2", reason="")
    with ctx.db.transaction() as connection:
        tables.change(connection, tables.endpoint, {"name": ENDPOINT}, {"champion": "delay:7"})
        tables.change(connection, tables.rollout, {"id": rollout.id}, {"stage": "approval"})
    with pytest.raises(StaleState):
        actions.approve(ctx, ENDPOINT)
    assert actions.rollout(ctx, rollout.id).stage is Stage.APPROVAL
    assert [live.version for live in actions.live(ctx, ENDPOINT, limit=5)] == ["delay:1"]


def test_a_regression_counts_errors_in_units_of_the_labels_spread(ctx: Context) -> None:
    put_version(ctx, 1, lineage={"label_spread": 40.0})
    rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:1", reason="")
    with ctx.db.reading() as connection:
        row = tables.find(connection, tables.rollout, id=rollout.id)
    assert row is not None
    assert row["scale"] == 40.0


def test_a_stage_counts_only_what_was_answered_in_it(ctx: Context) -> None:
    go_live(ctx)
    gateway = Gateway(ctx, {"delay:1": fair, "delay:2": fair})
    gateway.tell(gateway.ask(200))
    put_version(ctx, 2)
    ctx.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:2", reason="")
    gateway.report()
    actions.advance(ctx, rollout.id)
    gateway.ask(3, T0 + timedelta(1))
    actions.collect(ctx)
    seen = actions.advance(ctx, rollout.id)
    assert seen.stage is Stage.SHADOW
    assert seen.verdicts[-1].numbers["rows"] == 3
