"""A calendar fires once, however many workers look at the same moment: on SQLite, PostgreSQL 15 and 18."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelloop.ground.flow import actions as flow
from modelloop.ground.store import audit
from modelloop.project import parse_project
from modelloop.retrain import actions as retrain
from modelloop.testing.fakes import FakeClock, make_context

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
WORKERS = 6
PROJECT = """
[project]
name = "reports"
owner = "us"
[objective]
question = "How many?"
task = "regression"
metric = "mae"
meaning = "pieces"
label = "n"
[pipelines.report]
function = "steps:report"
[triggers.hourly]
on = "cron"
cron = "0 * * * *"
pipeline = "report"
overlap = true
[triggers.missed]
on = "cron"
cron = "30 * * * *"
missed = "all"
pipeline = "report"
overlap = true
"""


def test_many_workers_make_one_run_of_each_instant(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "steps.py").write_text("def report():\n    return 1\n")
    project = parse_project(PROJECT)
    clocks = [FakeClock(START) for _ in range(WORKERS)]
    contexts = [make_context(tmp_path, database_url=database_url, clock=clock) for clock in clocks]
    with ThreadPoolExecutor(WORKERS) as workers:
        for passed in (timedelta(0), timedelta(hours=1), timedelta(hours=3), timedelta(hours=1)):
            for clock in clocks:
                clock.advance(passed)
            list(workers.map(lambda ctx: retrain.fire_triggers(ctx, project, tmp_path), contexts))
    made = [run.id for run in flow.list_runs(contexts[0])]
    states = {one.name: one.fires for one in retrain.triggers(contexts[0], project)}
    fired = {name: [one for one in fires if one.what == "fired"] for name, fires in states.items()}
    assert len(fired["hourly"]) == 3  # 10:00; of 11 to 13 the latest; 14:00
    assert len(fired["missed"]) == 5  # all of 9:30 to 13:30
    assert sorted(one.run or "" for fires in fired.values() for one in fires) == sorted(made)
    assert audit.verify_store(contexts[0]) > len(made)
    for ctx in contexts:
        ctx.db.close()
