"""A project of three classes turns: judged, registered, made champion, judged beside it, and kept under watch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelloop.evaluate.settings import Check, GateSettings, MetricName, ObjectiveSettings, Task
from modelloop.ground.store.context import Context
from modelloop.register import actions as register
from modelloop.register.manifest import open_package, read_file
from modelloop.register.package import load
from modelloop.retrain import actions as retrain
from modelloop.retrain.policy import Cause
from modelloop.retrain.records import Result
from served import ENDPOINT
from turning import World

STEPS = """
from datetime import timedelta
import polars as pl
from modelloop import pipeline, step
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import number
from modelloop.prepare.transform import Transform
from modelloop.train.candidate import candidate
from sklearn.linear_model import LogisticRegression


@step
def learn(arrivals, names):
    rows = arrivals.with_columns(pl.col("at").cast(pl.Datetime("us", "UTC"))).sort("at")
    kind = (pl.col("x") * 3).floor().clip(0, 2).cast(pl.Int64)
    if names:
        kind = kind.replace_strict({0: "low", 1: "middle", 2: "high"}, return_dtype=pl.String)
    rows = rows.with_columns(kind.alias("late"))
    split = rows["at"].max() - timedelta(days=3)
    train, holdout = rows.filter(pl.col("at") <= split), rows.filter(pl.col("at") > split)
    fitted = Transform([number("x")]).fit(train)
    model = LogisticRegression(C=100).fit(fitted.apply(from_frame(train, ["x"])), train["late"].to_numpy())
    return candidate(model, fitted, train=train, holdout=holdout, label="late", time="at")


@pipeline
def train(arrivals, names=True):
    return learn(arrivals, names)
"""
OBJECTIVE = ObjectiveSettings(
    "How high?", Task.MULTICLASS, MetricName.MACRO_F1, "How well each is found.", "late", also=(MetricName.TOP_K,)
)


@pytest.fixture
def world(ctx: Context, tmp_path: Path) -> World:
    world = World(ctx, tmp_path)
    gates = {
        "good": GateSettings(Check.METRIC, bound=0.6, min_rows=50),
        "surer": GateSettings(Check.BASELINE, metric=MetricName.LOG_LOSS, min_rows=50),
        "not-worse": GateSettings(Check.CHAMPION, metric=MetricName.BRIER, margin=0.02, min_rows=50),
        "rows": GateSettings(Check.SLICE, bound=0.4, by="late", metric=MetricName.ACCURACY, min_rows=20),
    }
    world.project = replace(world.project, objective=OBJECTIVE, gates=gates, monitors={}, triggers={})
    (tmp_path / "steps.py").write_text(STEPS)
    return world


def opened(world: World, ctx: Context) -> Result | None:
    retrain.open_episode(ctx, world.project, endpoint=ENDPOINT, pipeline="train", why=Cause("a model"))
    world.turns(4)
    episode = max(retrain.episodes(ctx), key=lambda one: one.opened_at)
    return episode.result


def test_three_classes_are_judged_registered_and_answered(ctx: Context, world: World) -> None:
    world.land(15)
    assert opened(world, ctx) is Result.PROMOTED
    version = register.get_version(ctx, "delay:1")
    loaded = load(ctx.blobs, version.digest)
    assert loaded.signature.labels == ("high", "low", "middle")
    assert [(one.name, one.datatype, one.shape) for one in loaded.signature.answered] == [
        ("probabilities", "FP32", (-1, 3)),
        ("label", "BYTES", (-1,)),
    ]
    assert loaded.golden().beyond == 0
    found = loaded.scorer.outputs({"x": np.array([0.05, 0.5, 0.95])})
    assert found["label"].tolist() == ["low", "middle", "high"]
    assert found["probabilities"].dtype == np.float32
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, rtol=1e-6)
    assert loaded.scorer.score({"x": np.array([0.05, 0.5, 0.95])}).tolist() == [1.0, 2.0, 0.0]
    evaluation = loaded.evaluation
    assert evaluation.headline.metric == "macro_f1"
    assert [one.metric for one in evaluation.scores] == ["macro_f1", "accuracy", "log_loss", "top_k"]
    assert evaluation.baseline.value is not None
    assert {gate.gate: str(gate.verdict) for gate in evaluation.gates} == {
        **dict.fromkeys(("good", "surer", "not-worse", "rows", "served-as-trained"), "pass")
    }
    card = read_file(ctx.blobs, open_package(ctx.blobs, version.digest), "card.md").decode()
    assert "the probability of each of 3 classes" in card
    assert loaded.profile["columns"]["score"]["kind"] == "number"


def test_the_next_one_is_compared_with_the_champion(ctx: Context, world: World) -> None:
    world.land(15)
    assert opened(world, ctx) is Result.PROMOTED
    world.land(5)
    opened(world, ctx)
    second = load(ctx.blobs, register.get_version(ctx, "delay:2").digest)
    comparison = second.evaluation.comparison
    assert comparison is not None
    assert comparison.metric == "macro_f1"
    assert comparison.low <= comparison.difference <= comparison.high


def test_a_task_that_is_not_the_models_is_refused_in_words(ctx: Context, world: World) -> None:
    world.project = replace(
        world.project,
        objective=replace(OBJECTIVE, task=Task.BINARY, metric=MetricName.AUC, also=()),
        gates={"good": GateSettings(Check.METRIC, bound=0.6)},
    )
    world.land(15)
    opened(world, ctx)
    episode = max(retrain.episodes(ctx), key=lambda one: one.opened_at)
    assert "The model answers 3 classes" in str(episode.evidence)
    assert episode.result is Result.FAILED


def test_other_classes_than_the_champions_are_refused_in_words(ctx: Context, world: World) -> None:
    world.land(15)
    assert opened(world, ctx) is Result.PROMOTED
    world.land(5)
    pipeline = replace(world.project.pipelines["train"], params={"names": False})
    world.project = replace(world.project, pipelines={"train": pipeline})
    assert opened(world, ctx) is Result.FAILED
    episode = max(retrain.episodes(ctx), key=lambda one: one.opened_at)
    assert "knows the classes high, low, middle; the candidate 0, 1, 2" in str(episode.evidence)
