"""Exact shares, influences and the bootstrap against SciPy, statsmodels' formulas and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from modelloop.ground.stats.beta import beta_lower, beta_quantile
from modelloop.ground.stats.binomial import binomial_tail, clopper_pearson, mcnemar, paired_share_interval, wilson
from modelloop.ground.stats.influence import auc_influence, gradient, of_means, standard_error
from modelloop.ground.stats.monotone import expit, isotonic, logistic, logit
from modelloop.ground.stats.resampling import bca, block_length, block_means, bootstrap_means, percentile, totals
from modelloop.ground.stats.stepping import holm
from modelloop.ground.stats.student import t_value
from modelloop.ground.stats.two_sample import delong


@given(st.floats(0.5, 1e4), st.floats(0.5, 1e4), st.floats(0, 1))
def test_beta_is_scipys(a, b, x):
    assert beta_lower(a, b, x) == pytest.approx(float(scipy.special.betainc(a, b, x)), abs=1e-9)


@given(st.integers(0, 400), st.integers(1, 400), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_exact_and_wilson_intervals_are_scipys(hits, trials, confidence):
    hits = min(hits, trials)
    exact = scipy.stats.binomtest(hits, trials).proportion_ci(confidence, method="exact")
    assert clopper_pearson(hits, trials, confidence) == pytest.approx((exact.low, exact.high), abs=1e-9)
    found = scipy.stats.binomtest(hits, trials).proportion_ci(confidence, method="wilson")
    assert wilson(hits / trials, trials, confidence) == pytest.approx((found.low, found.high), abs=1e-9)


@given(st.integers(0, 1500), st.integers(0, 1500))
def test_mcnemar_is_the_binomial_test(first, second):
    exact, mid = mcnemar(first, second)
    marked = first + second
    expected = scipy.stats.binomtest(min(first, second), marked).pvalue if marked else 1.0
    assert exact == pytest.approx(expected, abs=1e-9)
    at = scipy.stats.binom.pmf(min(first, second), marked, 0.5) if marked else 0.0
    assert mid == pytest.approx(min(1.0, 2 * scipy.stats.binom.cdf(min(first, second), marked, 0.5) - at), abs=1e-9)


def test_students_reach_and_tails():
    for freedom in (1, 3, 10, 200, 1e7):
        assert t_value(0.95, freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=1e-6)
    assert beta_quantile(0.3, 2, 5) == pytest.approx(scipy.stats.beta.ppf(0.3, 2, 5))
    assert binomial_tail(3, 10) == pytest.approx(scipy.stats.binom.cdf(3, 10, 0.5))
    assert (binomial_tail(-1, 5), binomial_tail(5, 5)) == (0.0, 1.0)


def test_paired_shares_cover_also_where_hardly_a_row_differs():
    random, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        cells = random.multinomial(100, [0.03, 0.02, 0.95])
        low, high = paired_share_interval(int(cells[0]), int(cells[1]), 100, 0.95)
        hits += low <= 0.01 <= high
    assert hits / 1000 > 0.93


def test_holm_is_the_textbooks():
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_influences_give_delongs_standard_error_and_the_sandwich():
    random = np.random.default_rng(1)
    y, score = random.random(300) < 0.3, random.integers(0, 9, 300) * 1.0
    value, influence = auc_influence(y, score)
    found = delong(y, [score])
    assert value == pytest.approx(found.values[0])
    assert standard_error(influence) == pytest.approx(math.sqrt(found.covariance[0, 0]), rel=0.01)
    x = random.normal(size=(300, 2))
    value, influence = of_means(x, lambda means: means[:, 0] * means[:, 1])
    slopes = gradient(lambda means: means[:, 0] * means[:, 1], x.mean(axis=0)[None])[0]
    assert slopes == pytest.approx(x.mean(axis=0)[::-1], abs=1e-6)
    spread = slopes @ np.cov(x.T) @ slopes / 300
    assert standard_error(influence) == pytest.approx(math.sqrt(spread))
    each = np.arange(300)
    assert standard_error(influence, each) == pytest.approx(standard_error(influence))
    assert math.isinf(standard_error(influence, np.zeros(300, dtype=np.int64)))


def test_bca_covers_a_skewed_ratio_better_than_it_should_by_chance():
    random, hits, plain = np.random.default_rng(2), 0, 0
    for seed in range(200):
        x = random.lognormal(sigma=1.0, size=(40, 2))
        units = totals(x)

        def ratio(means):
            return means[:, 0] / means[:, 1]

        low, high = bca(units, ratio, seed=seed, confidence=0.9, repeats=500)
        hits += low <= 1 <= high
        low, high = percentile(ratio(bootstrap_means(units, seed=seed, repeats=500)), 0.9)
        plain += low <= 1 <= high
    assert hits / 200 > 0.82
    assert plain / 200 > 0.8


def test_bca_is_scipys():
    x = np.random.default_rng(3).exponential(size=60)
    found = bca(totals(x[:, None]), lambda means: means[:, 0], seed=0, confidence=0.9, repeats=20_000)
    expected = scipy.stats.bootstrap((x,), np.mean, confidence_level=0.9, n_resamples=20_000, rng=0).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=0.02)


def test_clusters_are_drawn_whole():
    values = np.repeat([[0.0], [1.0]], 50, axis=0)
    means = bootstrap_means(totals(values, clusters=np.repeat([0, 1], 50)), seed=0, repeats=50)
    assert set(means[:, 0].tolist()) == {0.0, 0.5, 1.0}
    weighted = bootstrap_means(totals(values, np.repeat([3.0, 1.0], 50)), seed=0, repeats=300)
    assert weighted.mean() == pytest.approx(0.25, abs=0.02)


def test_blocks_keep_neighbours_together():
    random, blocks, rows = np.random.default_rng(4), 0, 0
    for seed in range(100):
        noise = random.normal(size=500)
        for at in range(1, 500):
            noise[at] += 0.6 * noise[at - 1]
        length = block_length(noise[100:])
        low, high = percentile(block_means(noise[100:, None], length=length, seed=seed, repeats=300)[:, 0], 0.9)
        blocks += low <= 0 <= high
        low, high = percentile(block_means(noise[100:, None], length=1, seed=seed, repeats=300)[:, 0], 0.9)
        rows += low <= 0 <= high
    assert blocks >= 78
    assert rows < 72
    assert length > 3
    assert block_length(random.normal(size=400)) <= 5
    assert block_length(np.ones(100)) == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60))
def test_rising_steps_are_those_of_scikit_learn(seed, rows):
    random = np.random.default_rng(seed)
    x, y, w = random.integers(0, 15, rows) * 1.0, random.integers(0, 2, rows) * 1.0, random.integers(1, 4, rows) * 1.0
    at, to = isotonic(x, y, w)
    fitted = IsotonicRegression().fit(x, y, sample_weight=w)
    np.testing.assert_allclose(to, fitted.predict(at), atol=1e-9)


def test_the_logistic_curve_is_the_most_likely_one():
    random = np.random.default_rng(5)
    x = random.normal(size=5000)
    y = (random.random(5000) < expit(0.5 + 2 * x)) * 1.0
    found, covariance = logistic(x, y)
    assert found == pytest.approx([0.5, 2.0], abs=0.2)
    chance = expit(found[0] + found[1] * x)
    np.testing.assert_allclose([(y - chance).sum(), ((y - chance) * x).sum()], 0, atol=1e-5)
    assert (np.diag(covariance) > 0).all()
    level, _ = logistic(x, y, offset=2 * x, slope=False)
    assert level[0] == pytest.approx(0.5, abs=0.15)
    assert np.isnan(logistic(np.array([-1.0, 1.0]), np.array([0.0, 1.0]))[0]).all()  # parted completely
    np.testing.assert_allclose(expit(logit(np.array([0.2, 0.9]))), [0.2, 0.9])
