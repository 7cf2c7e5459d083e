"""All metrics of a task against scikit-learn, and what no choice of rows may change."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.evaluate.measure import estimate, rows_of
from modelloop.evaluate.measures.forecasting import blocks, seasonal_scale
from modelloop.evaluate.metrics import OF_TASK, compute, measure_of
from modelloop.evaluate.records import Direction
from modelloop.evaluate.scoring import resampled, score
from modelloop.evaluate.settings import Task, TermsSettings
from modelloop.ground.core.errors import EvidenceMissing, InvalidInput

BETA = TermsSettings(beta=2.0, quantile=0.8, threshold=0.4)
BINARY = {  # by decision, then by score
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "specificity": partial(sk.recall_score, pos_label=0),
    "npv": partial(sk.precision_score, pos_label=0),
    "f1": sk.f1_score,
    "f_beta": partial(sk.fbeta_score, beta=2.0),
    "mcc": sk.matthews_corrcoef,
    "auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "brier": sk.brier_score_loss,
}
OF_SCORES = {"auc", "average_precision", "log_loss", "brier"}
REGRESSION = {
    "mae": sk.mean_absolute_error,
    "rmse": sk.root_mean_squared_error,
    "r2": sk.r2_score,
    "mape": sk.mean_absolute_percentage_error,
    "median_ae": sk.median_absolute_error,
    "max_error": lambda y, s, sample_weight: abs(s - y).max() if sample_weight is not None else sk.max_error(y, s),
    "pinball": partial(sk.mean_pinball_loss, alpha=0.8),
    "poisson_deviance": sk.mean_poisson_deviance,
    "gamma_deviance": sk.mean_gamma_deviance,
    "rmsle": sk.root_mean_squared_log_error,
    "bias": lambda y, s, sample_weight: np.average(s - y, weights=sample_weight),
    "wape": lambda y, s, sample_weight: (
        np.average(abs(s - y), weights=sample_weight) / np.average(abs(y), weights=sample_weight)
    ),
    "smape": lambda y, s, sample_weight: np.average(2 * abs(s - y) / (abs(y) + abs(s)), weights=sample_weight),
}


def binary_rows(seed, rows=200, ties=False):
    random = np.random.default_rng(seed)
    score = np.clip(random.random(rows), 0.01, 0.99)
    score = np.round(score, 1) * 0.9 + 0.05 if ties else score
    y = (random.random(rows) < score) * 1.0
    y[:2] = 0.0, 1.0
    return y, score, random.integers(1, 5, rows) * 1.0


def amounts(seed, rows=150):
    random = np.random.default_rng(seed)
    y = random.gamma(3, 10, rows) + 0.1
    return y, y * np.exp(0.3 * random.normal(size=rows)), random.integers(1, 5, rows) * 1.0


def value(name, y, score, **more):
    rows = rows_of(y, score, **more)
    return estimate(measure_of(name), rows)[0]


@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.booleans(), weighted=st.booleans())
def test_binary_metrics_are_those_of_scikit_learn(name, seed, ties, weighted):
    y, score, weights = binary_rows(seed, ties=ties)
    w = weights if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = BINARY[name](y, score if name in OF_SCORES else (score >= 0.4) * 1.0, sample_weight=w)
    assert value(name, y, score, terms=BETA, weights=w) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", REGRESSION)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), weighted=st.booleans())
def test_regression_metrics_are_those_of_scikit_learn(name, seed, weighted):
    y, score, weights = amounts(seed)
    w = weights if weighted else None
    if name == "median_ae" and weighted:  # scikit-learn averages no ties of the half; repeated rows say what is right
        expected = np.median(np.repeat(abs(score - y), weights.astype(int)))
    else:
        expected = REGRESSION[name](y, score, sample_weight=w)
    assert value(name, y, score, terms=BETA, weights=w) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_every_metric_of_the_task_is_checked_against_another_implementation():
    assert {*OF_TASK[Task.BINARY]} == {*BINARY, "ece"}
    assert {*OF_TASK[Task.REGRESSION]} == {*REGRESSION}


@pytest.mark.parametrize("name", [*OF_TASK[Task.BINARY]])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_and_repeated_rows_change_nothing(name, seed):
    y, score, weights = binary_rows(seed, ties=True)
    moved = np.random.default_rng(seed).permutation(len(y))
    found = value(name, y, score)
    assert value(name, y[moved], score[moved]) == pytest.approx(found, abs=1e-12)
    times = weights.astype(int)
    repeated = value(name, np.repeat(y, times), np.repeat(score, times))
    if name != "ece":  # its groups are made of rows
        assert value(name, y, score, weights=weights) == pytest.approx(repeated, abs=1e-12)
    assert value(name, y, score, weights=np.full(len(y), 3.0)) == pytest.approx(found, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50), scale=st.floats(0.1, 10))
def test_a_shift_of_both_changes_no_distance_and_a_scale_scales_it(seed, shift, scale):
    y, score, _ = amounts(seed)
    for name in ("mae", "rmse", "median_ae", "max_error", "bias", "pinball", "r2"):
        found = value(name, y, score)
        assert value(name, y + shift, score + shift) == pytest.approx(found, rel=1e-6, abs=1e-8)
        assert value(name, scale * y, scale * score) == pytest.approx(
            found if name == "r2" else scale * found, rel=1e-8
        )


@pytest.mark.parametrize("name", [name for name in OF_TASK[Task.BINARY] if name != "ece"])
def test_weighted_and_plain_influences_give_the_same_standard_error(name):
    y, score, _ = binary_rows(3, 400)
    one = estimate(measure_of(name), rows_of(y, score))
    other = estimate(measure_of(name), rows_of(y, score, weights=np.full(400, 2.0)))
    np.testing.assert_allclose(one[1], other[1], atol=1e-9)
    assert float(one[1].mean()) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("name", ["auc", "average_precision", "f1", "mcc", "balanced_accuracy", "log_loss"])
def test_influences_are_what_leaving_a_row_out_changes(name):
    y, score, _ = binary_rows(5, 300)
    found, influence = estimate(measure_of(name), rows_of(y, score))
    for row in (0, 1, 17, 200):
        keep = np.arange(300) != row
        assert 299 * (found - value(name, y[keep], score[keep])) == pytest.approx(influence[row], abs=0.05)


@pytest.mark.parametrize(
    "name", ["accuracy", "precision", "recall", "f1", "mcc", "average_precision", "balanced_accuracy"]
)
def test_intervals_cover_the_truth_also_in_small_samples(name):
    def draw(seed, rows):
        random = np.random.default_rng(seed)
        score = random.random(rows)
        return (random.random(rows) < score**2) * 1.0, score

    truth, hits = value(name, *draw(99_999, 400_000)), 0
    for seed in range(300):
        found = compute(name, *draw(seed, 80), 0.9)
        hits += found.low <= truth <= found.high
    assert abs(hits / 300 - 0.9) < 3.5 * math.sqrt(0.09 / 300)


def test_rows_in_clusters_are_fewer_than_they_look():
    def draw(seed, truth=False):
        random = np.random.default_rng(seed)
        groups = np.repeat(np.arange(20_000 if truth else 60), 10)
        level = random.normal(size=groups[-1] + 1)[groups]
        return groups, level, level + random.normal(size=len(groups)) + 0.8 * random.normal(size=groups[-1] + 1)[groups]

    groups, y, answers = draw(1, truth=True)
    truth, terms = value("mae", y, answers), TermsSettings(together="g")
    hits = plain = drawn = 0
    for seed in range(200):
        groups, y, answers = draw(seed + 2)
        rows = rows_of(y, answers, terms=terms, columns={"g": groups})
        found = score(measure_of("mae"), rows, 0.9)
        hits += found.low <= truth <= found.high
        other = compute("mae", y, answers, 0.9)
        plain += other.low <= truth <= other.high
        if seed < 100:
            again = resampled(measure_of("mae"), rows, 0.9, repeats=200, seed=seed)
            drawn += again.low <= truth <= again.high
    assert abs(hits / 200 - 0.9) < 3.5 * math.sqrt(0.09 / 200)
    assert drawn >= 79  # 90 % less three and a half standard errors
    assert plain < hits - 20
    assert "60 clusters" in found.method


@pytest.mark.parametrize("name", OF_TASK[Task.BINARY])
def test_perfect_answers_leave_room_for_doubt(name):
    y = np.tile([0.0, 1.0], 50)
    found = compute(name, y, np.where(y > 0.5, 0.9, 0.1))
    if measure_of(name).metric.direction is Direction.HIGHER:
        assert found.value == 1.0
        assert 0.8 < found.low < 1.0 <= found.high


def test_ece_knows_what_chance_alone_would_show():
    inside = missed = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        score = random.random(500)
        calm = compute("ece", (random.random(500) < score) * 1.0, score, 0.9)
        assert calm.low <= calm.value <= calm.high
        inside += calm.low == 0.0
        wrong = compute("ece", (random.random(500) < np.clip(score + 0.2, 0, 1)) * 1.0, score, 0.9)
        missed += wrong.low > 0.0
    assert inside >= 85
    assert missed >= 98


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [name for task in OF_TASK for name in OF_TASK[task] if measure_of(name).value])
def test_a_value_that_is_asked_for_alone_is_that_of_the_interval(name, weighted):
    random = np.random.default_rng(5)
    score = np.round(random.random(300), 2)
    weights = random.integers(1, 4, 300) if weighted else None
    rows = rows_of((random.random(300) < score) * 1.0, score, weights=weights)
    measure = measure_of(name)
    assert estimate(measure, rows)[0] == measure.alone(rows, 0.9, 3)[0] > 0


def ranked(seed, queries=30, rows=8, ties=False):
    random = np.random.default_rng(seed)
    query = np.repeat(np.arange(queries), rows)
    gain = random.integers(0, 4, queries * rows) * 1.0
    gain[::rows] = 2.0  # each query has something relevant
    score = random.integers(0, 4, len(gain)) * 1.0 if ties else random.normal(size=len(gain)) + gain
    return query, gain, score


def rank(name, query, gain, score, top=5):
    return value(name, gain, score, terms=TermsSettings(query="q", top=top), columns={"q": query})


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.booleans(), top=st.integers(1, 10))
def test_ndcg_and_map_are_those_of_scikit_learn_ties_included(seed, ties, top):
    query, gain, score = ranked(seed, ties=ties)
    table, scores = gain.reshape(30, 8), score.reshape(30, 8)
    assert rank("ndcg", query, gain, score, top) == pytest.approx(sk.ndcg_score(table, scores, k=top), abs=1e-9)
    expected = sk.label_ranking_average_precision_score((table > 0) * 1, scores)
    assert rank("map", query, gain, score, 8) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), top=st.integers(1, 10))
def test_rankings_are_what_a_loop_over_queries_finds(seed, top):
    query, gain, score = ranked(seed)
    moved = np.random.default_rng(seed).permutation(len(query))
    expected = {"mrr": [], "hit_rate": [], "precision_at": [], "recall_at": []}
    for one in range(30):
        order = gain[query == one][np.argsort(-score[query == one])] > 0
        first = int(np.flatnonzero(order)[0]) + 1
        expected["mrr"].append(1 / first if first <= top else 0.0)
        expected["hit_rate"].append(first <= top)
        expected["precision_at"].append(order[:top].sum() / top)
        expected["recall_at"].append(order[:top].sum() / order.sum())
    for name, values in expected.items():
        assert rank(name, query[moved], gain[moved], score[moved], top) == pytest.approx(np.mean(values), abs=1e-12)


def test_ties_are_no_gift_and_queries_without_anything_relevant_are_left_out():
    query, gain = np.repeat([0, 1], 4), np.array([1.0, 0, 0, 0, 0, 0, 0, 0])
    flat = np.zeros(8)
    assert rank("mrr", query, gain, flat) == 0.25
    assert rank("hit_rate", query, gain, flat, top=3) == 0.0
    assert rank("precision_at", query, gain, flat, top=2) == pytest.approx(0.25)
    found = compute("ndcg", gain, flat, terms=TermsSettings(query="q"), columns={"q": query})
    assert found.low is None  # one query is no evidence of anything
    with pytest.raises(EvidenceMissing, match="relevant"):
        compute("ndcg", flat, flat, terms=TermsSettings(query="q"), columns={"q": query})
    with pytest.raises(EvidenceMissing, match="needs the query"):
        compute("ndcg", gain, flat)
    with pytest.raises(InvalidInput, match="0 or more"):
        compute("ndcg", -gain, flat, terms=TermsSettings(query="q"), columns={"q": query})


def test_mase_is_the_error_beside_the_last_season():
    random = np.random.default_rng(0)
    series, history = np.repeat(["a", "b"], 50), {"a": random.normal(size=90), "b": 100 * random.normal(size=90)}
    y, forecast = random.normal(size=100), random.normal(size=100)
    scale = np.array([seasonal_scale(history[one], 7) for one in series])
    terms = TermsSettings(series="s", season=7, scale="scale")
    found = compute("mase", y, forecast, terms=terms, columns={"s": series, "scale": scale})
    lags = {one: np.abs(values[7:] - values[:-7]).mean() for one, values in history.items()}
    assert found.value == pytest.approx(np.mean(np.abs(y - forecast) / [lags[one] for one in series]))
    naive = np.concatenate([[0.0], y[:49], [0.0], y[50:99]])
    own = compute("mase", y, naive, terms=TermsSettings(series="s"), columns={"s": series})
    assert own.value == pytest.approx(1.0, abs=0.15)
    with pytest.raises(EvidenceMissing, match="no change"):
        compute("mase", np.ones(5), np.ones(5))
    with pytest.raises(EvidenceMissing, match="no season"):
        seasonal_scale(np.ones(3), 3)


def test_neighbours_in_time_are_kept_together():
    hits = plain = 0
    random = np.random.default_rng(0)
    for _ in range(150):
        noise = random.normal(size=700)
        for at in range(1, 700):
            noise[at] += 0.7 * noise[at - 1]
        rows = rows_of(np.zeros(600), noise[100:])
        found = score(measure_of("bias"), replace(rows, clusters=blocks(rows)), 0.9)
        hits += found.low <= 0 <= found.high
        other = score(measure_of("bias"), rows, 0.9)
        plain += other.low <= 0 <= other.high
    assert hits / 150 > 0.8
    assert plain / 150 < 0.65


BAD = [
    ("accuracy", [0.0, 2.0], [0.1, 0.9], "neither 0 nor 1"),
    ("auc", ["yes", "no"], [0.1, 0.9], "not all numbers"),
    ("brier", [0.0, 1.0], [0.1, 3.0], "no probabilities"),
    ("mae", [0.0, math.inf], [0.1, 3.0], "finite"),
    ("mae", [[0.0], [1.0]], [0.1, 3.0], "One of each"),
]


@pytest.mark.parametrize(("name", "y", "answers", "said"), BAD)
def test_what_is_no_input_is_told(name, y, answers, said):
    with pytest.raises(InvalidInput) as told:
        compute(name, y, answers)
    assert said in f"{told.value} {told.value.hint}"


@pytest.mark.parametrize(
    ("name", "y", "answers", "said"),
    [
        ("precision", [0.0, 1.0], [0.1, 0.2], "cannot tell precision"),
        ("recall", [0.0, 0.0], [0.1, 0.2], "None of 2 rows"),
        ("mcc", [1.0, 1.0], [0.1, 0.2], "same label"),
        ("mape", [0.0, 1.0], [0.1, 0.2], "truth is 0"),
        ("wape", [0.0, 0.0], [0.1, 0.2], "truth is 0"),
        ("gamma_deviance", [0.0, 1.0], [0.1, 0.2], "above 0"),
        ("rmsle", [0.0, 1.0], [-2.0, 0.2], "above -1"),
    ],
)
def test_what_cannot_be_told_is_missing_evidence(name, y, answers, said):
    with pytest.raises(EvidenceMissing, match=said):
        compute(name, y, answers)


@pytest.mark.parametrize(
    ("weights", "said"),
    [([1.0, -1.0], "negative"), ([0.0, 0.0], "All weights"), ([1.0], "One weight"), ("ab", "numbers")],
)
def test_weights_that_count_nothing_are_refused(weights, said):
    with pytest.raises(InvalidInput) as told:
        rows_of([0.0, 1.0], [0.1, 0.9], weights=weights)
    assert said in f"{told.value} {told.value.hint}"


def test_columns_are_as_long_as_the_labels():
    with pytest.raises(InvalidInput, match="has 1 rows"):
        rows_of([0.0, 1.0], [0.1, 0.9], columns={"a": [1]})
