from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.stats.sequential import mean_sequence, rate_bound, spend

ALPHA = 0.1
STREAMS = {
    "coin": (lambda random, n: (random.random(n) < 0.15) * 1.0, 0.15),
    "narrow": (lambda random, n: 0.5 + 0.02 * random.uniform(-1, 1, n), 0.5),
    "beta": (lambda random, n: random.beta(2, 6, n), 0.25),
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_mean_stays_inside_at_all_lengths_together(name):
    # The intersection over all lengths is what is returned, so the last interval tells of every look.
    # 300 streams: at most ALPHA, and 3 standard errors on top
    draw, mean = STREAMS[name]
    random, missed = np.random.default_rng(11), 0
    for _ in range(300):
        low, high = mean_sequence(draw(random, 400), lower=0.0, upper=1.0, alpha=ALPHA)
        missed += not low <= mean <= high
    assert missed / 300 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 300)


def test_a_fixed_size_interval_looked_at_often_does_not_hold_but_this_does():
    # The test above can fail: the usual interval, intersected over looks, misses far more often than it says
    random, missed = np.random.default_rng(12), 0
    for _ in range(200):
        x = (random.random(400) < 0.15) * 1.0
        n = np.arange(20, 401)
        means = np.cumsum(x)[19:] / n
        reach = 1.645 * np.sqrt(np.maximum(means * (1 - means), 1e-3) / n)
        missed += not (means - reach).max() <= 0.15 <= (means + reach).min()
    assert missed / 200 > 2 * ALPHA


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 200))
def test_more_values_only_tighten_and_scale_does_not_matter(seed, n):
    x = np.random.default_rng(seed).beta(1, 3, n)
    low, high = mean_sequence(x, lower=0.0, upper=1.0, alpha=0.05)
    shorter = mean_sequence(x[: n // 2 + 1], lower=0.0, upper=1.0, alpha=0.05)
    assert shorter[0] - 1e-9 <= low <= high <= shorter[1] + 1e-9
    scaled = mean_sequence(10 * x - 5, lower=-5.0, upper=5.0, alpha=0.05)
    assert scaled == (pytest.approx(10 * low - 5, abs=1e-6), pytest.approx(10 * high - 5, abs=1e-6))
    mirrored = mean_sequence(1 - x, lower=0.0, upper=1.0, alpha=0.05)
    assert mirrored == (pytest.approx(1 - high, abs=1e-9), pytest.approx(1 - low, abs=1e-9))


def test_small_spread_gives_a_small_interval():
    random = np.random.default_rng(3)
    pairs = random.normal(0.01, 0.03, 2000).clip(-1, 1)
    low, high = mean_sequence(pairs, lower=-1.0, upper=1.0, alpha=0.05)
    assert high - low < 0.02
    assert low <= 0.01 <= high


def test_no_values_know_nothing_and_wrong_ranges_are_refused():
    assert mean_sequence(np.empty(0), lower=-1.0, upper=1.0, alpha=0.05) == (-1.0, 1.0)
    with pytest.raises(InvalidInput, match="beyond"):
        mean_sequence(np.array([0.5, 1.2]), lower=0.0, upper=1.0, alpha=0.05)
    with pytest.raises(InvalidInput, match="beyond"):
        mean_sequence(np.array([0.5, np.nan]), lower=0.0, upper=1.0, alpha=0.05)
    with pytest.raises(InvalidInput):
        mean_sequence(np.array([0.5]), lower=1.0, upper=0.0, alpha=0.05)


def test_a_mean_that_moved_gives_the_span_between_contradicting_bounds():
    low, high = mean_sequence(np.repeat([0.1, 0.9], 500), lower=0.0, upper=1.0, alpha=0.05)
    assert 0.1 < low < high < 0.9


def test_rate_bound_holds_at_all_numbers_of_trials_together():
    random, missed = np.random.default_rng(4), 0
    for _ in range(200):
        successes = np.cumsum(random.random(300) < 0.08)
        looks = [rate_bound(int(successes[n - 1]), n, ALPHA) for n in range(1, 301, 3)]
        missed += not max(low for low, _ in looks) <= 0.08 <= min(high for _, high in looks)
    assert missed / 200 <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 200)


@given(st.integers(0, 500), st.integers(0, 500), st.sampled_from([0.3, 0.05, 0.001]))
def test_rate_bound_is_the_edge_of_the_mixture_and_wider_than_the_exact_interval(successes, misses, alpha):
    trials = successes + misses
    low, high = rate_bound(successes, trials, alpha)
    assert 0 <= low <= high <= 1
    if not trials:
        return
    exact = scipy.stats.binomtest(successes, trials).proportion_ci(1 - alpha, method="wilson")
    assert low <= successes / trials <= high
    if trials >= 20:
        assert high - low >= 0.9 * (exact.high - exact.low)
    mixture = scipy.stats.betabinom.pmf(successes, trials, 0.5, 0.5)
    for edge in (low, high):
        if 0 < edge < 1:
            ratio = mixture / scipy.stats.binom.pmf(successes, trials, edge)
            assert ratio == pytest.approx(1 / alpha, rel=1e-3)


def test_the_ends_of_a_rate_are_found():
    assert rate_bound(0, 50, 0.05)[0] == 0.0
    assert rate_bound(50, 50, 0.05)[1] == 1.0
    assert rate_bound(50, 50, 0.05)[0] == pytest.approx(1 - rate_bound(0, 50, 0.05)[1])


def test_spending_adds_up_to_alpha():
    total = sum(spend(0.05, k) for k in range(1, 20_000))
    assert 0.0499 < total < 0.05
    with pytest.raises(InvalidInput):
        spend(0.05, 0)
