from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.evaluate.judge import Answers, evaluate, judge_gate
from modelloop.evaluate.settings import Check, GateSettings, MetricName, ObjectiveSettings, Task
from modelloop.ground.core.records import Verdict

OBJECTIVE = ObjectiveSettings(
    "Late?", Task.BINARY, MetricName.AUC, "how well late flights are told", "late", ("carrier",)
)


@dataclass
class Replay:
    rows: int = 500
    largest: float = 1e-7
    tolerance: float = 1e-4
    beyond: int = 0


def _answers(rows=2000, noise=1.0, seed=0, **more):
    random = np.random.default_rng(seed)
    y = (random.random(rows) < 0.4) * 1.0
    score = 1 / (1 + np.exp(-(2 * y - 1) - noise * random.normal(size=rows)))
    carriers = random.choice(["UA", "AA", "DL"], rows).tolist()
    return Answers(y, score, baseline_value=0.4, slices={"carrier": carriers}, parity=Replay(), **more)


def _ask(gate, answers):
    return judge_gate("it", gate, "auc", answers)


def _metric(bound, **more):
    return GateSettings(Check.METRIC, bound=bound, **more)


def test_a_metric_gate_asks_the_interval():
    answers = _answers()
    told = _ask(_metric(0.5), answers)
    assert told.verdict is Verdict.PASS
    assert told.low < told.value < told.high
    assert _ask(_metric(told.low), answers).verdict is Verdict.PASS
    assert _ask(_metric(told.value), answers).verdict is Verdict.MISSING
    assert _ask(_metric(told.high + 1e-9), answers).verdict is Verdict.FAIL
    assert "not yet shown" in _ask(_metric(told.value), answers).reason
    lower = GateSettings(Check.METRIC, metric=MetricName.BRIER, bound=0.5)
    assert _ask(lower, answers).verdict is Verdict.PASS
    assert _ask(replace(lower, bound=0.01), answers).verdict is Verdict.FAIL


@given(st.floats(0, 1), st.floats(0.5, 0.99))
def test_a_metric_gate_never_turns_from_pass_to_fail_with_confidence(bound, confidence):
    answers = _answers(300)
    verdicts = [_ask(_metric(bound, confidence=level), answers).verdict for level in (confidence, 0.995)]
    assert verdicts[0] == verdicts[1] or verdicts[1] is Verdict.MISSING


def test_few_rows_are_missing_evidence_however_good():
    answers = _answers(199, noise=0.01)
    for gate in (_metric(0.5), GateSettings(Check.BASELINE), GateSettings(Check.SLICE, bound=0.5, by="carrier")):
        told = _ask(gate, answers)
        assert told.verdict is Verdict.MISSING
        assert "200" in told.reason


def test_one_class_is_missing_evidence():
    answers = Answers(np.ones(500), np.linspace(0, 1, 500), baseline_value=1.0)
    assert _ask(_metric(0.5), answers).verdict is Verdict.MISSING
    assert _ask(GateSettings(Check.BASELINE), answers).verdict is Verdict.MISSING
    told = evaluate(OBJECTIVE, {"m": _metric(0.5)}, answers)
    assert told.headline.value is None
    assert told.verdict is Verdict.MISSING


def test_a_gate_without_its_bound_or_column_is_missing_evidence():
    assert "no bound" in _ask(GateSettings(Check.METRIC), _answers()).reason
    told = _ask(GateSettings(Check.SLICE, bound=0.5, by="origin"), _answers())
    assert told.verdict is Verdict.MISSING
    assert "origin" in told.reason


def test_the_champion_gate():
    gate = GateSettings(Check.CHAMPION, margin=0.01)
    mine = _answers()
    worse, better = _answers(noise=2.0).score, np.clip(_answers(noise=0.5).score, 0, 1)
    assert _ask(gate, replace(mine, champion_score=worse)).verdict is Verdict.PASS
    assert _ask(gate, replace(mine, champion_score=better)).verdict is Verdict.FAIL
    assert _ask(gate, replace(mine, champion_score=mine.score)).verdict is Verdict.PASS
    nothing = _ask(gate, mine)
    assert nothing.verdict is Verdict.PASS
    assert nothing.reason == "there is no champion to compare with"
    overlap = _ask(gate, replace(mine, champion_score=worse, overlap=True))
    assert overlap.verdict is Verdict.MISSING
    assert "learned from" in overlap.reason
    same_skill = _answers(rows=400).score + np.random.default_rng(5).normal(scale=0.3, size=400)
    assert _ask(gate, replace(_answers(rows=400), champion_score=same_skill[::-1])).verdict is Verdict.PASS


def test_the_champion_gate_allows_the_margin_and_no_more():
    mine = _answers()
    champion = mine.score + 0.03 * (mine.y - 0.5)  # a little better on every row: certain, and small
    loss = -_ask(GateSettings(Check.CHAMPION), replace(mine, champion_score=champion)).value
    assert 0 < loss < 0.05
    low = _ask(GateSettings(Check.CHAMPION), replace(mine, champion_score=champion)).low
    told = {
        margin: _ask(GateSettings(Check.CHAMPION, margin=margin), replace(mine, champion_score=champion)).verdict
        for margin in (0.0, loss, -low + 1e-9)
    }
    assert list(told.values()) == [Verdict.FAIL, Verdict.FAIL, Verdict.PASS]


def test_an_unclear_difference_is_missing_evidence():
    mine = _answers(rows=300)
    other = _answers(rows=300, seed=0).score + np.random.default_rng(3).normal(scale=0.05, size=300)
    told = _ask(GateSettings(Check.CHAMPION), replace(mine, champion_score=other))
    assert told.low < 0 < told.high
    assert told.verdict is Verdict.MISSING


def test_the_baseline_gate():
    assert _ask(GateSettings(Check.BASELINE), _answers()).verdict is Verdict.PASS
    backwards = _answers()
    assert _ask(GateSettings(Check.BASELINE), replace(backwards, score=1 - backwards.score)).verdict is Verdict.FAIL
    assert _ask(GateSettings(Check.BASELINE), replace(_answers(), baseline_value=None)).verdict is Verdict.MISSING
    by_brier = GateSettings(Check.BASELINE, metric=MetricName.BRIER)
    assert _ask(by_brier, _answers()).verdict is Verdict.PASS


def test_the_slice_gate_finds_the_group_the_model_fails():
    gate = GateSettings(Check.SLICE, bound=0.6, by="carrier")
    answers = _answers()
    assert _ask(gate, answers).verdict is Verdict.PASS
    carriers = np.array(answers.slices["carrier"])
    score = np.where(carriers == "DL", np.random.default_rng(1).random(len(carriers)), answers.score)
    told = _ask(gate, replace(answers, score=score))
    assert told.verdict is Verdict.FAIL
    assert "DL" in told.reason
    plain = _ask(_metric(0.6), replace(answers, score=score))
    assert plain.verdict is Verdict.PASS  # the average hides it


def test_many_good_groups_do_not_fail_by_chance():
    # 40 groups that all have the bound as their true AUC: uncorrected, one of them nearly always fails
    failed = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        groups = np.repeat(np.arange(40), 100).tolist()
        y = (random.random(4000) < 0.5) * 1.0
        answers = Answers(y, random.random(4000), slices={"g": groups})
        failed += _ask(GateSettings(Check.SLICE, bound=0.5, by="g", min_rows=50), answers).verdict is Verdict.FAIL
    assert failed <= 6  # 5 % of 40, and about 3 standard errors


def test_the_parity_gate():
    gate = GateSettings(Check.PARITY, tolerance=1e-4)
    for parity, verdict in (
        (Replay(largest=1e-4), Verdict.PASS),
        (Replay(largest=2e-4, beyond=1), Verdict.FAIL),
        (Replay(largest=0.0, beyond=1), Verdict.FAIL),  # an answer that is no number
        (Replay(largest=2e-4, tolerance=1e-3), Verdict.FAIL),
        (Replay(largest=float("nan")), Verdict.FAIL),
        (Replay(largest=5e-5, beyond=3, tolerance=1e-6), Verdict.MISSING),
    ):
        assert _ask(gate, replace(_answers(), parity=parity)).verdict is verdict
    for parity in (None, Replay(rows=0)):
        assert _ask(gate, replace(_answers(), parity=parity)).verdict is Verdict.MISSING


def test_an_evaluation_holds_everything_and_is_plain_json():
    answers = _answers(champion_score=_answers(noise=2.0).score)
    gates = {"good": _metric(0.6), "champion": GateSettings(Check.CHAMPION), "parity": GateSettings(Check.PARITY)}
    told = evaluate(OBJECTIVE, gates, answers)
    assert told.verdict is Verdict.PASS
    assert told.headline.metric == "auc"
    assert [score.metric for score in told.scores] == ["auc", "log_loss", "brier"]
    assert told.baseline.value == 0.5
    assert told.comparison.method == "DeLong"
    assert [one.column for one in told.slices] == ["carrier"] * 3
    assert [gate.gate for gate in told.gates] == list(gates)
    json.dumps(asdict(told), allow_nan=False)
    assert evaluate(OBJECTIVE, {}, answers).verdict is Verdict.MISSING
    assert evaluate(OBJECTIVE, gates, replace(answers, overlap=True)).comparison is None


def test_a_regression_is_judged_with_its_own_metrics():
    random = np.random.default_rng(0)
    y = random.normal(100, 20, 1000)
    objective = replace(OBJECTIVE, task=Task.REGRESSION, metric=MetricName.RMSE, slices=())
    answers = Answers(
        y, y + random.normal(0, 5, 1000), champion_score=y + random.normal(0, 9, 1000), baseline_value=100.0
    )
    gates = {"champion": GateSettings(Check.CHAMPION), "mean": GateSettings(Check.BASELINE), "rmse": _metric(5.5)}
    told = evaluate(objective, gates, answers)
    assert [score.metric for score in told.scores] == ["mae", "rmse", "r2"]
    assert told.verdict is Verdict.PASS
    assert told.comparison.method == "paired bootstrap"
    assert told.headline.value == pytest.approx(5, rel=0.1)


def test_a_slice_that_a_gate_watches_is_shown_from_the_rows_the_gate_asks_for():
    gates = {"carriers": GateSettings(Check.SLICE, bound=0.5, by="carrier", min_rows=10_000)}
    assert all(one.score.value is None for one in evaluate(OBJECTIVE, gates, _answers()).slices)
