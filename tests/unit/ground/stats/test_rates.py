"""Rates and quantiles that may be looked at any time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.stats.rates import rate_above, rate_below, rate_evidence, two_rates_evidence
from modelloop.ground.stats.running_quantile import quantile_bounds

ALPHA = 0.1


@pytest.mark.parametrize(("successes", "trials", "limit"), [(0, 10, 0.1), (3, 19, 0.01), (30, 400, 0.05), (7, 7, 0.5)])
def test_evidence_is_the_mixture_of_likelihood_ratios(successes, trials, limit) -> None:
    prior = scipy.stats.beta(0.5, 0.5)

    def ratio(q: float) -> float:
        return (q / limit) ** successes * ((1 - q) / (1 - limit)) ** (trials - successes) * prior.pdf(q)

    whole, _ = scipy.integrate.quad(ratio, limit, 1, limit=500, points=[max(limit, successes / trials)])
    assert rate_evidence(successes, trials, limit) == pytest.approx(math.log(whole / prior.sf(limit)), abs=2e-3)


@pytest.mark.parametrize("rates", [np.full(400, 0.05), np.where(np.arange(400) % 80 < 40, 0.0, 0.1)])
def test_a_rate_at_the_limit_on_average_is_rarely_called_above(rates) -> None:
    counts = np.cumsum(np.random.default_rng(3).random((400, 400)) < rates, axis=1)
    least = []
    for n in range(1, 401):
        k = least[-1] if least else 1
        while rate_evidence(min(k, n), n, 0.05) < -math.log(ALPHA) and k <= n:
            k += 1
        least.append(k)
    wrong = (counts >= np.array(least)).any(axis=1).mean()
    assert wrong <= ALPHA + 3 * math.sqrt(ALPHA * 0.9 / 400)
    assert (np.cumsum(np.random.default_rng(4).random((50, 400)) < 0.2, axis=1) >= np.array(least)).any(axis=1).all()


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.2, 0.05, 0.001]))
def test_bounds_of_a_rate_hold_what_was_seen_and_mirror(successes, misses, alpha) -> None:
    trials = successes + misses
    low, high = rate_above(successes, trials, alpha), rate_below(successes, trials, alpha)
    assert 0 <= low <= high <= 1
    if trials:
        assert low <= successes / trials + 1e-12
        assert high >= successes / trials - 1e-12
        exact = scipy.stats.binomtest(successes, trials, alternative="greater").proportion_ci(1 - alpha).low
        assert low <= exact + 1e-9
    if low > 0:
        assert rate_evidence(successes, trials, low * 0.999) >= -math.log(alpha)


@given(st.integers(1, 200), st.integers(0, 200), st.floats(0.001, 0.9))
def test_each_failure_is_more_evidence_each_success_less(failed, fine, limit) -> None:
    found = rate_evidence(failed, failed + fine, limit)
    assert rate_evidence(failed + 1, failed + fine + 1, limit) >= found - 1e-9
    assert rate_evidence(failed, failed + fine + 1, limit) <= found + 1e-9


def test_the_edges_of_rates() -> None:
    assert rate_evidence(0, 0, 0.1) == 0
    assert rate_evidence(1, 5, 0.0) == math.inf
    assert rate_evidence(0, 5, 0.0) == 0
    assert rate_evidence(5, 5, 1.0) == 0
    assert rate_evidence(0, 100_000, 0.5) < -1000
    with pytest.raises(InvalidInput):
        rate_evidence(3, 2, 0.1)
    with pytest.raises(InvalidInput):
        rate_above(1, 2, 1.5)


def test_two_equal_rates_are_rarely_told_apart_and_different_ones_are() -> None:
    random, wrong = np.random.default_rng(6), 0
    for _ in range(300):
        first, second = random.random((2, 200)) < 0.1
        wrong += max(two_rates_evidence(first[:n], second[:n]) for n in range(5, 201, 5)) >= -math.log(ALPHA)
    assert wrong / 300 <= ALPHA + 3 * math.sqrt(ALPHA * 0.9 / 300)
    assert two_rates_evidence(random.random(300) < 0.3, random.random(300) < 0.05) > math.log(100)
    assert two_rates_evidence(np.empty(0), np.ones(3)) == 0


def test_two_rates_by_hand() -> None:
    # block 1: both rates 1/2, nothing to win; block 2: .18 learned rates 1.18 / 1.36 and .18 / 1.36
    a, b = 1.18 / 1.36, 0.18 / 1.36
    expected = math.log(a * (1 - b) / 0.25)
    assert two_rates_evidence(np.array([1, 1]), np.array([0, 0])) == pytest.approx(expected)


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_quantile_bounds_hold_at_all_lengths_together(quantile) -> None:
    random, missed = np.random.default_rng(9), 0
    true = scipy.stats.lognorm(0.7).ppf(quantile)
    for _ in range(200):
        values = random.lognormal(0, 0.7, 300)
        for n in range(1, 301, 4):
            low, high = quantile_bounds(values[:n], quantile, alpha_low=0.05, alpha_high=0.05)
            if not low <= true <= high:
                missed += 1
                break
    assert missed / 200 <= ALPHA + 3 * math.sqrt(ALPHA * 0.9 / 200)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 100), min_size=0, max_size=80), st.sampled_from([0.5, 0.75, 0.95]))
def test_quantile_bounds_surround_the_sample_quantile_and_follow_monotone_changes(values, quantile) -> None:
    low, high = quantile_bounds(values, quantile, alpha_low=0.05, alpha_high=0.05)
    if values:
        assert low <= np.quantile(values, quantile, method="inverted_cdf") <= high
    logs = quantile_bounds(np.log1p(values), quantile, alpha_low=0.05, alpha_high=0.05)
    for plain, changed in zip((low, high), logs, strict=True):
        assert changed == (plain if math.isinf(plain) else pytest.approx(math.log1p(plain)))


def test_a_quantile_needs_values_before_it_has_bounds() -> None:
    assert quantile_bounds([], 0.5, alpha_low=0.05, alpha_high=0.05) == (-math.inf, math.inf)
    assert quantile_bounds([3.0], 0.5, alpha_low=0.05, alpha_high=0.05) == (-math.inf, math.inf)
    low, high = quantile_bounds(np.arange(1000.0), 0.5, alpha_low=0.05, alpha_high=0.05)
    assert 430 < low < 480
    assert 520 < high < 570
    assert quantile_bounds(np.ones(50), 0.5, alpha_low=0.05, alpha_high=0.05) == (1.0, 1.0)
    with pytest.raises(InvalidInput):
        quantile_bounds([1.0], 1.0, alpha_low=0.05, alpha_high=0.05)
