"""Once an hour old versions go as their contract says; what models were trained on, and what runs name, stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from modelloop.data import actions as data
from modelloop.data.settings import RetentionSettings
from modelloop.ground.core.errors import NotFound
from modelloop.ground.flow import actions as flow
from modelloop.ground.store.context import Context
from modelloop.project import Project
from modelloop.retrain import actions as retrain
from modelloop.retrain.policy import Cause
from modelloop.testing.fakes import FakeClock
from turning import ENDPOINT, World

HOUR = timedelta(hours=1)


@pytest.fixture
def world(ctx: Context, tmp_path: Path) -> World:
    made = World(ctx, tmp_path)
    made.land(15)
    retrain.open_episode(ctx, made.project, endpoint=ENDPOINT, pipeline="train", why=Cause("a first model"))
    made.turns(4)
    return made


def keeping_one(project: Project) -> Project:
    (name,) = project.contracts
    kept = replace(project.contracts[name], retention=RetentionSettings(keep=HOUR, versions=1))
    return replace(project, contracts={name: kept})


def test_what_a_model_was_trained_on_stays(world: World) -> None:
    ctx, project = world.ctx, keeping_one(world.project)
    clock = ctx.clock
    assert isinstance(clock, FakeClock)
    trained = data.version(ctx, "arrivals").number
    for _ in range(3):
        world.land(2)
        source = project.sources["arrivals"]
        data.ingest(ctx, "arrivals", source, project.contracts[source.contract], root=ctx.home.parent)
        clock.advance(HOUR)
    clock.advance(24 * HOUR)
    newest = data.version(ctx, "arrivals").number
    retrain.keep_house(ctx, project)
    gone = [one.number for one in data.versions(ctx, "arrivals") if one.pruned]
    assert gone == [number for number in range(newest - 1, 0, -1) if number != trained]
    assert len(data.read(ctx, "arrivals", trained).collect())
    with pytest.raises(NotFound, match="pruned"):
        data.read(ctx, "arrivals", gone[0])


def test_it_happens_once_an_hour(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelloop.retrain.actions import housekeeping  # noqa: PLC0415 - to count its calls

    calls: list[int] = []
    monkeypatch.setattr(housekeeping, "tidy", lambda *_: calls.append(1))
    clock = world.ctx.clock
    assert isinstance(clock, FakeClock)
    for _ in range(6):
        retrain.keep_house(world.ctx, world.project)
        clock.advance(timedelta(minutes=20))
    assert len(calls) <= 3


def test_bytes_that_a_run_names_are_told(world: World) -> None:
    ctx = world.ctx
    (run,) = flow.list_runs(ctx)
    kept = [step.output for step in flow.steps_of(ctx, run.id) if step.output]
    assert flow.mentioned(ctx, {kept[0], "0" * 64}) == {kept[0]}
