from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.evaluate.compare import compare
from modelloop.evaluate.metrics import METRICS, OF_TASK, compute, headlines_of, metrics_of
from modelloop.evaluate.records import Direction
from modelloop.evaluate.settings import MetricName, Task
from modelloop.evaluate.slices import by_group
from modelloop.ground.core.errors import EvidenceMissing, InvalidInput

ORACLES = {
    "auc": sklearn.metrics.roc_auc_score,
    "log_loss": sklearn.metrics.log_loss,
    "brier": sklearn.metrics.brier_score_loss,
    "mae": sklearn.metrics.mean_absolute_error,
    "rmse": sklearn.metrics.root_mean_squared_error,
    "r2": sklearn.metrics.r2_score,
}
BINARY = ("auc", "log_loss", "brier")


def _rows(metric, seed, rows=300, noise=0.6):
    random = np.random.default_rng(seed)
    y = random.normal(size=rows)
    score = y + noise * random.normal(size=rows)
    return ((y > 0) * 1.0, 1 / (1 + np.exp(-2 * score))) if metric in BINARY else (50 + 10 * y, 50 + 10 * score)


def test_every_metric_of_the_project_file_has_a_meaning_and_a_direction():
    assert set(METRICS) == {str(name) for name in MetricName}
    for metric in METRICS.values():
        assert metric.meaning.endswith(".")
    rising = {name for name, metric in METRICS.items() if metric.direction is Direction.HIGHER}
    falling = {"log_loss", "brier", "ece", "mase", "bias", *OF_TASK[Task.REGRESSION]} - {"r2"}
    assert rising == set(METRICS) - falling
    assert METRICS["bias"].direction is Direction.ZERO
    assert {*metrics_of(Task.REGRESSION)} - {*headlines_of(Task.REGRESSION)} == {"bias", "max_error"}


@pytest.mark.parametrize("metric", ORACLES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_values_are_those_of_scikit_learn_and_lie_in_their_interval(metric, seed):
    y, score = _rows(metric, seed)
    found = compute(metric, y, score)
    assert found.value == pytest.approx(ORACLES[metric](y, score))
    assert found.low < found.value < found.high
    wider = compute(metric, y, score, 0.99)
    assert wider.low < found.low
    assert wider.high > found.high


@pytest.mark.parametrize("metric", ORACLES)
def test_intervals_cover_the_truth(metric):
    truth = ORACLES[metric](*_rows(metric, 99, rows=200_000))
    hits = 0
    for seed in range(200):
        found = compute(metric, *_rows(metric, seed), 0.9)
        hits += found.low <= truth <= found.high
    assert abs(hits / 200 - 0.9) < 3.5 * math.sqrt(0.09 / 200)


@pytest.mark.parametrize("metric", ORACLES)
def test_a_comparison_is_signed_and_antisymmetric(metric):
    y, good = _rows(metric, 1)
    bad = _rows(metric, 1, noise=1.5)[1]
    one, other = compare(metric, y, good, bad), compare(metric, y, bad, good)
    assert one.difference == pytest.approx(one.challenger - one.champion)
    assert (one.low, one.high) == (pytest.approx(-other.high), pytest.approx(-other.low))
    better = one.low > 0 if METRICS[metric].direction is Direction.HIGHER else one.high < 0
    assert better
    assert one.challenger == pytest.approx(ORACLES[metric](y, good))


@pytest.mark.parametrize("metric", ORACLES)
def test_a_paired_interval_covers_no_difference(metric):
    hits = 0
    for seed in range(120):
        y, score = _rows(metric, seed)
        noise = np.random.default_rng(seed + 10_000)
        scale = 0.05 if metric in BINARY else 2.0
        first, second = (np.clip(score + scale * noise.normal(size=len(y)), 1e-3, None) for _ in range(2))
        if metric in BINARY:
            first, second = np.minimum(first, 0.999), np.minimum(second, 0.999)
        found = compare(metric, y, first, second, 0.9)
        hits += found.low <= 0 <= found.high
    assert abs(hits / 120 - 0.9) < 3.5 * math.sqrt(0.09 / 120)


def test_rows_that_cannot_tell_are_missing_evidence():
    one, score = np.ones(5), np.linspace(0, 1, 5)
    for metric, y, answers in (("auc", one, score), ("r2", one, score), ("mae", np.empty(0), np.empty(0))):
        with pytest.raises(EvidenceMissing):
            compute(metric, y, answers)
    with pytest.raises(EvidenceMissing, match="single row"):
        compare("mae", one[:1], one[:1], one[:1])
    single = compute("mae", one[:1], score[:1])
    assert (single.value, single.low, single.high) == (1.0, None, None)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(InvalidInput, match="1 of 2 rows"):
        compute("mae", np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    with pytest.raises(InvalidInput, match="One of each"):
        compute("mae", np.ones(2), np.ones(3))
    with pytest.raises(InvalidInput, match="no metric 'f3'"):
        compute("f3", np.ones(2), np.ones(2))


def test_one_sure_mistake_is_not_infinitely_bad():
    assert compute("log_loss", np.array([1.0, 0.0]), np.array([0.0, 0.0])).value == pytest.approx(8.06, abs=0.01)


def test_slices_come_worst_first_and_those_that_cannot_tell_last():
    random = np.random.default_rng(0)
    groups = ["a"] * 300 + ["b"] * 300 + [None] * 300 + ["few"] * 10 + ["same"] * 200
    y = (random.random(len(groups)) < 0.5) * 1.0
    y[-200:] = 1.0
    noise = np.array([{"a": 2.0, "b": 0.4, None: 1.0}.get(group, 1.0) for group in groups])
    found = by_group("auc", y, y + noise * random.normal(size=len(y)), "carrier", groups, min_rows=50)
    assert [one.group for one in found] == ["a", "(missing)", "b", "same", "few"]
    assert [one.score.rows for one in found] == [300, 300, 300, 200, 10]
    assert [one.score.value is None for one in found] == [False, False, False, True, True]
    part = compute("auc", y[:300], (y + noise * 0)[:300])
    assert part.value == 1.0
    worst = by_group("mae", y, y + noise, "carrier", groups, min_rows=50)
    assert (worst[0].group, worst[0].score.value) == ("a", 2.0)


def test_slices_are_the_metric_on_the_rows_of_the_group():
    y, score = _rows("auc", 5)
    groups = np.arange(len(y)) % 3
    found = {one.group: one.score for one in by_group("auc", y, score, "third", groups.tolist(), min_rows=10)}
    for group in range(3):
        assert found[str(group)] == compute("auc", y[groups == group], score[groups == group])
    with pytest.raises(InvalidInput, match="2 rows"):
        by_group("auc", y, score, "third", [1, 2])
