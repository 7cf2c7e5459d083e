"""A rollout with its pauses, bake and way back on SQLite and on PostgreSQL: the same facts, the same views."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from modelloop.deploy import actions
from modelloop.deploy.records import Rollout, Stage
from modelloop.deploy.settings import EndpointSettings, LogSettings
from modelloop.ground.core.errors import ModelloopError, StaleState
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from served import ENDPOINT, POLICY, Gateway, blind, dull, fair, make_project, put_version

PROJECT = make_project(replace(POLICY, canary=(0.5,), bake_rows=2000))


def turn(ctx: Context, gateway: Gateway, rollout: Rollout) -> Rollout:
    gateway.report()
    told = gateway.ask(25)
    actions.collect(ctx)
    gateway.tell(told)
    return actions.advance(ctx, rollout.id)


def until(ctx: Context, gateway: Gateway, rollout: Rollout, stage: Stage) -> Rollout:
    for _ in range(60):
        if rollout.stage is stage:
            return rollout
        rollout = turn(ctx, gateway, rollout)
    raise AssertionError(rollout.verdicts[-1].reason)


def test_paused_baked_and_rolled_back_by_itself(both_engines: Context) -> None:
    ctx = both_engines
    gateway = Gateway(ctx, {"delay:1": dull, "delay:2": fair})
    put_version(ctx, 1)
    rollout = actions.start_rollout(ctx, PROJECT, ENDPOINT, "delay:1", reason="first")
    gateway.report()
    assert actions.advance(ctx, rollout.id).stage is Stage.LIVE
    put_version(ctx, 2)
    ctx.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    rollout = actions.start_rollout(ctx, PROJECT, ENDPOINT, "delay:2", reason="better")
    rollout = until(ctx, gateway, rollout, Stage.CANARY)
    actions.pause(ctx, ENDPOINT, reason="lunch")
    rollout = turn(ctx, gateway, rollout)
    seen = actions.endpoint_view(ctx, PROJECT, ENDPOINT)
    assert seen.open is not None
    assert seen.open.rollout.paused_at is not None
    assert seen.open.compared is not None
    assert (seen.champion, seen.startable, seen.reach.done) == ("delay:1", (), True)
    actions.resume(ctx, ENDPOINT)
    assert actions.sync_endpoints(ctx, replace(PROJECT, endpoints=_more())) == [ENDPOINT]
    rollout = until(ctx, gateway, rollout, Stage.BAKE)
    gateway.answers = {"delay:1": fair, "delay:2": blind}
    rollout = until(ctx, gateway, rollout, Stage.BACK)
    route = actions.route_of(ctx, ENDPOINT)
    assert route is not None
    assert (route.champion.version, route.log.required) == ("delay:1", True)
    assert actions.rollback(ctx, ENDPOINT, to="delay:2", reason="it was the weather") == "delay:2"
    over = actions.rollout_view(ctx, ENDPOINT)
    assert [stage.state for stage in over.way] == ["done", "done", "done", "back", "ahead"]
    assert actions.endpoint_view(ctx, PROJECT, ENDPOINT).earlier == ("delay:1",)
    assert audit.verify_store(ctx) > 0


def _more() -> dict[str, EndpointSettings]:
    return {ENDPOINT: replace(PROJECT.endpoints[ENDPOINT], log=LogSettings(required=True))}


def test_of_many_hands_at_once_one_moves_the_rollout(both_engines: Context) -> None:
    ctx = both_engines
    gateway = Gateway(ctx, {"delay:1": dull, "delay:2": fair})
    for number in (1, 2):
        put_version(ctx, number)
        rollout = actions.start_rollout(ctx, PROJECT, ENDPOINT, f"delay:{number}", reason="")
        gateway.report()
        rollout = actions.advance(ctx, rollout.id)
    assert rollout.stage is Stage.SHADOW

    def hand(number: int) -> str:
        step = (actions.abort, actions.promote)[number % 2]
        try:
            return str(step(ctx, ENDPOINT, reason="now").stage)
        except (StaleState, ModelloopError):
            return ""

    with ThreadPoolExecutor(6) as pool:
        moved = [stage for stage in pool.map(hand, range(6)) if stage]
    ended = actions.rollout(ctx, rollout.id)
    champion = {Stage.BACK: "delay:1", Stage.BAKE: "delay:2"}[ended.stage]
    assert str(ended.stage) in moved
    assert actions.endpoint_states(ctx)[0].champion == champion
    assert audit.verify_store(ctx) > 0
