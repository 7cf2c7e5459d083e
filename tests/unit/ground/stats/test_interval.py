from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from modelloop.ground.stats.interval import (
    bootstrap_interval,
    logit_interval,
    mean_interval,
    resampled_means,
    root_mean_interval,
    z_value,
)


def test_mean_interval_is_the_normal_one():
    x = np.random.default_rng(0).exponential(size=200)
    expected = scipy.stats.norm.interval(0.9, x.mean(), scipy.stats.sem(x))
    np.testing.assert_allclose(mean_interval(x, 0.9), expected)
    assert z_value(0.95) == pytest.approx(1.959964, abs=1e-6)


def test_one_row_tells_nothing():
    assert mean_interval(np.array([3.0])) == (-math.inf, math.inf)
    assert root_mean_interval(np.array([4.0])) == (0.0, math.inf)
    assert root_mean_interval(np.zeros(5)) == (0.0, 0.0)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_root_mean_interval_covers_the_true_root(confidence):
    random, hits = np.random.default_rng(1), 0
    for _ in range(500):
        low, high = root_mean_interval(np.square(random.normal(scale=3, size=300)), confidence)
        hits += low <= 3 <= high
    error = math.sqrt(confidence * (1 - confidence) / 500)
    assert abs(hits / 500 - confidence) < 3.5 * error


def test_bootstrap_of_a_mean_agrees_with_the_normal_interval_and_repeats_with_its_seed():
    x = np.random.default_rng(2).normal(size=(400, 1))
    found = bootstrap_interval(x, lambda means: means[:, 0], seed=3, repeats=2000)
    np.testing.assert_allclose(found, mean_interval(x[:, 0]), atol=0.015)
    assert found == bootstrap_interval(x, lambda means: means[:, 0], seed=3, repeats=2000)
    assert found != bootstrap_interval(x, lambda means: means[:, 0], seed=4, repeats=2000)


def test_resampled_means_keep_rows_together():
    x = np.arange(50.0)
    means = resampled_means(np.column_stack([x, 2 * x + 1]), seed=0, repeats=20)
    np.testing.assert_allclose(means[:, 1], 2 * means[:, 0] + 1)


def test_logit_interval_stays_inside():
    low, high = logit_interval(0.99, 0.02**2)
    assert 0 < low < 0.99 < high < 1
    assert logit_interval(0.5, 0.0) == (0.5, 0.5)
