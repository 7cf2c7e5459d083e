"""Metrics of several classes behave as all others do: in slices, comparisons and gates, and as scikit-learn's do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs

from modelloop.evaluate.answers import Answers
from modelloop.evaluate.judge import evaluate
from modelloop.evaluate.measure import rows_of
from modelloop.evaluate.metrics import OF_TASK, compute, measure_of
from modelloop.evaluate.multiclass import multiclass_scores
from modelloop.evaluate.own import own_scores
from modelloop.evaluate.settings import Check, GateSettings, MetricName, ObjectiveSettings, OwnMetricSettings, Task
from modelloop.evaluate.slices import by_rows
from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.core.records import Verdict

CHANCE = np.random.default_rng(7)
Y = CHANCE.integers(0, 4, 900)


def answers(sure: float) -> Any:
    raw = CHANCE.normal(size=(900, 4))
    raw[np.arange(900), Y] += sure
    odds = np.exp(raw)
    return odds / odds.sum(axis=1, keepdims=True)


GOOD, POOR = answers(2.0), answers(0.5)
TASK = Task.MULTICLASS


@pytest.mark.parametrize("name", list(OF_TASK[TASK]))
def test_the_measure_is_the_reports(name: str) -> None:
    found = compute(name, Y.astype(float), GOOD, task=TASK)
    reported = next(one for one in multiclass_scores(Y, GOOD) if one.metric == name)
    assert found.value == pytest.approx(reported.value)
    assert found.low == pytest.approx(reported.low, abs=0.003)
    assert found.high == pytest.approx(reported.high, abs=0.003)
    assert name in set(MetricName)


def test_they_are_scikit_learns() -> None:
    decided = GOOD.argmax(axis=1)
    known = {
        "accuracy": theirs.accuracy_score(Y, decided),
        "macro_f1": theirs.f1_score(Y, decided, average="macro"),
        "weighted_precision": theirs.precision_score(Y, decided, average="weighted"),
        "kappa": theirs.cohen_kappa_score(Y, decided),
        "mcc": theirs.matthews_corrcoef(Y, decided),
        "log_loss": theirs.log_loss(Y, GOOD),
        "auc_ovr": theirs.roc_auc_score(Y, GOOD, multi_class="ovr"),
        "top_k": theirs.top_k_accuracy_score(Y, GOOD, k=2),
    }
    for name, value in known.items():
        assert compute(name, Y.astype(float), GOOD, task=TASK).value == pytest.approx(value)


def test_names_that_two_tasks_share_stay_apart() -> None:
    assert measure_of("brier") is OF_TASK[Task.BINARY]["brier"]
    assert measure_of("brier", TASK) is OF_TASK[TASK]["brier"]
    assert measure_of("auc", TASK) is OF_TASK[Task.BINARY]["auc"]


def test_slices_and_clusters() -> None:
    groups = np.where(Y < 2, "few", "many").tolist()
    rows = rows_of(Y.astype(float), GOOD)
    found = by_rows(measure_of("accuracy", TASK), rows, "size", groups)
    assert {one.group for one in found} == {"few", "many"}
    for one in found:
        within = [n for n, group in enumerate(groups) if group == one.group]
        assert one.score.value == pytest.approx((GOOD[within].argmax(axis=1) == Y[within]).mean())
    macro = by_rows(measure_of("kappa", TASK), rows, "size", groups)
    assert all(one.score.value is not None for one in macro)


def judged(gates: dict[str, GateSettings], **more: Any) -> Any:
    objective = ObjectiveSettings("Which?", TASK, MetricName.MACRO_F1, "How well.", "kind", slices=("size",))
    given = Answers(y=Y.astype(float), score=GOOD, slices={"size": np.where(Y < 2, "few", "many").tolist()}, **more)
    return evaluate(objective, gates, given)


def test_gates_and_the_champion() -> None:
    gates = {
        "bound": GateSettings(Check.METRIC, bound=0.6),
        "too high": GateSettings(Check.METRIC, bound=0.99),
        "champion": GateSettings(Check.CHAMPION),
        "loss": GateSettings(Check.CHAMPION, metric=MetricName.LOG_LOSS),
        "baseline": GateSettings(Check.BASELINE, metric=MetricName.BRIER),
        "accuracy": GateSettings(Check.BASELINE, metric=MetricName.ACCURACY),
        "slices": GateSettings(Check.SLICE, metric=MetricName.ACCURACY, by="size", bound=0.5),
    }
    shares = tuple((np.bincount(Y, minlength=4) / len(Y)).tolist())
    found = judged(gates, champion_score=POOR, baseline_value=shares)
    verdicts = {gate.gate: gate.verdict for gate in found.gates}
    assert verdicts.pop("too high") is Verdict.FAIL
    assert set(verdicts.values()) == {Verdict.PASS}
    assert found.comparison.said == "better"
    assert found.baseline.value is not None
    assert found.baseline.value < found.headline.value
    worse = evaluate(
        ObjectiveSettings("Which?", TASK, MetricName.MACRO_F1, "How well.", "kind"),
        {"champion": GateSettings(Check.CHAMPION)},
        Answers(y=Y.astype(float), score=POOR, champion_score=GOOD),
    )
    assert worse.gates[0].verdict is Verdict.FAIL


def test_a_class_without_rows_has_no_auc_and_no_crash() -> None:
    some = Y < 3
    objective = ObjectiveSettings("Which?", TASK, MetricName.AUC_OVR, "How well.", "kind")
    found = evaluate(objective, {}, Answers(y=Y[some].astype(float), score=GOOD[some]))
    assert found.headline.value is None
    assert next(one for one in found.scores if one.metric == "accuracy").value is not None


@pytest.mark.parametrize(
    ("y", "score", "said"),
    [
        (np.full(900, 4.0), GOOD, "there are 4 classes"),
        (np.full(900, 0.5), GOOD, "places"),
        (Y.astype(float), GOOD * 2, "do not add up to 1"),
        (Y.astype(float), np.where(GOOD > 0.9, np.nan, GOOD), "not a finite number"),
        (Y.astype(float), GOOD[:, 0], "a row of probabilities"),
        (Y.astype(float), GOOD[:5], "One of each per row"),
    ],
)
def test_what_is_no_input_is_refused(y: Any, score: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        compute("accuracy", y, score, task=TASK)


def test_own_metrics_know_the_decision() -> None:
    settings = OwnMetricSettings("10 * (label == decision) - 1", "What a right one is worth.")
    (found,) = own_scores({"worth": settings}, rows_of(Y.astype(float), GOOD), POOR)
    assert found.score.value == pytest.approx(10 * (GOOD.argmax(axis=1) == Y).mean() - 1)
    assert found.comparison is not None
    assert found.comparison.said == "better"
