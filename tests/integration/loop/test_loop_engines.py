"""The loop on each engine: the same story, and workers that turn it at the same time do nothing twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelloop.deploy import actions as deploy
from modelloop.govern.lineage import lineage
from modelloop.govern.verify import verify
from modelloop.ground.flow import actions as flow
from modelloop.ground.store.context import Context
from modelloop.loop import turn
from modelloop.retrain import actions as retrain
from modelloop.retrain.policy import Cause
from modelloop.retrain.records import Result
from served import ENDPOINT, blind
from turning import World


def start(ctx: Context, folder: Path) -> World:
    world = World(ctx, folder)
    world.land(15)
    retrain.open_episode(ctx, world.project, endpoint=ENDPOINT, pipeline="train", why=Cause("a first model"))
    world.turns(4)
    return world


def test_the_loop_closes(both_engines: Context, tmp_path: Path) -> None:
    world = start(both_engines, tmp_path)
    world.play(10)
    world.truth = blind
    world.play(24)
    newest = [e for e in retrain.episodes(both_engines) if e.result is Result.PROMOTED]
    assert newest[0].trigger == "fell"
    assert deploy.live(both_engines, ENDPOINT)[0].version == newest[0].version
    last = deploy.latest_predictions(both_engines, ENDPOINT, 1)[0]
    assert lineage(both_engines, last.id).version.name == newest[0].version
    said = retrain.last_turn(both_engines)
    assert said is not None
    assert said.errors == {}
    verify(both_engines)


def test_workers_at_once_do_nothing_twice(both_engines: Context, tmp_path: Path) -> None:
    ctx, world = both_engines, start(both_engines, tmp_path)
    world.play(3)
    retrain.open_episode(ctx, world.project, endpoint=ENDPOINT, pipeline="train", why=Cause("once more"))
    world.gateway.ask(50, world.now())
    for _ in range(4):
        with ThreadPoolExecutor(4) as pool:
            errors = [made.errors for made in pool.map(lambda _: turn(ctx, world.project, tmp_path), range(4))]
        assert errors == [{}] * 4
        world.work()
        world.gateway.report()
    episode = retrain.episodes(ctx)[0]
    assert len([run for run in flow.list_runs(ctx) if run.episode == episode.id]) == 1
    assert len(deploy.rollouts(ctx)) == 2
    assert deploy.counts(ctx)[0] == world.gateway.asked
    verify(ctx)
