"""The whole loop, turned by hand on real facts: trained, served, found wanting, retrained, refused, rolled back."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from modelloop.data import actions as data
from modelloop.deploy import actions as deploy
from modelloop.deploy.records import Stage
from modelloop.govern.lineage import lineage
from modelloop.govern.verify import verify
from modelloop.ground.core.errors import Conflict
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import RunState
from modelloop.ground.pool import actions as pool
from modelloop.ground.pool.records import RUN
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.loop import turn
from modelloop.monitor import actions as monitor
from modelloop.monitor.records import Signal
from modelloop.project import Project
from modelloop.register import actions as register
from modelloop.retrain import actions as retrain
from modelloop.retrain.policy import Cause
from modelloop.retrain.records import Episode, EpisodeState, Result
from served import ENDPOINT, blind, fair
from turning import World


@pytest.fixture
def world(ctx: Context, tmp_path: Path) -> World:
    """A project whose first model was trained on two weeks and is live."""
    made = World(ctx, tmp_path)
    made.land(15)
    begin(made, "a first model")
    made.turns(4)
    return made


def begin(world: World, reason: str, **params: object) -> Episode:
    return retrain.open_episode(
        world.ctx, world.project, endpoint=ENDPOINT, pipeline="train", why=Cause(reason), params=params
    )


def test_a_finished_run_waits_for_the_queue_to_judge_it_and_fails_where_that_gave_up(world: World) -> None:
    ctx = world.ctx
    episode = begin(world, "its judging dies")
    turn(ctx, world.project, world.folder)
    (run,) = flow.list_runs(ctx, states=[RunState.QUEUED])
    pool.enqueue(ctx, RUN, {"run": run.id}, key=run.id)
    job = pool.claim(ctx, "w", timedelta(days=2))
    assert job is not None
    sys.modules.pop("steps", None)
    flow.execute(ctx, run.id, resolve=lambda ref: data.read(ctx, ref.dataset, ref.version).collect())
    world.ctx.clock.advance(timedelta(days=1))  # type: ignore[attr-defined] - the machine was off for a night
    turn(ctx, world.project, world.folder)
    assert retrain.get_episode(ctx, episode.id).state is EpisodeState.RUNNING
    pool.fail(ctx, job, "The process ended with signal 9 before its work did.", final=True)
    turn(ctx, world.project, world.folder)
    closed = retrain.get_episode(ctx, episode.id)
    assert closed.result is Result.FAILED
    assert "could not be judged in 1 attempts" in (closed.evidence or {})["result"]["reason"]


def test_a_first_model_by_a_persons_wish(world: World) -> None:
    (episode,) = retrain.episodes(world.ctx)
    assert (episode.result, episode.version, episode.number) == (Result.PROMOTED, "delay:1", 1)
    assert deploy.live(world.ctx, ENDPOINT)[0].version == "delay:1"
    assert register.get_version(world.ctx, "delay:1").run == episode.run
    assert retrain.last_turn(world.ctx).busy is False  # type: ignore[union-attr]


def test_a_monitor_that_stumbles_keeps_no_other_from_measuring(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings,) = world.project.monitors.values()
    asked = []

    def measure(_ctx: Context, _project: Project, name: str) -> list[Signal]:
        asked.append(name)
        if name == "first":
            raise OverflowError("no such day")
        return []

    monkeypatch.setattr(monitor, "measure", measure)
    watched = replace(world.project, monitors={"first": settings, "second": settings})
    made = turn(world.ctx, watched, world.folder)
    assert asked == ["first", "second"]
    assert made.errors == {"measure first": "OverflowError: no such day"}


def test_the_loop_closes_by_itself(world: World) -> None:
    world.play(10)
    world.truth = blind
    world.play(24)
    newest = retrain.episodes(world.ctx)
    promoted = [e for e in newest if e.trigger == "fell" and e.result is Result.PROMOTED]
    assert promoted, [(e.trigger, e.result, (e.evidence or {}).get("result")) for e in newest]
    episode = promoted[-1]
    evidence = episode.evidence or {}
    assert set(evidence) >= {"signal", "data", "run", "gates", "judgement", "rollout", "result"}
    assert evidence["signal"]["verdict"] == "fail"
    assert {gate["verdict"] for gate in evidence["gates"]} == {"pass"}
    assert [v["numbers"]["stage"] for v in evidence["rollout"]] == ["check", "shadow", "canary", "canary"]
    assert deploy.live(world.ctx, ENDPOINT)[0].version == episode.version
    assert monitor.alerts(world.ctx)[-1].resolved_at is not None
    said = retrain.last_turn(world.ctx)
    assert said is not None
    assert said.errors == {}
    verify(world.ctx)

    last = deploy.latest_predictions(world.ctx, ENDPOINT, 1)[0]
    behind = lineage(world.ctx, last.id)
    assert behind.version.name == episode.version
    assert behind.data["arrivals"].startswith("arrivals:")
    assert behind.episode is not None
    assert behind.episode.id == episode.id
    assert behind.run is not None
    assert behind.run.id == episode.run
    assert behind.rollout is not None
    assert behind.live is not None
    assert behind.approved_by is None
    assert {gate.verdict for gate in behind.evaluation.gates} == {"pass"}
    actions = [entry.action for entry in behind.audit]
    assert actions.index("run.submitted") < actions.index("model.registered") < actions.index("rollout.started")


def test_a_bad_candidate_is_refused_with_its_gates(world: World) -> None:
    world.play(5)
    begin(world, "a hunch", bad=True)
    world.turns(3)
    episode = retrain.episodes(world.ctx)[0]
    assert episode.result is Result.REFUSED
    assert episode.version == "delay:2"
    assert {g["gate"]: g["verdict"] for g in (episode.evidence or {})["gates"]}["good"] == "fail"
    assert deploy.rollouts(world.ctx, ENDPOINT)[0].challenger == "delay:1"


def test_the_champions_own_rows_are_no_evidence(world: World) -> None:
    """A candidate whose holdout the champion has learned from is refused: nothing can be said about it."""
    begin(world, "as of last week", as_of="2013-03-09T00:00:00Z")
    world.turns(3)
    episode = retrain.episodes(world.ctx)[0]
    assert episode.result is Result.REFUSED
    evidence = episode.evidence or {}
    assert {g["gate"]: g["verdict"] for g in evidence["gates"]}["not-worse"] == "missing evidence"
    assert (evidence["judgement"]["overlap"], evidence["judgement"]["champion"]) == (True, "delay:1")
    assert "not-worse (missing evidence)" in evidence["result"]["reason"]


def test_data_that_breaks_its_contract_ends_the_episode_before_training(world: World) -> None:
    world.play(2)
    world.land(1, extra="\n7.5,1,2013-04-01T00:00:00+00:00")
    begin(world, "new data")
    world.turns(2)
    episode = retrain.episodes(world.ctx)[0]
    assert (episode.result, episode.run) == (Result.FAILED, None)
    assert "refused" in (episode.evidence or {})
    assert len(flow.list_runs(world.ctx)) == 1


def test_a_run_that_fails_closes_its_episode(world: World) -> None:
    (world.folder / "steps.py").write_text("def train(arrivals):\n    raise ValueError('no luck')\n")
    begin(world, "try")
    world.turns(2)
    episode = retrain.episodes(world.ctx)[0]
    assert episode.result is Result.FAILED
    assert "no luck" in (episode.evidence or {})["result"]["reason"]


def test_what_is_no_candidate_is_said(world: World) -> None:
    (world.folder / "steps.py").write_text("def train(arrivals):\n    return 7\n")
    begin(world, "try")
    world.turns(2)
    episode = retrain.episodes(world.ctx)[0]
    assert episode.result is Result.FAILED
    assert "returned int, not a Candidate" in (episode.evidence or {})["result"]["reason"]


def test_a_rollout_that_goes_back_closes_its_episode(world: World) -> None:
    world.play(5)
    begin(world, "a person's wish")
    world.turns(3)
    episode = retrain.episodes(world.ctx)[0]
    assert episode.state is EpisodeState.ROLLING
    deploy.rollback(world.ctx, ENDPOINT, reason="not today")
    world.turns(1)
    episode = retrain.episodes(world.ctx)[0]
    assert episode.result is Result.ROLLED_BACK
    assert "not today" in (episode.evidence or {})["result"]["reason"]
    assert deploy.rollouts(world.ctx, ENDPOINT)[0].stage is Stage.BACK


def test_one_episode_at_a_time(world: World) -> None:
    begin(world, "first")
    with pytest.raises(Conflict, match="already open"):
        begin(world, "second")


def test_a_turn_that_dies_anywhere_is_made_up_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the loop at every audit entry in turn: the next turn goes on, and nothing is done twice."""
    world.play(4)
    begin(world, "with accidents")
    real, fuse = audit.append, [0]

    def append(*args: object, **more: object) -> object:
        fuse[0] += 1
        if fuse[0] % 2:
            raise KeyboardInterrupt
        return real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(audit, "append", append)
    for _ in range(40):
        try:
            world.turns(1)
        except KeyboardInterrupt:
            continue
        if retrain.episodes(world.ctx)[0].state is EpisodeState.ROLLING:
            break
    monkeypatch.setattr(audit, "append", real)
    world.play(12)
    episode = retrain.episodes(world.ctx)[0]
    assert episode.state is EpisodeState.CLOSED
    assert len([run for run in flow.list_runs(world.ctx) if run.episode == episode.id]) == 1
    assert len([r for r in deploy.rollouts(world.ctx) if r.challenger == episode.version]) == 1
    verify(world.ctx)


def test_one_part_that_fails_stops_no_other(world: World) -> None:
    wrong = replace(world.project.monitors["quality"], endpoint="nowhere")
    project = replace(world.project, sources={}, pipelines={}, monitors={"quality": wrong})
    (world.ctx.home / "predictions" / "g1" / "zzz.log").mkdir(parents=True)
    world.gateway.ask(3, world.now())
    made = turn(world.ctx, project, world.folder)
    assert set(made.errors) <= {"collect"}
    assert made.number > 1


def test_an_idle_turn_costs_little(world: World) -> None:
    world.play(3)
    world.turns(2)
    best = min(timed(world) for _ in range(5))
    assert best < 0.1  # the aim is .03 s; a shared machine is given slack


def timed(world: World) -> float:
    start = time.process_time()
    turn(world.ctx, world.project, world.folder)
    return time.process_time() - start


def test_fair_and_blind_are_opposites() -> None:
    assert fair(0.2) == pytest.approx(1 - blind(0.2))
