from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from modelloop.data import actions as data
from modelloop.evaluate.judge import Answers, evaluate
from modelloop.evaluate.settings import Task
from modelloop.ground.core.errors import Conflict, IdInvalid
from modelloop.ground.core.records import Verdict
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import InputRef, RunState
from modelloop.ground.store.context import Context
from modelloop.prepare.columns import from_frame
from modelloop.project import read_project
from modelloop.register.records import Parity
from modelloop.scaffold import TASKS, scaffold
from modelloop.train.records import Candidate
from modelloop.train.scorer import Scorer

FILES = ["modelloop.toml", "steps.py", ".gitignore", "README.md", "landing/data/.gitkeep"]


@pytest.mark.parametrize("task", TASKS)
def test_a_new_project_is_valid(tmp_path: Path, task: Task) -> None:
    written = scaffold(tmp_path / "new", "my-model", task=task)
    assert [path.relative_to(tmp_path / "new").as_posix() for path in written] == FILES
    assert all(path.is_file() for path in written)
    project = read_project(tmp_path / "new")
    assert project.objective.task is task
    assert project.project.name == "my-model"
    assert list(project.endpoints) == ["my-model"]
    assert {gate.check.value for gate in project.gates.values()} == {"baseline", "champion", "parity"}
    assert "$(cat .modelloop/secrets/token)" in written[3].read_text()


@pytest.mark.parametrize("taken", FILES)
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).write_text("mine")
    with pytest.raises(Conflict, match=taken) as caught:
        scaffold(tmp_path, "demo", task=Task.BINARY)
    assert caught.value.detail["files"] == [str(tmp_path / taken)]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_all_that_is_there_is_listed(tmp_path: Path) -> None:
    scaffold(tmp_path, "demo", task=Task.BINARY)
    with pytest.raises(Conflict) as caught:
        scaffold(tmp_path, "demo", task=Task.BINARY)
    assert len(caught.value.detail["files"]) == len(FILES)


@pytest.mark.parametrize("name", ["", "My Model", "../up", "a" * 64, 'x"', "1st"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(IdInvalid):
        scaffold(tmp_path, name, task=Task.BINARY)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def steps(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    scaffold(tmp_path, "demo", task=request.param)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("steps", None)
    yield import_module("steps")
    sys.modules.pop("steps", None)


def rows_for(task: Task, count: int = 600) -> pl.DataFrame:
    random = np.random.default_rng(7)
    amount, kind = random.gamma(2, 10, count), random.choice(["a", "b", "c"], count)
    signal = amount / 10 + (kind == "a")
    chance = 1 / (1 + np.exp(2 - signal))
    target = {
        Task.BINARY: (random.random(count) < chance).astype(float),
        Task.REGRESSION: signal + random.normal(size=count),
        Task.MULTICLASS: np.array(["few", "some", "many"])[np.digitize(signal + random.normal(size=count), [1.5, 3.0])],
    }[task]
    start = datetime(2024, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "id": [str(number) for number in range(count)],
            "at": [start + timedelta(hours=number) for number in range(count)],
            "amount": amount,
            "kind": kind,
            "target": target,
        }
    )
    newest = pl.col("at") >= start + timedelta(hours=count - 10)  # not known yet
    return frame.with_columns(pl.when(newest).then(None).otherwise(pl.col("target")).alias("target"))


def answers(made: Candidate, rows: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Return a score for each row; of several classes their probabilities."""
    scorer, columns = Scorer(made.transform, made.onnx, made.labels), from_frame(rows, ["amount", "kind"])
    return scorer.outputs(columns)["probabilities"] if made.labels else scorer.score(columns)


def truths(made: Candidate) -> npt.NDArray[Any]:
    """Return the holdout's target; of several classes their places."""
    found = made.holdout["target"].to_list()
    return np.array([list(made.labels).index(one) for one in found] if made.labels else found)


@pytest.mark.parametrize(("steps", "task"), [(task, task) for task in TASKS], indirect=["steps"])
def test_the_steps_work_as_they_are_written(steps: ModuleType, task: Task) -> None:
    rows = rows_for(task)
    made = steps.train(rows, trials=3, holdout=0.2, seed=1)
    assert made.rows + made.holdout.height == rows.height - 10
    assert made.study is not None
    assert len(made.study.trials) == 3
    assert made.trained_until < made.holdout["at"].min()
    np.testing.assert_allclose(answers(made, made.sample), made.expected, atol=1e-5)
    scores, truth = answers(made, made.holdout), truths(made)
    if task is Task.MULTICLASS:
        assert (scores.argmax(axis=1) == truth).mean() > np.bincount(truth).max() / len(truth)
    else:
        assert np.corrcoef(scores, truth)[0, 1] > 0.2
    again = steps.train(rows, trials=3, holdout=0.2, seed=1)
    assert again.onnx == made.onnx


@pytest.mark.parametrize("task", TASKS)
def test_a_new_project_trains_on_a_file_and_passes_its_gates(ctx: Context, tmp_path: Path, task: Task) -> None:
    folder = tmp_path / "new"
    scaffold(folder, "demo", task=task)
    project = read_project(folder)
    rows_for(task, 2000).with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(
        folder / "landing" / "data" / "2024.csv"
    )
    source = project.sources["landing"]
    taken = data.ingest(ctx, "landing", source, project.contracts[source.contract], root=folder)
    assert taken is not None
    pipeline = project.pipelines["train"]
    version = data.version(ctx, "rows")
    run = flow.submit(
        ctx,
        pipeline="train",
        function=pipeline.function,
        project_dir=folder,
        inputs={"rows": InputRef("rows", version.number, version.digest)},
        params={**pipeline.params, "trials": 3},
        seed=pipeline.seed,
        time_limit=pipeline.time_limit,
    )
    done = flow.execute(
        ctx, run.id, resolve=lambda ref: data.read(ctx, ref.dataset, ref.version).collect(), processes=1
    )
    assert done.state is RunState.DONE, done
    made = flow.result(ctx, run.id)
    assert isinstance(made, Candidate)
    served = answers(made, made.sample)
    found = Answers(
        y=truths(made),
        score=answers(made, made.holdout),
        baseline_value=made.baseline,
        slices={"kind": made.holdout["kind"].to_list()},
        parity=Parity(len(served), float(np.abs(served - made.expected).max()), 0, 1e-3),
    )
    evaluation = evaluate(project.objective, project.gates, found)
    assert evaluation.verdict is Verdict.PASS, evaluation.gates
