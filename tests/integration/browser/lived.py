"""A project in which things have happened: data that came in, was set aside, refused, drifted; runs of every end.

Names and values are chosen by somebody who wants the page to run them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from modelloop.data import actions as data
from modelloop.evaluate.settings import Task
from modelloop.ground.core.errors import DataRefused
from modelloop.ground.core.records import Actor, Role
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import InputRef, Run, Usage
from modelloop.ground.store.context import Context
from modelloop.project import Project, read_project
from modelloop.retrain.actions import fire_triggers
from modelloop.scaffold import scaffold
from modelloop.testing.fakes import FakeClock

EVIL = "<img src=x onerror=boom()>"
SETTINGS = f"""
[pool.prices]
cpu_hour = 120.0
memory_gb_hour = 4.0

[sources.shop]
path = "landing/orders"
format = "csv"
dataset = "orders"
contract = "orders"

[contracts.orders]
key = ["id"]
on_violation = "quarantine"
max_quarantined = 0.3
[contracts.orders.columns]
id = {{ type = "integer", min = 0 }}
amount = {{ type = "float", min = 0, max = 1000 }}
town = {{ type = "string", nullable = true, severity = "warn", max_length = 60 }}
"{EVIL}" = {{ type = "string", nullable = true }}
[contracts.orders.drift]
reference = "previous"
[contracts.orders.anomalies]

[pipelines.weekly]
function = "work:weekly"
inputs = {{ orders = "orders" }}

[pipelines.broken]
function = "work:broken"

[triggers.each-morning]
on = "cron"
cron = "30 6 * * 1"
time_zone = "Europe/Berlin"
pipeline = "broken"
"""
WORK = f"""
    from modelloop import artifact, ask, log, pipeline, step

    RATE = 0.5

    @step
    def total(orders):
        return float(orders["amount"].sum()) * RATE

    @step
    def told(text):
        print("said:", text)
        log("size", 3.25)
        return text

    @pipeline
    def weekly(orders, town="Paris"):
        print("\\x1b[31mbegun\\x1b[0m {EVIL}")
        amount = total(orders)
        told("{EVIL}")
        artifact("report.html", PAGE)
        artifact("../{EVIL}.svg", "<svg xmlns='http://www.w3.org/2000/svg'><script>boom()</script></svg>")
        artifact("model.bin", b"\\x00\\x01")
        log("amount", amount)
        said = ask("ship", "Ship {EVIL}?", choices=("yes", "no, {EVIL}"))
        return told(said)

    @step
    def divided(a, b):
        return a / b

    @pipeline
    def broken(a=1, b=0):
        return divided(a, b)

    PAGE = '''<!doctype html><title>calm</title><h1>A report</h1><img src="x" onerror="document.title='ran'">
    <script>document.title = "ran"; boom()</script><form action="/runs"><button>send</button></form>'''
"""


class Lived:
    """The project, and how time goes on in it."""

    def __init__(self, ctx: Context, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        scaffold(folder, "trial", task=Task.BINARY)
        file = folder / "modelloop.toml"
        file.write_text(file.read_text() + SETTINGS)
        self.ctx, self.folder = ctx, folder
        self.write("work.py", WORK)
        self.project: Project = read_project(file)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))

    def later(self, hours: float = 1) -> None:
        assert isinstance(self.ctx.clock, FakeClock)
        self.ctx.clock.advance(timedelta(hours=hours))

    def arrive(self, name: str, rows: list[tuple[Any, ...]], message: str = "") -> bool:
        """Let a file of orders come; say whether it was taken in."""
        lines = [f"id,amount,town,{EVIL}", *(",".join(map(str, row)) for row in rows)]
        self.write(f"landing/orders/{name}", "\n".join(lines) + "\n")
        self.later()
        try:
            data.ingest(
                self.ctx,
                "shop",
                self.project.sources["shop"],
                self.project.contracts["orders"],
                root=self.folder,
                message=message,
            )
        except DataRefused:
            (self.folder / "landing/orders" / name).unlink()
            return False
        return True

    def orders(self) -> None:
        """Two good arrivals, the second with rows set aside and drifted; then one that is refused."""
        chance = random.Random(4)
        towns = ("Paris", "Rome", EVIL, "")
        first = [(n, round(chance.uniform(1, 50), 2), chance.choice(towns), "x") for n in range(400)]
        assert self.arrive("january.csv", first, f"the first, {EVIL}")
        data.tag(self.ctx, "orders", "release", 1, message="good")
        second: list[tuple[Any, ...]] = [
            (400 + n, round(chance.uniform(300, 900), 2), chance.choice(towns), "y") for n in range(300)
        ]
        second += [(800, 5000, EVIL, EVIL), (801, "many", "Rome", "z"), (802, 3, "R" * 90, "long")]
        assert self.arrive(f"{EVIL}.csv", second)
        assert not self.arrive(f"broken {EVIL}.csv", [(900 + n, -5, EVIL, "x") for n in range(20)])

    def submit(self, pipeline: str, **params: Any) -> Run:
        settings = self.project.pipelines[pipeline]
        newest = {name: data.version(self.ctx, dataset) for name, dataset in settings.inputs.items()}
        self.later(0.1)
        return flow.submit(
            self.ctx,
            pipeline=pipeline,
            function=settings.function,
            project_dir=self.folder,
            inputs={name: InputRef(one.dataset, one.number, one.digest) for name, one in newest.items()},
            params=params,
            project="trial",
        )

    def execute(self, run_id: str) -> Run:
        """Carry a run out, as a worker's child does."""
        for name, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(self.folder):
                del sys.modules[name]
        done = flow.execute(
            self.ctx,
            run_id,
            resolve=lambda ref: data.read(self.ctx, ref.dataset, ref.version).collect(),
            worker="worker-1",
        )
        log = self.folder / "printed.log"
        log.write_text(f"\x1b[31mbegun\x1b[0m {EVIL}\n")
        return flow.account(self.ctx, run_id, done.attempt, Usage(41.5, 412_000_000, 73.2), log=log)

    def run(self, pipeline: str, **params: Any) -> Run:
        return self.execute(self.submit(pipeline, **params).id)

    def runs(self) -> Mapping[str, Run]:
        """One that was answered, one that fails, one whose code changed and that waits."""
        first = self.run("weekly")
        boss = self.ctx.by(Actor("boss", Role.ENGINEER))
        flow.answer(boss, first.id, "ship", "yes", comment=f"looks good {EVIL}")
        first = self.execute(first.id)
        fire_triggers(self.ctx, replace(self.project, triggers=self._cron()), self.folder)
        self.later(24 * 8)
        fire_triggers(self.ctx, replace(self.project, triggers=self._cron()), self.folder)
        failed = next(run for run in flow.list_runs(self.ctx) if run.pipeline == "broken")
        self.execute(failed.id)
        self.write("work.py", WORK.replace("* RATE", "/ RATE").replace("RATE = 0.5", "RATE = 0.25"))
        return {"done": first, "failed": flow.get_run(self.ctx, failed.id), "waiting": self.run("weekly", town=EVIL)}

    def _cron(self) -> Mapping[str, Any]:
        return {"each-morning": self.project.triggers["each-morning"]}
