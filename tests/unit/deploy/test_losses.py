"""Losses lie between 0 and 1, and follow the project's objective."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import example, given
from hypothesis import strategies as st

from modelloop.deploy.verdicts.losses import Kind, Rule, disagreement, loss, losses, multiclass_loss
from modelloop.evaluate.settings import MetricName, ObjectiveSettings, Task, TermsSettings


@pytest.mark.parametrize(
    ("task", "score", "label", "expected"),
    [("binary", 0.8, 1, 0.04), ("regression", 5, 3, 0.2), ("regression", 90, 3, 1), ("multiclass", 2, 2, 0),
     ("multiclass", 1, 2, 1), ("ranking", 1, 3, 0.2)],
)  # fmt: skip
def test_losses_lie_between_zero_and_one(task: str, score: float, label: float, expected: float) -> None:
    assert loss(task, [score], [label], 10.0)[0] == pytest.approx(expected)
    assert loss(task, [math.nan], [label], 10.0)[0] == 1


@given(
    kind=st.sampled_from(list(Kind)),
    rows=st.lists(st.tuples(st.floats(), st.floats(-1e9, 1e9)), max_size=20),
    scale=st.floats(0.1, 100),
    at=st.floats(0.01, 0.99),
)
@example(kind=Kind.ABSOLUTE, rows=[(8.99e307, 0.0)], scale=0.5, at=0.5)
@example(kind=Kind.PINBALL, rows=[(-1.7e308, 0.0)], scale=0.1, at=0.9)
def test_no_answer_gets_out_of_the_range(kind, rows, scale, at) -> None:
    scores, labels = [row[0] for row in rows], [row[1] for row in rows]
    found = losses(Rule(kind, threshold=at, quantile=at), scores, labels, scale)
    assert len(found) == len(rows)
    assert ((found >= 0) & (found <= 1)).all()
    assert losses(Rule(kind, threshold=at, quantile=at), [math.inf], [0.0], scale)[0] == 1


def test_the_same_as_scikit_learns() -> None:
    random = np.random.default_rng(1)
    y, p = random.integers(0, 2, 200), random.random(200)
    assert loss("binary", p, y, 1.0).mean() == pytest.approx(sklearn.metrics.brier_score_loss(y, p))
    rule = Rule(Kind.MISS, threshold=0.25)
    assert losses(rule, p, y, 1.0).mean() == pytest.approx(1 - sklearn.metrics.accuracy_score(y, p >= 0.25))
    labels, scores = random.random(200), random.random(200)
    pinball = losses(Rule(Kind.PINBALL, quantile=0.8), scores, labels, 1.0).mean()
    assert pinball == pytest.approx(sklearn.metrics.mean_pinball_loss(labels, scores, alpha=0.8))
    squared = losses(Rule(Kind.SQUARED), scores, labels, 1.0).mean()
    assert squared == pytest.approx(sklearn.metrics.mean_squared_error(labels, scores))


def test_multiclass_is_half_the_brier_score_of_the_probabilities() -> None:
    given_ = [[0.7, 0.2, 0.1], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert multiclass_loss(given_, [0, 2, 2]).tolist() == pytest.approx([(0.09 + 0.04 + 0.01) / 2, 0, 1])
    assert multiclass_loss([[0.5, 0.5]], [7]).tolist() == [1]
    assert multiclass_loss([[math.nan, 0.5]], [0]).tolist() == [1]
    assert multiclass_loss([[0.5, 0.5]], [0.5]).tolist() == [1]


def _objective(task: Task, metric: MetricName, **terms: float) -> ObjectiveSettings:
    return ObjectiveSettings("?", task, metric, "what it means", "label", terms=TermsSettings(**terms))  # type: ignore[arg-type]


def test_the_loss_follows_the_objective() -> None:
    assert Rule.of_objective(_objective(Task.BINARY, MetricName.AUC)) == Rule(Kind.BRIER)
    assert Rule.of_objective(_objective(Task.BINARY, MetricName.F1, threshold=0.25)) == Rule(Kind.MISS, threshold=0.25)
    assert Rule.of_objective(_objective(Task.REGRESSION, MetricName.MAE)) == Rule(Kind.ABSOLUTE)
    assert Rule.of_objective(_objective(Task.REGRESSION, MetricName.RMSE)) == Rule(Kind.SQUARED)
    pinball = Rule.of_objective(_objective(Task.FORECASTING, MetricName.PINBALL, quantile=0.9))
    assert pinball == Rule(Kind.PINBALL, quantile=0.9)
    assert Rule.of_objective(_objective(Task.RANKING, MetricName.NDCG)) == Rule(Kind.ABSOLUTE)
    assert Rule.of_task("multiclass") == Rule(Kind.CLASSES)


def test_how_far_answers_lie_apart() -> None:
    assert disagreement("binary", [0.2], [0.7], 3.0)[0] == pytest.approx(0.5)
    assert disagreement("regression", [5], [8], 10.0)[0] == pytest.approx(0.3)
    assert disagreement("multiclass", [1, 1], [1, 2], 1.0).tolist() == [0, 1]
    assert disagreement("multiclass", [[0.5, 0.5]], [[0.9, 0.1]], 1.0)[0] == pytest.approx(0.4)
    assert disagreement("binary", [math.nan], [0.1], 1.0)[0] == 1
