from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.stats.two_sample import auc, auc_difference, auc_interval, delong, mean_difference, mid_ranks

CASES = st.integers(0, 10_000).map(lambda seed: _case(np.random.default_rng(seed)))


def _case(random):
    rows = int(random.integers(6, 60))
    positive = random.random(rows) < 0.4
    positive[:4] = [True, False, True, False]
    first = random.integers(0, 8, rows) + 1.5 * positive  # few values: many ties
    second = random.normal(size=rows) + positive
    return positive, first.astype(float), second


def _by_pairs(positive, scores):
    """DeLong 1988 as written: every pair of a positive and a negative."""
    kernels = [np.sign(score[positive][:, None] - score[~positive][None, :]) / 2 + 0.5 for score in scores]
    v10 = np.array([kernel.mean(axis=1) for kernel in kernels])
    v01 = np.array([kernel.mean(axis=0) for kernel in kernels])
    covariance = np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    return v10.mean(axis=1), covariance


@given(CASES)
def test_delong_equals_the_sum_over_all_pairs(case):
    positive, *scores = case
    values, covariance = _by_pairs(positive, scores)
    found = delong(positive, scores)
    np.testing.assert_allclose(found.values, values, atol=1e-12)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-12)
    assert auc(positive, scores[0]) == pytest.approx(values[0])


@given(CASES)
def test_auc_depends_on_order_alone_and_flips_with_the_sign(case):
    positive, first, second = case
    assert auc(positive, np.exp(second / 3)) == pytest.approx(auc(positive, second))
    assert auc(positive, -first) == pytest.approx(1 - auc(positive, first))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_mid_ranks_are_those_of_scipy(values):
    numbers = np.array(values, dtype=float)
    np.testing.assert_array_equal(mid_ranks(numbers), scipy.stats.rankdata(numbers))


def test_auc_of_one_class_is_not_a_number():
    assert math.isnan(auc(np.ones(3), np.arange(3.0)))


def test_perfect_order_is_not_certainty():
    positive = np.array([True] * 20 + [False] * 30)
    value, (low, high) = auc_interval(positive, positive * 1.0)
    assert (value, high) == (1.0, 1.0)
    assert low == pytest.approx(0.025 ** (1 / 20))
    value, (low, high) = auc_interval(positive, -1.0 * positive)
    assert (value, low) == (0.0, 0.0)
    assert high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_interval_covers_the_true_auc():
    # Normal scores one standard deviation apart: the AUC is Phi(1 / sqrt 2). 600 trials: 95 % +- 3.5 standard errors
    truth, random = scipy.stats.norm.cdf(1 / math.sqrt(2)), np.random.default_rng(7)
    hits = 0
    for _ in range(600):
        positive = np.arange(150) < 50
        _, (low, high) = auc_interval(positive, random.normal(size=150) + positive)
        hits += low <= truth <= high
    assert 0.919 <= hits / 600 <= 0.981


def test_paired_difference_covers_zero_when_models_are_equally_good_and_is_narrower_than_unpaired():
    random, hits = np.random.default_rng(8), 0
    for _ in range(400):
        positive = np.arange(200) < 80
        shared = random.normal(size=200) + positive
        first, second = (shared + 0.5 * random.normal(size=200) for _ in range(2))
        _, (low, high) = auc_difference(positive, first, second)
        hits += low <= 0 <= high
    assert 0.912 <= hits / 400 <= 0.988
    unpaired = math.hypot(*(math.sqrt(delong(positive, [score]).covariance[0, 0]) for score in (first, second)))
    assert (high - low) / 2 < 1.96 * unpaired * 0.8


def test_a_model_does_not_differ_from_itself():
    positive, first, _ = _case(np.random.default_rng(1))
    (ours, theirs), interval = auc_difference(positive, first, first)
    assert ours == theirs
    np.testing.assert_allclose(interval, (0, 0), atol=1e-7)


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_mean_difference_is_the_paired_normal_interval(seed):
    first, second = np.random.default_rng(seed).normal(size=(2, 50))
    (ours, theirs), (low, high) = mean_difference(first, second, 0.9)
    reach = scipy.stats.norm.ppf(0.95) * scipy.stats.sem(first - second)
    assert (ours, theirs) == (pytest.approx(first.mean()), pytest.approx(second.mean()))
    assert (low, high) == (pytest.approx(ours - theirs - reach), pytest.approx(ours - theirs + reach))
