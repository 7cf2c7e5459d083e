"""What people do to rollouts, on facts: pause, resume, promote, abort, go back, retire; and what a bake does itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelloop.deploy import actions
from modelloop.deploy.actions.publishing import settle
from modelloop.deploy.log import frame
from modelloop.deploy.records import Rollout, RoutingTable, Stage
from modelloop.deploy.settings import EndpointSettings, LogSettings, RolloutSettings, Strategy
from modelloop.deploy.table import TABLE_DOCUMENT, decode_table, encode_table
from modelloop.ground.core.errors import Conflict, NotFound
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.project import Project
from modelloop.register import actions as register
from served import ENDPOINT, POLICY, Gateway, Scores, blind, broken, dull, fair, make_project, micro, put_version

BAKING = replace(POLICY, canary=(0.5,), bake_rows=60)


def table(ctx: Context) -> Any:
    return decode_table(ctx.blobs.read_document(TABLE_DOCUMENT))


def route(ctx: Context) -> Any:
    (found,) = table(ctx).routes
    return found


def turn(ctx: Context, gateway: Gateway, rollout: Rollout, asked: int = 25) -> Rollout:
    gateway.report()
    told = gateway.ask(asked) if asked else []
    actions.collect(ctx)
    gateway.tell(told)
    return actions.advance(ctx, rollout.id)


def start(ctx: Context, policy: RolloutSettings = POLICY, answers: Scores = fair) -> tuple[Rollout, Gateway]:
    """Let delay:1 answer and begin to roll delay:2 out over it."""
    put_version(ctx, 1)
    first = actions.start_rollout(ctx, make_project(policy), ENDPOINT, "delay:1", reason="first")
    Gateway(ctx, {"delay:1": dull}, name="g0").report()
    assert actions.advance(ctx, first.id).stage is Stage.LIVE
    ctx.blobs.drop_document("gateways/g0.json")
    put_version(ctx, 2)
    rollout = actions.start_rollout(ctx, make_project(policy), ENDPOINT, "delay:2", reason="better?")
    return rollout, Gateway(ctx, {"delay:1": dull, "delay:2": answers})


def until(ctx: Context, gateway: Gateway, rollout: Rollout, *wanted: Stage, rounds: int = 60) -> Rollout:
    for _ in range(rounds):
        if rollout.stage in wanted:
            return rollout
        rollout = turn(ctx, gateway, rollout)
    raise AssertionError(f"it stands in {rollout.stage}: {rollout.verdicts[-1].reason}")


def entries(ctx: Context, subject: str) -> list[tuple[str, Any]]:
    with ctx.db.reading() as connection:
        audit.verify(connection)
        return [(e.action, e.detail) for e in audit.entries(connection, subject=subject)]


def test_a_paused_rollout_keeps_its_exposure_and_goes_nowhere(ctx: Context) -> None:
    rollout, gateway = start(ctx)
    rollout = until(ctx, gateway, rollout, Stage.CANARY)
    exposed = route(ctx)
    paused = actions.pause(ctx, ENDPOINT, reason="holidays")
    assert (paused.paused_by, actions.pause(ctx, ENDPOINT)) == ("tester", paused)
    for _ in range(8):
        rollout = turn(ctx, gateway, rollout)
    assert (rollout.stage, rollout.step) == (Stage.CANARY, 0)
    assert "tester paused it" in rollout.verdicts[-1].reason
    assert route(ctx) == exposed
    actions.resume(ctx, ENDPOINT)
    assert turn(ctx, gateway, rollout, asked=0).step == 1  # on what was seen meanwhile, without another request
    assert until(ctx, gateway, rollout, Stage.LIVE).paused_by is None
    assert [a for a, _ in entries(ctx, rollout.id) if a in ("rollout.paused", "rollout.resumed")] == [
        "rollout.paused",
        "rollout.resumed",
    ]


def test_harm_leads_back_from_a_paused_rollout_and_used_up_exposure_does_not(ctx: Context) -> None:
    policy = replace(POLICY, max_rows=60, max_hours=1.0)
    rollout, gateway = start(ctx, policy)
    rollout = until(ctx, gateway, rollout, Stage.SHADOW)
    actions.pause(ctx, ENDPOINT)
    for _ in range(4):
        ctx.clock.advance(timedelta(hours=2))  # type: ignore[attr-defined]
        rollout = turn(ctx, gateway, rollout)
    assert rollout.stage is Stage.SHADOW
    gateway.answers = {"delay:1": dull, "delay:2": broken}
    assert until(ctx, gateway, rollout, Stage.BACK).verdicts[-1].decision == "worse"


def test_promoted_by_a_person_after_the_check_only(ctx: Context) -> None:
    rollout, gateway = start(ctx)
    with pytest.raises(Conflict, match="was not checked yet"):
        actions.promote(ctx, ENDPOINT, reason="hurry")
    until(ctx, gateway, rollout, Stage.SHADOW)
    live = actions.promote(ctx, ENDPOINT, reason="hurry")
    assert (live.stage, live.approved_by) == (Stage.LIVE, "tester")
    assert (route(ctx).champion.version, [arm.version for arm in route(ctx).standby]) == ("delay:2", ["delay:1"])
    action, told = entries(ctx, rollout.id)[-1]
    assert (action, told["by_hand"], told["from"], told["to"]) == ("rollout.moved", "promoted", "shadow", "live")
    assert told["verdict"]["reason"] == "Promoted by tester: hurry"
    with pytest.raises(Conflict, match="No rollout is open"):
        actions.promote(ctx, ENDPOINT, reason="again")


def test_aborted_at_any_stage(ctx: Context) -> None:
    rollout, gateway = start(ctx)
    until(ctx, gateway, rollout, Stage.CANARY)
    assert actions.abort(ctx, ENDPOINT, reason="no").stage is Stage.BACK
    assert (route(ctx).champion.version, route(ctx).challenger) == ("delay:1", None)
    assert entries(ctx, rollout.id)[-1][1]["by_hand"] == "aborted"
    with pytest.raises(NotFound, match="There are: delay"):
        actions.abort(ctx, "dealy", reason="no")


def test_a_bake_that_goes_well_ends_live_with_the_one_before_kept_loaded(ctx: Context) -> None:
    rollout, gateway = start(ctx, BAKING)
    rollout = until(ctx, gateway, rollout, Stage.BAKE)
    baking = route(ctx)
    assert (baking.champion.version, baking.challenger.version, baking.stage) == ("delay:2", "delay:1", "bake")
    assert actions.live(ctx, ENDPOINT)[0].version == "delay:2"
    put_version(ctx, 3)
    with pytest.raises(Conflict, match="is being rolled out") as busy:
        actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:3", reason="")
    assert "rollout promote" in busy.value.hint
    rollout = until(ctx, gateway, rollout, Stage.LIVE)
    assert [v.numbers["stage"] for v in rollout.verdicts] == ["check", "shadow", "canary", "bake"]
    assert (route(ctx).stage, [arm.version for arm in route(ctx).standby]) == ("live", ["delay:1"])
    assert len(actions.live(ctx, ENDPOINT, limit=9)) == 2


def test_harm_in_the_bake_rolls_back_by_itself(ctx: Context) -> None:
    """By its answers: the version before scores beside it."""
    rollout, gateway = start(ctx, replace(BAKING, bake_rows=5000))
    rollout = until(ctx, gateway, rollout, Stage.BAKE)
    generation = table(ctx).generation
    gateway.answers = {"delay:1": fair, "delay:2": blind}
    rollout = until(ctx, gateway, rollout, Stage.BACK)
    assert rollout.verdicts[-1].numbers["stage"] == "bake"
    assert table(ctx).generation > generation
    assert (route(ctx).champion.version, route(ctx).challenger, route(ctx).standby) == ("delay:1", None, ())
    newest = actions.live(ctx, ENDPOINT)[0]
    assert (newest.version, newest.before, newest.rollout) == ("delay:1", None, rollout.id)
    assert newest.reason == f"rollback: {rollout.verdicts[-1].reason}"
    action, told = entries(ctx, f"endpoint:{ENDPOINT}")[-1]
    assert (action, told["from"], told["to"], told["automatic"]) == ("rollback", "delay:2", "delay:1", True)
    history = register.alias_history(ctx, "delay", "champion")
    assert [move.number for move in history] == [1, 2, 1]
    assert history[-1].why.startswith("rollback: ")


def test_errors_in_the_bake_roll_back_though_nobody_can_stand_in(ctx: Context) -> None:
    rollout, gateway = start(ctx, replace(BAKING, bake_rows=5000))
    rollout = until(ctx, gateway, rollout, Stage.BAKE)
    at, generation = micro(ctx.now()), table(ctx).generation
    for number in range(30):
        failed = {"k": "f", "id": f"pred-{number}", "at": at, "et": at, "ep": ENDPOINT, "gen": generation}
        failed |= {"arm": "champion", "v": "delay:2", "err": "feature 'x' is broken", "rows": 1}
        gateway.log.write([frame(failed)])
    rollout = turn(ctx, gateway, rollout, asked=0)
    assert rollout.stage is Stage.BACK
    assert "feature 'x' is broken" in rollout.verdicts[-1].reason
    assert route(ctx).champion.version == "delay:1"


def test_a_bake_without_traffic_waits_for_ever_and_a_person_may_end_it(ctx: Context) -> None:
    rollout, gateway = start(ctx, replace(BAKING, max_hours=1.0))
    rollout = until(ctx, gateway, rollout, Stage.BAKE)
    for _ in range(3):
        ctx.clock.advance(timedelta(days=2))  # type: ignore[attr-defined]
        assert turn(ctx, gateway, rollout, asked=0).stage is Stage.BAKE
    assert actions.promote(ctx, ENDPOINT, reason="good enough").stage is Stage.LIVE


@pytest.mark.parametrize("by", ["abort", "rollback"])
def test_a_person_goes_back_from_the_bake(ctx: Context, by: str) -> None:
    rollout, gateway = start(ctx, BAKING)
    until(ctx, gateway, rollout, Stage.BAKE)
    with pytest.raises(Conflict, match="answers at 'delay' already, and bakes"):
        actions.rollback(ctx, ENDPOINT, to="delay:2", reason="hm")
    if by == "abort":
        actions.abort(ctx, ENDPOINT, reason="complaints")
    else:
        assert actions.rollback(ctx, ENDPOINT, reason="complaints") == "delay:1"
    assert actions.rollout(ctx, rollout.id).stage is Stage.BACK
    assert route(ctx).champion.version == "delay:1"
    told = entries(ctx, f"endpoint:{ENDPOINT}")[-1][1]
    assert (told["to"], told["automatic"]) == ("delay:1", False)


def test_the_one_before_is_kept_loaded_at_each_step_back(ctx: Context) -> None:
    rollout, gateway = start(ctx)
    for number in (2, 3):
        if number > 2:
            put_version(ctx, number)
            gateway.answers = {**gateway.answers, f"delay:{number}": fair}
            rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, f"delay:{number}", reason="")
        until(ctx, gateway, rollout, Stage.SHADOW)
        actions.promote(ctx, ENDPOINT, reason="next")
    seen = []
    for _ in range(2):
        seen.append((route(ctx).champion.version, [arm.version for arm in route(ctx).standby]))
        actions.rollback(ctx, ENDPOINT, reason="back")
    assert seen == [("delay:3", ["delay:2"]), ("delay:2", ["delay:1"])]
    assert (route(ctx).champion.version, route(ctx).standby) == ("delay:1", ())
    assert actions.rollback(ctx, ENDPOINT, to="delay:3", reason="forth") == "delay:3"
    assert [arm.version for arm in route(ctx).standby] == ["delay:2"]


def test_blue_green_and_ab_test_go_their_ways(ctx: Context) -> None:
    blue = replace(POLICY, strategy=Strategy.BLUE_GREEN)
    rollout, gateway = start(ctx, blue)
    rollout = until(ctx, gateway, rollout, Stage.LIVE)
    assert [v.numbers["stage"] for v in rollout.verdicts] == ["check", "shadow"]


def test_an_ab_test_sends_its_share_and_decides(ctx: Context) -> None:
    policy = replace(POLICY, strategy=Strategy.AB_TEST, test_share=0.4, margin=0.2, canary_rows=20)
    rollout, gateway = start(ctx, policy)
    rollout = until(ctx, gateway, rollout, Stage.TEST)
    assert (route(ctx).stage, route(ctx).share) == ("test", 0.4)
    rollout = until(ctx, gateway, rollout, Stage.LIVE, Stage.BACK, rounds=120)
    assert rollout.stage is Stage.LIVE, rollout.verdicts[-1].reason


def test_a_step_is_done_when_every_living_gateway_has_it(ctx: Context) -> None:
    rollout, gateway = start(ctx)
    rollout = until(ctx, gateway, rollout, Stage.CANARY)
    late = Gateway(ctx, {"delay:1": dull, "delay:2": fair}, name="late")
    late.report()
    held = actions.reports(ctx)
    for _ in range(12):  # `late` stays with this generation and goes on reporting it
        rollout = turn(ctx, gateway, rollout)
    assert {report.gateway for report in held} == {"g1", "late"}
    assert (rollout.stage, rollout.step) == (Stage.CANARY, 1)
    assert "not every gateway has taken this step yet: late" in rollout.verdicts[-1].reason
    assert rollout.verdicts[-1].numbers["behind"] == ["late"]
    seen = actions.wait_for_gateways(ctx, timedelta(0))
    assert (seen.done, seen.reached, seen.alive, seen.behind) == (False, 1, 2, ("late",))
    late.report()
    assert turn(ctx, gateway, rollout, asked=0).stage is Stage.LIVE


def changed(project: Project, **values: Any) -> Project:
    return replace(project, endpoints={ENDPOINT: replace(project.endpoints[ENDPOINT], **values)})


def test_a_changed_project_file_reaches_gateways_without_a_rollout(ctx: Context) -> None:
    start(ctx)
    project = make_project()
    assert actions.sync_endpoints(ctx, project) == []
    before = table(ctx).generation
    more = changed(project, log=LogSettings(required=True, drop=("x",)), timeout_ms=50, max_rows=7, outcome_key="order")
    assert actions.sync_endpoints(ctx, more) == [ENDPOINT]
    assert table(ctx).generation == before + 1
    now = route(ctx)
    assert (now.log.required, now.log.drop, now.timeout_ms, now.max_rows) == (True, ("x",), 50, 7)
    assert (now.outcome_key, now.champion.version, now.challenger.version) == ("order", "delay:1", "delay:2")
    action, told = entries(ctx, f"endpoint:{ENDPOINT}")[-1]
    assert (action, set(told["changed"])) == ("endpoint.changed", {"log", "timeout_ms", "max_rows", "outcome_key"})
    assert actions.sync_endpoints(ctx, more) == []
    assert table(ctx).generation == before + 1


def test_an_endpoint_taken_out_of_the_file_goes_on_until_it_is_retired(ctx: Context) -> None:
    rollout, _ = start(ctx)
    project = make_project()
    with pytest.raises(Conflict, match="declares 'delay'"):
        actions.retire(ctx, project, ENDPOINT, reason="old")
    without = replace(project, endpoints={"other": EndpointSettings("delay")})
    actions.sync_endpoints(ctx, without)
    gone = actions.rollout(ctx, rollout.id)
    assert gone.stage is Stage.BACK
    assert "no longer declares" in gone.verdicts[-1].reason
    assert route(ctx).champion.version == "delay:1"
    assert [v.declared for v in actions.endpoint_views(ctx, without)] == [True, False]
    actions.retire(ctx, without, ENDPOINT, reason="old")
    actions.retire(ctx, without, ENDPOINT, reason="twice is once")
    assert table(ctx).routes == ()
    assert [a for a, _ in entries(ctx, f"endpoint:{ENDPOINT}")][-1] == "endpoint.retired"
    assert register.aliases_of(ctx, "delay") == {}
    again = actions.start_rollout(ctx, project, ENDPOINT, "delay:2", reason="declared again")
    assert again.champion is None


def test_facts_restored_from_a_backup_are_followed_all_the_same(ctx: Context) -> None:
    start(ctx)
    published = table(ctx)
    ctx.blobs.write_document(TABLE_DOCUMENT, encode_table(RoutingTable(900, published.routes)))
    assert actions.publish(ctx) == 901
    assert (table(ctx).generation, table(ctx).routes) == (901, published.routes)
    with ctx.db.transaction() as connection:
        assert settle(connection, ctx) == 901


def test_what_has_no_package_any_more_is_not_gone_back_to(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout, gateway = start(ctx)
    until(ctx, gateway, rollout, Stage.LIVE)
    found = replace(register.get_version(ctx, "delay:1"), package=None)
    monkeypatch.setattr("modelloop.deploy.actions.steering.register.get_version", lambda *_: found)
    with pytest.raises(Conflict, match="has no package"):
        actions.rollback(ctx, ENDPOINT, reason="hm")
    assert route(ctx).champion.version == "delay:2"
