"""The front door, and what it is made of: thresholds, calibration, slices that are found, own metrics, comparison."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis import strategies as st

from modelloop.evaluate.answers import Answers
from modelloop.evaluate.calibration import calibration, fit_isotonic, fit_platt, recalibration
from modelloop.evaluate.compare import compare, disagreement
from modelloop.evaluate.decisions import Costs, choose_threshold
from modelloop.evaluate.finder import find_slices
from modelloop.evaluate.formula import read
from modelloop.evaluate.gate import Terms, judge_gate
from modelloop.evaluate.judge import columns_needed, evaluate
from modelloop.evaluate.measure import rows_of
from modelloop.evaluate.metrics import OF_TASK, measure_of
from modelloop.evaluate.multiclass import METRICS, multiclass_scores
from modelloop.evaluate.records import Direction
from modelloop.evaluate.report import report
from modelloop.evaluate.settings import (
    Check,
    GateSettings,
    MetricName,
    ObjectiveSettings,
    OwnMetricSettings,
    Task,
    TermsSettings,
)
from modelloop.evaluate.slices import group_metrics
from modelloop.ground.core.errors import EvidenceMissing, InvalidInput
from modelloop.ground.core.records import Verdict

PROFIT = OwnMetricSettings("10 * label * decision - 3 * decision * cost", "What a case earns.", Direction.HIGHER, "EUR")


def cases(seed=0, rows=2000, sharp=1.0):
    random = np.random.default_rng(seed)
    chance = random.random(rows)
    y = (random.random(rows) < chance) * 1.0
    odds = sharp * np.log(chance / (1 - chance))
    return y, 1 / (1 + np.exp(-odds))


def test_a_report_has_its_headline_first_and_is_plain_json():
    y, score = cases()
    random = np.random.default_rng(1)
    columns = {"a": random.choice(list("xyz"), 2000), "cost": random.random(2000)}
    found = report(
        y, score, champion=np.clip(score + 0.2 * random.normal(size=2000), 0, 1), columns=columns, slices=["a"],
        find=True, costs=Costs(miss=5), metrics={"profit": PROFIT},
    )  # fmt: skip
    document = found.as_json()
    json.dumps(document, allow_nan=False)
    assert next(iter(document)) == "task"
    assert document["headline"]["score"]["metric"] == "auc"
    assert {one["score"]["metric"] for one in document["metrics"]} == {*OF_TASK[Task.BINARY]}
    assert all(one["meaning"].endswith(".") and one["direction"] in ("higher", "lower") for one in document["metrics"])
    lines = found.text().splitlines()
    assert lines[0].startswith("auc 0.")
    assert lines[2].startswith("profit ")
    assert lines[2].endswith("EUR")
    assert "Beside the champion: better" in found.text()
    assert found.own[0].comparison.said == "better"
    assert np.array(found.confusion).sum() == 2000


@pytest.mark.parametrize("task", ["regression", "forecasting"])
def test_reports_of_amounts(task):
    random = np.random.default_rng(0)
    y = 20 + np.cumsum(random.normal(size=300))
    found = report(y, y + random.normal(size=300), task=task, champion=y + random.normal(size=300),
                   intervals=(y - 1.64 + random.normal(size=300), y + 5), level=0.9)  # fmt: skip
    assert {*OF_TASK[Task(task)]} < {one.score.metric for one in found.metrics}
    assert found.comparison.said == "no difference shown"
    coverage = next(one.score for one in found.metrics if one.score.metric == "coverage")
    assert coverage.low < coverage.value < coverage.high
    json.dumps(found.as_json(), allow_nan=False)


def test_text_labels_and_what_a_report_cannot_tell():
    y, score = cases(rows=100)
    words = np.where(y > 0.5, "late", "on time")
    assert report(words, score, positive="late").headline == report(y, score).headline
    with pytest.raises(InvalidInput, match="not all numbers"):
        report(words, score)
    with pytest.raises(InvalidInput, match="No label"):
        report(words, score, positive="never")
    one = report(np.ones(100), score)
    assert one.headline.score.value is None
    assert "same label" in one.notes[0]
    assert report([], []).headline.score.rows == 0
    for bad in ({"task": "bin"}, {"headline": "mae"}, {"slices": ["x"]}, {"nothing": 1}, {"bootstrap": "magic"}):
        with pytest.raises(InvalidInput):
            report(y, score, **bad)
    with pytest.raises(InvalidInput, match="finite"):
        report(y, np.where(score > 0.9, np.nan, score))


def probabilities(seed, rows=300, classes=4):
    random = np.random.default_rng(seed)
    found = random.dirichlet(np.ones(classes), rows)
    y = np.array([random.choice(classes, p=one) for one in found])
    y[:classes] = np.arange(classes)
    return y, found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_multiclass_metrics_are_those_of_scikit_learn(seed, weighted):
    y, chances = probabilities(seed)
    w = np.random.default_rng(seed).integers(1, 4, 300) * 1.0 if weighted else None
    decision, more = chances.argmax(axis=1), {"sample_weight": w}
    expected = {
        "accuracy": sk.accuracy_score(y, decision, **more),
        "balanced_accuracy": sk.balanced_accuracy_score(y, decision, **more),
        "micro_f1": sk.f1_score(y, decision, average="micro", **more),
        "kappa": sk.cohen_kappa_score(y, decision, **more),
        "mcc": sk.matthews_corrcoef(y, decision, **more),
        "log_loss": sk.log_loss(y, chances, **more),
        "brier": np.average(np.square(chances - np.eye(4)[y]).sum(axis=1), weights=w),
        "top_k": sk.top_k_accuracy_score(y, chances, k=2, **more),
        "auc_ovr": np.mean([sk.roc_auc_score(y == one, chances[:, one], **more) for one in range(4)]),
    }
    for average in ("macro", "weighted"):
        for kind, oracle in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
            expected[f"{average}_{kind}"] = oracle(y, decision, average=average, zero_division=0, **more)
    found = {one.metric: one for one in multiclass_scores(y, chances, weights=w)}
    assert {*found} == {*METRICS} == {*expected}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-9), name
        assert found[name].low < value < found[name].high


def test_multiclass_reports_name_their_classes_and_refuse_what_is_none():
    y, chances = probabilities(0)
    names = np.array(["ant", "bee", "cow", "dog"])
    found = report(names[y], chances, task="multiclass", classes=names.tolist())
    assert found.headline == report(y, chances, task="multiclass").headline
    assert found.classes == tuple(names)
    json.dumps(found.as_json(), allow_nan=False)
    assert "A class has no rows" in report(np.zeros(20, int), chances[:20], task="multiclass").notes[0]
    for labels, answers, said in (
        (names[y], chances, "text"),
        (y + 0.5, chances, "class numbers"),
        (y + 3, chances, "there are 4 classes"),
        (y, chances * 2, "add up to 1"),
        (y[:3], chances, "3 labels"),
        (y, np.where(chances > 0.9, np.nan, chances), "finite"),
    ):
        with pytest.raises(InvalidInput, match=said):
            report(labels, answers, task="multiclass")


def test_a_threshold_is_chosen_by_cost_and_not_praised_for_it():
    costs = Costs(hit=0, miss=8, alarm=1, peace=0)
    y, score = cases(3, 4000)
    found = choose_threshold(y, score, costs)
    assert costs.ideal == pytest.approx(1 / 9)
    assert found.threshold == pytest.approx(1 / 9, abs=0.06)
    assert found.optimistic <= found.cost
    assert found.worth_it
    assert found.said == "cheaper than always saying yes"
    # on noise a naive search promises a saving; cross-fitting does not
    random, praised, believed = np.random.default_rng(0), 0.0, 0
    for seed in range(40):
        told = choose_threshold((random.random(100) < 0.5) * 1.0, random.random(100), Costs(), seed=seed)
        praised += min(told.always, told.never) - told.optimistic
        believed += told.worth_it
    assert praised / 40 > 0.02
    assert believed <= 3
    for bad in (Costs(miss=0), Costs(alarm=-1), Costs(miss=math.inf)):
        with pytest.raises(InvalidInput):
            choose_threshold(y, score, bad)
    with pytest.raises(EvidenceMissing):
        choose_threshold(y[:20], score[:20], costs)


def test_calibration_tells_too_extreme_from_right():
    right, extreme = calibration(*cases(1, 3000)), calibration(*cases(1, 3000, sharp=2.0))
    assert right.said == "no miscalibration shown"
    assert right.slope.low < 1 < right.slope.high
    assert extreme.said.startswith("probabilities are too extreme")
    assert extreme.slope.value == pytest.approx(0.5, abs=0.08)
    assert extreme.p < 1e-6
    assert sum(point.rows for point in right.points) == 3000
    assert all(point.low <= point.happened <= point.high for point in right.points)
    false = sum(calibration(*cases(seed, 400)).p < 0.1 for seed in range(200))
    assert false / 200 < 0.1 + 3 * math.sqrt(0.09 / 200)


def test_recalibration_mends_what_was_wrong_and_travels_as_json():
    y, score = cases(5, 6000, sharp=2.0)
    fresh = cases(6, 6000, sharp=2.0)
    before = sk.log_loss(fresh[0], np.clip(fresh[1], 1e-7, 1 - 1e-7))
    for fit in (fit_platt, fit_isotonic):
        fitted = fit(y, score)
        again = recalibration(json.loads(json.dumps(fitted.to_json())))
        assert again == fitted
        mended = again.apply(fresh[1])
        assert sk.log_loss(fresh[0], np.clip(mended, 1e-7, 1 - 1e-7)) < before - 0.03
        assert (np.diff(again.apply(np.linspace(0, 1, 200))) >= 0).all()
    with pytest.raises(InvalidInput):
        recalibration({"kind": "magic"})


def test_slices_nobody_named_are_found_and_none_where_there_is_none():
    random = np.random.default_rng(0)
    columns = {
        "carrier": random.choice(list("ABCD"), 4000),
        "hour": random.integers(0, 24, 4000),
        "id": np.array([f"n{n}" for n in range(4000)]),
    }
    y = random.normal(size=4000)
    bad = (columns["carrier"] == "B") & (columns["hour"] >= 19)
    rows = rows_of(y, y + random.normal(size=4000) * np.where(bad, 3, 1))
    found = find_slices(measure_of("mae"), rows, columns)
    worst = found.slices[0]
    assert worst.shown
    assert dict(worst.where)["carrier"] == "B"
    assert worst.value > 1.5 * worst.elsewhere
    assert found.left_out == ("id",)
    alarms = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        y = random.normal(size=1500)
        groups = {name: random.integers(0, 4, 1500) for name in "abc"}
        alarms += (
            find_slices(measure_of("mae"), rows_of(y, y + random.normal(size=1500)), groups, min_rows=50)
            .slices[0]
            .shown
        )
    assert alarms <= 8  # 5 % of 60, and two and a half standard errors
    with pytest.raises(InvalidInput, match="cannot be searched"):
        find_slices(measure_of("auc"), rows_of((y > 0) * 1.0, y), {"a": y > 0})


def test_group_metrics_are_those_of_each_group_alone():
    y, score = cases(2, 3000)
    groups = np.random.default_rng(0).integers(0, 5, 3000) * 7 - 3
    for metrics in (
        tuple(name for name in OF_TASK[Task.BINARY] if measure_of(name).cells),
        ("log_loss", "brier", "auc"),
    ):
        found = group_metrics(y, score, groups, metrics)
        for name in metrics:
            assert sorted(one.group for one in found[name]) == sorted(map(str, (-3, 4, 11, 18, 25)))
            for one in found[name]:
                part = groups == int(one.group)
                alone = report(y[part], score[part], headline=name).headline.score
                assert one.score.value == pytest.approx(alone.value, abs=1e-12)
                assert (one.score.low, one.score.high) == pytest.approx((alone.low, alone.high), abs=1e-7)
    few = group_metrics(y[:50], score[:50], groups[:50], ("accuracy",))
    assert all(one.score.value is None for one in few["accuracy"])


def test_two_classifiers_that_differ_by_chance_are_not_told_apart():
    worse = 0
    for seed in range(200):
        y, score = cases(seed, 150)
        random = np.random.default_rng(seed + 1000)
        other = np.clip(score + 0.1 * random.normal(size=150), 0, 1)
        one = np.clip(score + 0.1 * random.normal(size=150), 0, 1)
        told = disagreement(rows_of(y, one), other)
        assert told.mid <= told.exact
        worse += told.said != "no difference shown"
    assert worse / 200 <= 0.05 + 3 * math.sqrt(0.0475 / 200)
    y, score = cases(0, 1000)
    assert compare("accuracy", y, score, 1 - score).said == "better"
    same = compare("accuracy", y, score, score)
    assert same.said == "no difference shown"
    assert same.low < 0 < same.high  # rows without any disagreement are no proof


@pytest.mark.parametrize("metric", [*OF_TASK[Task.BINARY]])
def test_every_binary_metric_can_be_compared_and_gated(metric):
    y, score = cases(4, 600)
    noisy = np.clip(score + 0.3 * np.random.default_rng(0).normal(size=600), 0.001, 0.999)
    found = compare(metric, y, score, noisy)
    other = compare(metric, y, noisy, score)
    assert found.difference == pytest.approx(-other.difference)
    assert found.low <= found.difference <= found.high
    objective = ObjectiveSettings("?", Task.BINARY, MetricName(metric), "m", "y", ("g",), also=(MetricName.F1,))
    gates = {
        "bound": GateSettings(Check.METRIC, bound=0.2),
        "champion": GateSettings(Check.CHAMPION, margin=1.0),
        "slices": GateSettings(Check.SLICE, bound=0.0, by="g"),
    }
    told = evaluate(objective, gates, Answers(y, score, noisy, baseline_value=0.5, slices={"g": ["a", "b"] * 300}))
    assert told.headline.value is not None
    assert told.gates[1].verdict is Verdict.PASS
    assert metric in {one.metric for one in told.scores}
    assert "f1" in {one.metric for one in told.scores}


def test_rankings_and_forecasts_go_through_gates():
    random = np.random.default_rng(0)
    query, gain = np.repeat(np.arange(100), 10), random.integers(0, 3, 1000) * 1.0
    objective = ObjectiveSettings("?", Task.RANKING, MetricName.NDCG, "m", "y", terms=TermsSettings(query="q"))
    gates = {"floor": GateSettings(Check.METRIC, bound=0.7), "more": GateSettings(Check.BASELINE)}
    answers = Answers(gain, gain + random.normal(size=1000), 0.1 * random.normal(size=1000), baseline_value=1.0,
                      columns={"q": query.tolist()})  # fmt: skip
    told = evaluate(objective, gates, answers)
    assert told.verdict is Verdict.PASS
    assert told.comparison.said == "better"
    without = evaluate(objective, gates, Answers(gain, gain))
    assert without.verdict is Verdict.MISSING
    assert "needs the query" in without.gates[0].reason
    terms = TermsSettings(series="s", horizon="h", season=7)
    objective = ObjectiveSettings("?", Task.FORECASTING, MetricName.MASE, "m", "y", terms=terms)
    assert columns_needed(objective, {}, {"profit": PROFIT}) == (("h",), ("cost", "h", "s"))
    y = np.tile(np.sin(np.arange(70)), 4) + random.normal(size=280)
    near, far = y + 0.1 * random.normal(size=280), y + random.normal(size=280)
    columns = {"s": ["a", "b", "c", "d"] * 70}
    answers = Answers(y, near, far, slices={"h": (np.arange(280) % 2).tolist()}, columns=columns)
    gates = {"beats-naive": GateSettings(Check.METRIC, bound=1.0),
             "straight": GateSettings(Check.METRIC, metric=MetricName.BIAS, bound=0.2),
             "bent": GateSettings(Check.METRIC, metric=MetricName.BIAS, bound=1e-9)}  # fmt: skip
    told = evaluate(objective, gates, answers)
    assert [gate.verdict for gate in told.gates] == [Verdict.PASS, Verdict.PASS, Verdict.MISSING]
    assert {one.column for one in told.slices} == {"h"}
    assert told.comparison.said == "better"


def test_own_metrics_stand_beside_the_headline_and_can_be_gates():
    y, score = cases(0, 1000)
    columns = {"cost": np.random.default_rng(0).random(1000).tolist()}
    answers = Answers(y, score, 1 - score, baseline_value=0.5, columns=columns, slices={"g": ["a", "b"] * 500})
    objective = ObjectiveSettings("?", Task.BINARY, MetricName.AUC, "m", "y")
    gates = {"pays": GateSettings(Check.METRIC, own="profit", bound=2.0),
             "pays-more": GateSettings(Check.CHAMPION, own="profit"),
             "everywhere": GateSettings(Check.SLICE, own="profit", bound=1.0, by="g")}  # fmt: skip
    total = OwnMetricSettings("sum(10 * label * decision - 3 * decision * cost)", "All.", Direction.HIGHER)
    told = evaluate(objective, gates, answers, {"profit": PROFIT, "total": total})
    decision, cost = score >= 0.5, np.array(columns["cost"])
    values = 10 * y * decision - 3 * decision * cost
    assert [one.score.value for one in told.own] == pytest.approx([values.mean(), values.sum()])
    assert told.own[0].score.low == pytest.approx(values.mean() - 1.96 * values.std() / math.sqrt(1000), abs=1e-3)
    assert told.own[1].score.low == pytest.approx(1000 * told.own[0].score.low)
    assert told.own[0].comparison.said == "better"
    assert told.verdict is Verdict.PASS
    lost = evaluate(objective, {}, Answers(y, score), {"profit": PROFIT}).own[0]
    assert lost.score.value is None
    assert "'cost'" in lost.note
    with pytest.raises(InvalidInput, match=r"\[metrics.profit\]|not there"):
        judge_gate("pays", gates["pays"], "auc", answers, Terms())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * label", [1, 3]),
        ("-label * 2", [0, -2]),
        ("(1 + 2) * label / 4", [0, 0.75]),
        ("where(label == 1 and score > .5, 7, -score)", [-0.25, 7]),
        ("not label", [1, 0]),
        ("min(score, 0.5) + max(label, 0.5) + abs(0 - 1)", [1.75, 2.5]),
        ("clip(score * 4, 0, 2) - 1e0", [0, 1]),
        ("label < 1 or score >= 0.75", [1, 1]),
        ("2 - 1 - label", [1, 0]),
        ("label != 0 == 1", [0, 1]),
    ],
)
def test_formulas_mean_what_they_say(text, expected):
    known = {"label": np.array([0.0, 1.0]), "score": np.array([0.25, 0.75])}
    assert read(text).columns(known, 2)[:, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"), ("label +", "ends too early"), ("label label", "character 7"), ("(label", "missing"),
        ("open('x')", "character 6"), ("__import__(label)", "no function"), ("label.x", "has no meaning"),
        ("sum(label) + score", "single row"), ("sum(mean(label))", "each other"), ("min(1)", "takes 2"),
        ("(" * 100 + "1" + ")" * 100, "deeper"), ("1" * 3000, "3000 characters"), ("a ** 2", "character 4"),
        ("lambda: 1", "has no meaning"), ("label[0]", "has no meaning"), ("and", "goes on"), ("- " * 500, "deeper"),
    ],
)  # fmt: skip
def test_formulas_that_are_none_are_told_with_their_place(text, said):
    with pytest.raises(InvalidInput, match=said):
        read(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    try:
        formula = read(text)
    except InvalidInput:
        return
    assert formula.columns({name: np.ones(3) for name in formula.names}, 3).shape[0] == 3
