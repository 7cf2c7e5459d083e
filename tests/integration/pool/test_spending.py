"""What runs took, added up by each database, and the faces that show it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelloop.cli.commands.cost import cost
from modelloop.cli.options import Face
from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.flow.actions.spending import taken_by_runs, taken_by_steps
from modelloop.ground.flow.tables import flow_run, flow_step
from modelloop.ground.http import Call
from modelloop.ground.pool.cost import By
from modelloop.ground.pool.settings import PriceSettings
from modelloop.ground.pool.spending import spent
from modelloop.ground.store.context import Context
from modelloop.project import read_project
from modelloop.testing.fakes import make_context
from modelloop.web import spending

PRICES = PriceSettings("EUR", cpu_hour=0.04, memory_gb_hour=0.005, gpu_hour=2.0)
PROJECT = """
[project]
name = "flights"
owner = "me"
[objective]
question = "Late?"
task = "binary"
metric = "auc"
label = "late"
meaning = "how well late ones are told from others"
"""


def fill(ctx: Context) -> None:
    """Two runs: one with calls in its process, in a child and on a node; one that still runs."""
    run = {"pipeline": "train", "function": "m:f", "project_dir": "/p", "params": "{}", "inputs": {}, "seed": 0}
    run |= {"time_limit": 60.0, "queued_at": ctx.now(), "project": "flights"}
    done = {"state": "done", "cpu_seconds": 10.0, "peak_bytes": 100, "wall_seconds": 5.0}
    step = {"run_id": "run_a", "key_parts": {}, "nth": 0, "reason": "", "finished_at": ctx.now()}
    calls = [
        ("load", "done", "", 2.0, 1.0, 50, 0.0),
        ("fit", "done", "process 7", 3.0, 2.0, 1000, 0.0),
        ("fit", "done", "ray node 10.0.0.2 process 9", 4.0, 2.0, 2000, 8.0),
        ("load", "cached", "", 0.1, 99.0, 99, 0.0),
    ]
    with ctx.db.transaction() as connection:
        connection.execute(flow_run.insert().values(id="run_a", **run, **done))
        connection.execute(flow_run.insert().values(id="run_b", **run, state="running"))
        for number, (name, state, place, seconds, cpu, peak, gpu) in enumerate(calls):
            values = {"number": number, "name": name, "key": str(number), "state": state, "place": place}
            took = {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak, "gpu_seconds": gpu}
            connection.execute(flow_step.insert().values(**step, **values, **took))
        b = {"number": 0, "name": "load", "key": "b", "state": "done", "seconds": 2.5, "cpu_seconds": 1.5}
        connection.execute(flow_step.insert().values(**{**step, "run_id": "run_b"}, **b))


def test_other_machines_are_added_and_children_are_not_counted_twice(both_engines: Context) -> None:
    fill(both_engines)
    taken = {one.run: one for one in taken_by_runs(both_engines)}
    a, b = taken["run_a"], taken["run_b"]
    assert (a.cpu_seconds, a.wall_seconds, a.gpu_seconds) == (10 + 2, 5, 8)
    assert a.byte_seconds == 100 * 5 + 1000 * 3 + 2000 * 4
    assert (b.cpu_seconds, b.wall_seconds) == (1.5, 2.5)
    steps = {(one.run, one.step): one for one in taken_by_steps(both_engines)}
    assert steps["run_a", "fit"].cpu_seconds == 4
    assert steps["run_a", "fit"].byte_seconds == 1000 * 3 + 2000 * 4
    assert steps["run_a", "load"].wall_seconds == 2
    assert {one.run for one in taken_by_steps(both_engines, run="run_b")} == {"run_b"}
    later = both_engines.now().replace(year=2100)
    assert taken_by_runs(both_engines, since=later) == []


def test_the_bill_of_a_store(ctx: Context) -> None:
    fill(ctx)
    found = spent(ctx, PRICES, by=By.STEP)
    assert {line.name for line in found.lines} == {"train: load", "train: fit"}
    assert found.total.runs == 2
    assert [line.name for line in spent(ctx, PRICES, by=By.PROJECT).lines] == ["flights"]


def test_the_bill_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a terminal and as JSON; without prices it says how to set them."""
    ctx = make_context(tmp_path)
    fill(ctx)
    ctx.db.close()
    (tmp_path / "modelloop.toml").write_text(PROJECT)
    assert cost(by="pipeline", face=Face(tmp_path)) == 0
    said = capsys.readouterr().out
    assert "train" in said
    assert "[pool.prices]" in said
    (tmp_path / "modelloop.toml").write_text(PROJECT + "[pool.prices]\ncurrency = 'CHF'\ncpu_hour = 3600\n")
    assert cost(by="month", face=Face(tmp_path, json=True)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["total"]["cost"] == {"amount": 13.5, "currency": "CHF"}
    assert cost(since="yesterday", face=Face(tmp_path)) == 1
    assert "2026-11-01" in capsys.readouterr().err


def test_the_route_answers_as_the_command(ctx: Context, tmp_path: Path) -> None:
    fill(ctx)
    (tmp_path / "modelloop.toml").write_text(PROJECT + "[pool.prices]\ncpu_hour = 3600\n")
    project = read_project(tmp_path)
    call = Call(ctx, project, tmp_path, {}, {"by": "run", "limit": "1"}, {})
    found = spending.cost(call)
    assert len(found["lines"]) == 1
    assert found["total"].cost.amount == pytest.approx(13.5)
    with pytest.raises(InvalidInput, match="by='week'"):
        spending.cost(Call(ctx, project, tmp_path, {}, {"by": "week"}, {}))
