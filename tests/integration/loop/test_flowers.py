"""Three kinds of iris: a real gateway answers by name, outcomes come by name, a window says which is not found."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_iris

from gateway_process import Place, gateway, wait_for, wait_ready
from modelloop import app
from modelloop.data import actions as data
from modelloop.deploy import actions as deploy
from modelloop.deploy.records import Truth
from modelloop.ground.core.records import Verdict
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import RunState
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.loop import turn
from modelloop.monitor import actions as monitor
from modelloop.monitor.records import Signal
from modelloop.project import Project, read_project
from modelloop.register import actions as register
from modelloop.retrain import actions as retrain
from modelloop.retrain.actions.settling import settle_run
from modelloop.retrain.policy import Cause
from modelloop.retrain.records import Result
from modelloop.web import shell
from modelloop.web.pages import environment
from modelloop.web.routes import ROUTES
from modelloop.web.session import Doorkeeper

TOML = """
[project]
name = "flowers"
owner = "us"

[objective]
question = "Which iris?"
task = "multiclass"
metric = "macro_f1"
meaning = "how well each kind is found"
label = "kind"

[sources.flowers]
path = "landing"
format = "csv"
dataset = "flowers"
contract = "flowers"

[contracts.flowers.columns]
sepal_length = { type = "float" }
sepal_width = { type = "float" }
petal_length = { type = "float" }
petal_width = { type = "float" }
kind = { type = "string" }
at = { type = "time" }

[pipelines.train]
function = "steps:train"
inputs = { flowers = "flowers" }
model = "iris"

[gates.good]
check = "metric"
bound = 0.8
min_rows = 50

[endpoints.kind]
model = "iris"
[endpoints.kind.rollout]
shadow_rows = 1000
shadow_fraction = 1.0
canary = [0.5]

[monitors.quality]
endpoint = "kind"
signal = "quality"
every = "7d"
label_delay = "1d"
min_rows = 60

[monitors.answers]
endpoint = "kind"
signal = "score-drift"
every = "7d"
min_rows = 60

[alerts.ops]
channel = "log"
"""
STEPS = """
from datetime import timedelta

import polars as pl
from sklearn.linear_model import LogisticRegression

from modelloop import pipeline, step
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import number
from modelloop.prepare.transform import Transform
from modelloop.train.candidate import candidate

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


@step
def learn(flowers):
    rows = flowers.with_columns(pl.col("at").cast(pl.Datetime("us", "UTC"))).sort("at")
    split = rows["at"].max() - timedelta(days=6)
    train, holdout = rows.filter(pl.col("at") <= split), rows.filter(pl.col("at") > split)
    fitted = Transform([number(name) for name in COLUMNS]).fit(train)
    features = fitted.apply(from_frame(train, COLUMNS))
    model = LogisticRegression(C=10, max_iter=2000).fit(features, train["kind"].to_numpy())
    return candidate(model, fitted, train=train, holdout=holdout, label="kind", time="at")


@pipeline
def train(flowers):
    return learn(flowers)
"""
COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
NAMES = ("setosa", "versicolor", "virginica")
START = datetime(2013, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TOKEN = "t" * 40


class Garden:
    """The project on disk, its worker called by hand, its gateway a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "landing").mkdir(parents=True)
        (folder / "modelloop.toml").write_text(TOML)
        (folder / "steps.py").write_text(STEPS)
        self.rng = np.random.default_rng(0)
        self.project: Project = read_project(folder / "modelloop.toml")
        self.ctx: Context = app.open_context(folder)
        self.place = Place(folder / ".modelloop", app.settings_for(folder).blobs_url)
        self.land(400)

    def flowers(self, count: int) -> tuple[np.ndarray, list[str]]:
        x, y = load_iris(return_X_y=True)
        chosen = self.rng.integers(0, len(x), count)
        noise = self.rng.normal(0, 0.1, (count, 4))
        return np.round(x[chosen] + noise, 3), [NAMES[one] for one in y[chosen]]

    def land(self, count: int) -> None:
        x, kinds = self.flowers(count)
        moments = [(START - 20 * DAY + number * 20 * DAY / count).isoformat() for number in range(count)]
        lines = [",".join([*map(str, row), kind, at]) for row, kind, at in zip(x.tolist(), kinds, moments, strict=True)]
        name = f"{len(list((self.folder / 'landing').iterdir())):03d}.csv"
        (self.folder / "landing" / name).write_text("\n".join([",".join([*COLUMNS, "kind", "at"]), *lines]) + "\n")

    def turn(self) -> None:
        made = turn(self.ctx, self.project, self.folder)
        assert not made.errors, made.errors
        for run in flow.list_runs(self.ctx, states=[RunState.QUEUED, RunState.RUNNING]):
            sys.modules.pop("steps", None)
            flow.execute(self.ctx, run.id, resolve=lambda ref: data.read(self.ctx, ref.dataset, ref.version).collect())
            settle_run(self.ctx, self.project, self.folder, run.id)

    def renewed(self) -> None:
        retrain.open_episode(self.ctx, self.project, endpoint="kind", pipeline="train", why=Cause("a model"))

    def until(self, result: Result) -> None:
        def done() -> bool:
            self.turn()
            return max(retrain.episodes(self.ctx), key=lambda one: one.opened_at).result is result

        wait_for(done)

    def week(
        self, client: httpx.Client, number: int, *, swapped: bool = False, only: str = "", count: int = 120
    ) -> None:
        """Let callers ask for a week, and tell by name what the flowers were; `swapped`: two kinds wrongly."""
        x, kinds = self.flowers(count if not only else count * 4)
        picked = [(row, kind) for row, kind in zip(x.tolist(), kinds, strict=True) if not only or kind == only][:count]
        wrong = {"versicolor": "virginica", "virginica": "versicolor"} if swapped else {}
        told = []
        for place, (row, kind) in enumerate(picked):
            at = START + number * 7 * DAY + place * 7 * DAY / count
            answer = client.post(
                "/predict/kind", json=dict(zip(COLUMNS, row, strict=True)) | {"event_time": at.isoformat()}
            )
            assert answer.status_code == 200, answer.text
            name = answer.headers["modelloop-prediction-id"]
            told.append(Truth(wrong.get(kind, kind), prediction=name, event_time=at + timedelta(hours=1)))
        joined = deploy.join_outcomes(self.ctx, "kind", told)
        assert (joined.accepted, joined.unknown) == (len(told), ())

    def signals(self, name: str) -> list[Signal]:
        return monitor.signals(self.ctx, monitor=name)[::-1]

    def page(self, path: str) -> str:
        door = Doorkeeper(TOKEN, self.folder / "secrets")
        hosts = frozenset({"localhost"})
        site = shell.Site(self.ctx, self.project, self.folder, door, hosts, environment())
        made = shell.Guarded(shell.build(site, ROUTES), hosts)

        async def fetched() -> httpx.Response:
            transport = httpx.ASGITransport(made)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as one:
                return await one.get(path, headers={"authorization": f"Bearer {TOKEN}"})

        answer = asyncio.run(fetched())
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
def garden(tmp_path: Path) -> Iterator[Garden]:
    made = Garden(tmp_path / "project")
    yield made
    made.ctx.db.close()


def test_windows_alerts_and_pages_speak_of_classes(garden: Garden) -> None:
    with gateway(garden.place) as process, httpx.Client(base_url=process.address) as client:
        garden.renewed()
        garden.until(Result.PROMOTED)
        wait_ready(client)
        for number, more in enumerate([{}, {"swapped": True}, {"only": "setosa"}, {}, {"count": 10}]):
            garden.week(client, number, **more)  # type: ignore[arg-type]
        garden.turn()
        first, second, *_ = garden.signals("quality")
        judged(first, second)
        drifted(garden.signals("answers"))
        (alert,) = [one for one in monitor.alerts(garden.ctx) if one.monitor == "quality"]
        assert "Quality fell at 'kind', answered by iris:1" in alert.message
        assert "were taken for" in alert.message
        assert "macro_f1 is" in alert.message
        third, fourth = garden.signals("quality")[2:4]
        assert (third.verdict, third.detail["absent"]) == (Verdict.PASS, ["versicolor", "virginica"])
        assert "no row of 'versicolor', 'virginica' and says nothing of them" in third.reason
        assert (fourth.verdict, "absent" in fourth.detail) == (Verdict.PASS, False)
        with garden.ctx.db.reading() as connection:
            (resolved,) = [
                one
                for one in audit.newest(connection)
                if one.action == "alert.resolved" and one.detail["monitor"] == "quality"
            ]
        assert fourth.reason in resolved.detail["reason"], "the week of one kind alone resolves nothing"
        rolled(garden, client)


def judged(first: Signal, second: Signal) -> None:
    assert (first.verdict, first.rows) == (Verdict.PASS, 120)
    assert first.value is not None
    assert first.value > 0.85
    assert list(first.detail["classes"]) == list(NAMES)
    assert (second.verdict, second.rows) == (Verdict.FAIL, 120)
    assert second.detail["classes"]["setosa"]["found"] == second.detail["classes"]["setosa"]["rows"]
    missed = "versicolor" if "found: 'versicolor'" in second.reason else "virginica"
    other = {"versicolor": "virginica", "virginica": "versicolor"}[missed]
    assert f"least often found: {missed!r}" in second.reason
    assert f"were taken for {other!r}" in second.reason


def drifted(signals: list[Signal]) -> None:
    assert [one.verdict for one in signals[:3]] == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    assert "'setosa' is answered to 100.0% of the rows, at registration to" in signals[2].reason
    assert "classes " in signals[2].reason
    assert sum(one["now"] for one in signals[2].detail["shares"].values()) == pytest.approx(1)


def rolled(garden: Garden, client: httpx.Client) -> None:
    """Let a second version score beside the first; the page shows both by class."""
    garden.land(300)
    garden.renewed()

    def shadowed() -> bool:
        garden.turn()
        found = deploy.rollouts(garden.ctx, "kind")
        return len(found) == 2 and str(found[0].stage) == "shadow"

    wait_for(shadowed)
    assert register.get_version(garden.ctx, "iris:2").verdict is Verdict.PASS
    assert deploy.wait_for_gateways(garden.ctx, timedelta(seconds=20)).done
    garden.week(client, 6, count=30)

    def compared() -> Any:
        garden.turn()
        seen = deploy.endpoint_view(garden.ctx, garden.project, "kind").open
        return seen.compared if seen and seen.compared and seen.compared.pairs >= 30 else None

    found = wait_for(compared)
    assert (found.classes, len(found.champion)) == (NAMES, 3)
    page = garden.page("/endpoints/kind")
    for name in NAMES:
        assert f"<title>{name}: champion " in page
        assert f">{name}</text>" in page
    assert "answered with another class" in page
    assert "mean disagreement" not in page
    front = garden.page("/")
    assert "MACRO F1" in front
    assert "Quality fell at" in front
