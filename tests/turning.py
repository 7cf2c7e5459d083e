"""A whole small project whose world turns over: real files, pipeline, packages and facts, but no processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from modelloop.data import actions as data
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Format, SourceSettings
from modelloop.evaluate.settings import Check, GateSettings, MetricName, ObjectiveSettings, Task
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import RunState
from modelloop.ground.store.context import Context
from modelloop.loop import turn
from modelloop.monitor.settings import MonitorSettings, SignalKind
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import number
from modelloop.prepare.transform import Transform
from modelloop.project import Project
from modelloop.register import actions as register
from modelloop.register.package import load
from modelloop.retrain.actions.settling import settle_run
from modelloop.retrain.records import Turn
from modelloop.retrain.settings import PipelineSettings, TriggerOn, TriggerSettings
from modelloop.train.records import Candidate
from packages import logistic
from served import ENDPOINT, POLICY, T0, Gateway, Scores, fair, make_project

WEEK = timedelta(days=7)
STEPS = '''
"""The user's code."""
from modelloop import log, pipeline, step
from turning import fit


@step
def learn(arrivals, bad, as_of):
    return fit(arrivals, bad, as_of)


@pipeline
def train(arrivals, bad=False, as_of=None):
    log("rows", arrivals.height)
    return learn(arrivals, bad, as_of)
'''


def fit(arrivals: pl.DataFrame, bad: bool = False, as_of: datetime | None = None) -> Candidate:
    """Learn which way x points from the last two weeks but the newest three days, which are the holdout."""
    rows = arrivals.with_columns(pl.col("at").cast(pl.Datetime("us", "UTC"))).sort("at")
    end = as_of or rows["at"].max()
    assert isinstance(end, datetime)
    rows = rows.filter((pl.col("at") > end - 2 * WEEK) & (pl.col("at") <= end))
    split = end - timedelta(days=3)
    train, holdout = rows.filter(pl.col("at") <= split), rows.filter(pl.col("at") > split)
    slope = np.corrcoef(train["x"].to_numpy(), train["late"].to_numpy())[0, 1]
    weight = float(np.sign(slope) * (-1 if bad else 1) * 4)
    transform = Transform([number("x")]).fit(train)
    sample = holdout.select("x").head(50)
    matrix = transform.apply(from_frame(sample, ["x"])).astype(np.float64)
    return Candidate(
        transform=transform,
        onnx=logistic([weight]),
        native=b"",
        native_format="",
        holdout=holdout,
        label="late",
        time="at",
        sample=sample,
        expected=1 / (1 + np.exp(-matrix[:, 0] * weight)),
        trained_from=train["at"].min(),  # type: ignore[arg-type]
        trained_until=train["at"].max(),  # type: ignore[arg-type]
        rows=train.height,
        baseline=float(train["late"].to_numpy().mean()),
        params={"weight": weight},
    )


def small_project(**triggers: TriggerSettings) -> Project:
    """Return the project: arrivals under a contract, one pipeline, three gates, a quality monitor, a trigger."""
    objective = ObjectiveSettings("Late?", Task.BINARY, MetricName.AUC, "How well late ones are told apart.", "late")
    columns = {
        "x": ColumnSettings(ColumnType.FLOAT, min=0, max=1),
        "late": ColumnSettings(ColumnType.INTEGER, min=0, max=1),
        "at": ColumnSettings(ColumnType.TIME),
    }
    on_alert = TriggerSettings(TriggerOn.ALERT, "train", ENDPOINT, monitor="quality")
    return make_project(
        POLICY,
        objective,
        sources={
            "arrivals": SourceSettings(path="landing", dataset="arrivals", contract="arrivals", format=Format.CSV)
        },
        contracts={"arrivals": ContractSettings(columns)},
        pipelines={"train": PipelineSettings("steps:train", {"arrivals": "arrivals"}, "delay")},
        gates={
            "good": GateSettings(Check.METRIC, bound=0.6, min_rows=50),
            "not-worse": GateSettings(Check.CHAMPION, margin=0.02, min_rows=50),
            "agrees": GateSettings(Check.PARITY),
        },
        monitors={"quality": MonitorSettings(ENDPOINT, SignalKind.QUALITY, every=WEEK, min_rows=100)},
        triggers=triggers or {"fell": on_alert},
    )


class Loaded(Mapping[str, Scores]):
    """Every registered version, answering through its package as the gateway does."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.known: dict[str, Scores] = {}

    def __getitem__(self, name: str) -> Scores:
        if name not in self.known:
            scorer = load(self.ctx.blobs, register.get_version(self.ctx, name).digest).scorer
            self.known[name] = lambda x: float(scorer.score({"x": np.array([x])})[0])
        return self.known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(version.name for version in register.versions(self.ctx, "delay"))

    def __len__(self) -> int:
        return len(register.versions(self.ctx, "delay"))


@dataclass
class World:
    """Callers, the arrival of truth, a worker and a gateway, all called by hand."""

    ctx: Context
    folder: Path
    project: Project = field(default_factory=small_project)
    truth: Scores = fair
    day: int = 0

    def __post_init__(self) -> None:
        (self.folder / "landing").mkdir(exist_ok=True)
        (self.folder / "steps.py").write_text(STEPS)
        self.gateway = Gateway(self.ctx, Loaded(self.ctx))
        self.rng = np.random.default_rng(1)

    def now(self) -> datetime:
        return T0 + timedelta(days=self.day)

    def land(self, days: int, *, extra: str = "") -> None:
        """Let the history of so many days arrive, without traffic."""
        for _ in range(days):
            x = self.rng.uniform(size=60)
            self._write(x, self.rng.uniform(size=60) < np.array([self.truth(v) for v in x]), extra)
            self.day += 1

    def _write(self, x: np.ndarray, late: np.ndarray, extra: str = "") -> None:
        start = self.now().astimezone(UTC)
        lines = ["x,late,at"]
        for minute, (value, label) in enumerate(zip(x, late, strict=True)):
            lines.append(f"{value:.6f},{int(label)},{(start + timedelta(minutes=minute)).isoformat()}")
        text = "\n".join(lines) + extra + "\n"
        (self.folder / "landing" / f"{self.day:05d}.csv").write_text(text)

    def play(self, days: int) -> None:
        """Play days of traffic, their outcomes the same evening, and a turn of the loop each day."""
        for _ in range(days):
            self.gateway.truth = self.truth
            told = self.gateway.ask(60, self.now())
            self.gateway.tell(told, self.now() + timedelta(hours=12))
            self._land_told(told)
            self.day += 1
            self.turns()

    def _land_told(self, told: list[tuple[str, float]]) -> None:
        rows = self.gateway.xs[-len(told) :]
        self._write(np.array(rows), np.array([label for _, label in told]))

    def turns(self, count: int = 3) -> Turn:
        """Turn the loop, letting the worker and the gateway do their part between."""
        for _ in range(count):
            self.ctx.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
            made = turn(self.ctx, self.project, self.folder)
            self.work()
            self.gateway.report()
        return made

    def work(self) -> None:
        """Do what the run's own process does."""
        for run in flow.list_runs(self.ctx, states=[RunState.QUEUED, RunState.RUNNING]):
            sys.modules.pop("steps", None)  # each run is a process of its own
            flow.execute(self.ctx, run.id, resolve=lambda ref: data.read(self.ctx, ref.dataset, ref.version).collect())
            settle_run(self.ctx, self.project, self.folder, run.id)
