"""Triggers that start plain runs and calendars: each cause once, whoever looks and whenever they die."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import RunState
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.project import Project, parse_project
from modelloop.retrain import actions as retrain
from modelloop.retrain.actions import firing
from modelloop.retrain.settings import Missed
from modelloop.testing.fakes import FakeClock, make_context

DAY = timedelta(days=1)
PROJECT = """
[project]
name = "bikes"
owner = "us"
[objective]
question = "How many?"
task = "regression"
metric = "mae"
meaning = "bikes"
label = "n"
[sources.rows]
path = "rows.csv"
format = "csv"
mode = "replace"
dataset = "rows"
contract = "rows"
[contracts.rows.columns]
n = { type = "integer" }
[pipelines.report]
function = "steps:report"
inputs = { rows = "rows" }
[triggers.nightly]
on = "cron"
cron = "0 6 * * *"
time_zone = "Europe/Berlin"
pipeline = "report"
[triggers.fresh]
on = "data"
dataset = "rows"
pipeline = "report"
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Context, Project, Path, FakeClock]]:
    clock = FakeClock(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    ctx = make_context(tmp_path, clock=clock)
    (tmp_path / "rows.csv").write_text("n\n1\n")
    (tmp_path / "steps.py").write_text("def report(rows, as_of=None):\n    return 1\n")
    yield ctx, parse_project(PROJECT), tmp_path, clock
    ctx.db.close()


def only(project: Project, name: str, **values: object) -> Project:
    return replace(project, triggers={name: replace(project.triggers[name], **values)})  # type: ignore[arg-type]


def what(ctx: Context, project: Project, name: str) -> list[tuple[str, str]]:
    found = {one.name: one for one in retrain.triggers(ctx, project)}[name]
    return [(one.mark, one.what) for one in found.fires][::-1]


def end_all(ctx: Context) -> None:
    for run in flow.list_runs(ctx):
        flow.end(ctx, run.id, RunState.CANCELLED, reason="over")


def test_a_calendar_fires_once_each_day(place: tuple[Context, Project, Path, FakeClock]) -> None:
    ctx, project, folder, clock = place
    project = only(project, "nightly")
    retrain.fire_triggers(ctx, project, folder)
    assert [one.what for one in retrain.triggers(ctx, project)[0].fires] == ["begun"]
    for day in range(1, 4):
        clock.advance(DAY - timedelta(hours=3, minutes=59) if day == 1 else DAY)  # 06:01 in Berlin
        for _ in range(3):
            retrain.fire_triggers(ctx, project, folder)
        assert len(flow.list_runs(ctx)) == day
        end_all(ctx)
    assert [fired for _, fired in what(ctx, project, "nightly")] == ["begun", "fired", "fired", "fired"]
    assert audit.verify_store(ctx) >= 4


@pytest.mark.parametrize(("missed", "runs"), [("skip", 0), ("latest", 1), ("all", 3)])
def test_missed_instants_follow_the_policy(
    place: tuple[Context, Project, Path, FakeClock], missed: str, runs: int
) -> None:
    ctx, project, folder, clock = place
    project = only(project, "nightly", missed=Missed(missed))
    retrain.fire_triggers(ctx, project, folder)
    clock.advance(3 * DAY)
    for _ in range(5):
        retrain.fire_triggers(ctx, project, folder)
        end_all(ctx)
    assert len(flow.list_runs(ctx)) == runs


def test_with_all_one_waits_for_the_other(place: tuple[Context, Project, Path, FakeClock]) -> None:
    ctx, project, folder, clock = place
    project = only(project, "nightly", missed=Missed.ALL)
    retrain.fire_triggers(ctx, project, folder)
    clock.advance(3 * DAY)
    retrain.fire_triggers(ctx, project, folder)
    retrain.fire_triggers(ctx, project, folder)
    assert len(flow.list_runs(ctx)) == 1
    given = [run.params.get("as_of") for run in flow.list_runs(ctx)]
    assert given == [datetime(2026, 1, 6, 5, 0, tzinfo=UTC)]


def test_killed_between_starting_and_noting_it_is_one_run(
    place: tuple[Context, Project, Path, FakeClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, project, folder, clock = place
    project = only(project, "nightly")
    retrain.fire_triggers(ctx, project, folder)
    clock.advance(DAY)
    with monkeypatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(firing, "_note", killed)
        with pytest.raises(KeyboardInterrupt):
            retrain.fire_triggers(ctx, project, folder)
    assert len(flow.list_runs(ctx)) == 1
    retrain.fire_triggers(ctx, project, folder)
    assert len(flow.list_runs(ctx)) == 1
    assert [fired for _, fired in what(ctx, project, "nightly")] == ["begun", "fired"]


def test_a_clock_that_goes_back_fires_nothing_twice(place: tuple[Context, Project, Path, FakeClock]) -> None:
    ctx, project, folder, clock = place
    project = only(project, "nightly")
    for move in (timedelta(0), 2 * DAY, -1 * DAY, DAY):
        clock.advance(move)
        retrain.fire_triggers(ctx, project, folder)
        end_all(ctx)
    assert len(flow.list_runs(ctx)) == 1


def test_a_run_that_still_goes_on_is_not_overlapped(place: tuple[Context, Project, Path, FakeClock]) -> None:
    ctx, project, folder, clock = place
    project = only(project, "nightly")
    for _ in range(3):
        retrain.fire_triggers(ctx, project, folder)
        clock.advance(DAY)
    assert len(flow.list_runs(ctx)) == 1
    assert [fired for _, fired in what(ctx, project, "nightly")] == ["begun", "fired", "skipped"]


def test_new_data_starts_a_plain_run_once_per_version(place: tuple[Context, Project, Path, FakeClock]) -> None:
    ctx, project, folder, _ = place
    project = only(project, "fresh")
    retrain.fire_triggers(ctx, project, folder)
    assert flow.list_runs(ctx) == []
    for number in (2, 3):
        (folder / "rows.csv").write_text(f"n\n{number}\n")
        for _ in range(2):
            retrain.fire_triggers(ctx, project, folder)
        assert len(flow.list_runs(ctx)) == number - 1
        end_all(ctx)
    assert [mark for mark, _ in what(ctx, project, "fresh")] == [f"rows:{n:09}" for n in (1, 2, 3)]


def test_refused_data_is_told_and_not_tried_again(place: tuple[Context, Project, Path, FakeClock]) -> None:
    ctx, project, folder, clock = place
    project = only(project, "nightly")
    retrain.fire_triggers(ctx, project, folder)
    (folder / "rows.csv").write_text("n\nx\n")
    clock.advance(DAY)
    for _ in range(2):
        retrain.fire_triggers(ctx, project, folder)
    assert [fired for _, fired in what(ctx, project, "nightly")] == ["begun", "failed"]
    assert flow.list_runs(ctx) == []
