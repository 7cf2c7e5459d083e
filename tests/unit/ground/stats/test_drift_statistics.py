"""KS, Wasserstein, chi-square, Jensen-Shannon and rates against SciPy, to 1e-9."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.stats.distance import (
    bin_shares,
    decile_edges,
    fine_edges,
    jensen_shannon,
    wasserstein,
    wasserstein_points,
)
from modelloop.ground.stats.quantiles import Sample, points_of
from modelloop.ground.stats.two_sample import chi2, ks, ks_p_value, ks_points, pool_rare, rates_p_value

TIED = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=60)
ANY = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
COUNTS = st.lists(st.integers(0, 200), min_size=2, max_size=12).filter(any)


def largest_difference(first, second):
    return max(abs(np.mean(first <= x) - np.mean(second <= x)) for x in (*first, *second))


def ordered(values):
    return np.sort(np.array(values, dtype=float))


@settings(deadline=None)
@given(st.one_of(st.tuples(TIED, TIED), st.tuples(ANY, ANY)))
def test_ks_and_wasserstein_are_scipys(pair):
    first, second = map(ordered, pair)
    assert ks(first, second) == pytest.approx(largest_difference(first, second), abs=1e-9)
    expected = scipy.stats.wasserstein_distance(first, second)
    assert wasserstein(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    if min(len(first), len(second)) > 1:
        with warnings.catch_warnings(action="ignore"):
            assert ks(first, second) == pytest.approx(scipy.stats.ks_2samp(first, second).statistic, abs=1e-9)


@settings(deadline=None)
@given(TIED, TIED)
def test_of_few_values_points_give_the_exact_distances(first, second):
    a, b = ordered(first), ordered(second)
    largest, sure = ks_points(points_of(a), points_of(b))
    assert largest == pytest.approx(ks(a, b), abs=1e-9)
    assert sure == pytest.approx(largest, abs=1e-9)
    assert wasserstein_points(points_of(a), points_of(b)) == pytest.approx(wasserstein(a, b), abs=1e-9)


@pytest.mark.parametrize("shape", ["equal", "shifted", "ties", "atom", "apart", "short second", "heavy tail"])
def test_long_samples_skip_bins_and_lose_nothing(shape):
    random = np.random.default_rng(11)
    n, m = 150_000, {"short second": 20_000}.get(shape, 130_001)
    first, second = random.normal(size=n), random.normal(size=m)
    if shape == "shifted":
        second += 0.05
    if shape == "ties":
        first, second = np.round(first, 1), np.round(second, 1)
    if shape == "atom":
        first[:40_000], second[:45_000] = 0.0, 0.0
    if shape == "apart":
        second += 100
    if shape == "heavy tail":
        first, second = np.exp(4 * first), np.exp(4.01 * second)
    first, second = np.sort(first), np.sort(second)
    assert ks(first, second) == pytest.approx(scipy.stats.ks_2samp(first, second, method="asymp").statistic, abs=1e-9)
    expected = scipy.stats.wasserstein_distance(first, second)
    assert wasserstein(first, second) == pytest.approx(expected, rel=1e-9)
    largest, sure = ks_points(points_of(first), points_of(second))
    assert sure <= ks(first, second) + 1e-9
    assert largest == pytest.approx(ks(first, second), abs=2 / 1023)


def test_a_sample_against_itself():
    values = np.sort(np.random.default_rng(0).normal(size=200_000))
    assert ks(values, values) == 0
    assert wasserstein(values, values) == 0
    assert ks_p_value(0.0, 200_000, 200_000) == 1


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(1_000, 10**6), st.integers(1_001, 10**6))
def test_the_p_value_of_ks_is_kolmogorovs_limit(d, n, m):
    expected = float(scipy.special.kolmogorov(d * math.sqrt(n * m / (n + m))))
    assert ks_p_value(d, n, m) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(2, 60), st.integers(0, 10**6))
def test_the_p_value_of_ks_with_few_rows_is_scipys_exact_one(n, m, seed):
    random = np.random.default_rng(seed)
    first, second = np.sort(random.normal(size=n)), np.sort(random.normal(0.3, size=m))
    d = ks(first, second)
    expected = scipy.stats.ks_2samp(first, second, method="exact").pvalue
    assert ks_p_value(d, n, m) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=30))
def test_chi2_is_scipys_without_yates(pairs):
    table = np.array(pairs, dtype=float).T
    found = chi2(table[0], table[1])
    kept = table[:, table.sum(axis=0) > 0]
    if kept.shape[1] < 2 or (kept.sum(axis=1) == 0).any():
        assert found == (0.0, 0, 1.0)
        return
    expected = scipy.stats.chi2_contingency(kept, correction=False)
    assert found[0] == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert found[1] == expected.dof
    assert found[2] == pytest.approx(expected.pvalue, abs=1e-9)


def test_a_thousand_categories_and_no_change_are_no_alarm():
    random = np.random.default_rng(5)
    first, second = (np.bincount(random.integers(0, 1000, 60_000), minlength=1000).astype(float) for _ in range(2))
    statistic, freedom, p_value = chi2(first, second)
    assert freedom == 999
    assert statistic == pytest.approx(scipy.stats.chi2_contingency([first, second], correction=False).statistic)
    assert p_value > 0.01


def test_rare_categories_count_as_one():
    first, second = pool_rare(np.array([900.0, 95, 3, 2]), np.array([910.0, 86, 0, 4]))
    assert first.tolist() == [900, 95, 5]
    assert second.tolist() == [910, 86, 4]


@settings(deadline=None)
@given(COUNTS, st.data())
def test_jensen_shannon_is_scipys_to_base_two(counts, data):
    other = data.draw(st.lists(st.integers(0, 200), min_size=len(counts), max_size=len(counts)).filter(any))
    p, q = np.array(counts, float), np.array(other, float)
    found = jensen_shannon(p, q)
    expected = float(np.nan_to_num(scipy.spatial.distance.jensenshannon(p, q, base=2)))
    assert found**2 == pytest.approx(expected**2, abs=1e-9)
    assert 0 <= found <= 1 + 1e-12
    assert jensen_shannon(p, p) == pytest.approx(0, abs=1e-7)


def test_nothing_in_common_is_one():
    assert jensen_shannon(np.array([1.0, 0]), np.array([0.0, 3])) == pytest.approx(1)


@settings(deadline=None)
@given(st.integers(200, 5_000), st.integers(200, 5_000), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_rates_of_many_rows_are_a_chi_square_test(n, m, p, q):
    first, second = int(n * p), int(m * q)
    table = np.array([[first, n - first], [second, m - second]], dtype=float)
    expected = scipy.stats.chi2_contingency(table, correction=False).pvalue
    assert rates_p_value(first, n, second, m) == pytest.approx(expected, abs=1e-9)


def test_rates_of_few_rows_are_fishers():
    expected = scipy.stats.fisher_exact([[3, 97], [0, 100]])[1]
    assert rates_p_value(3, 100, 0, 100) == pytest.approx(expected, abs=1e-9)
    assert rates_p_value(0, 10, 0, 20) == 1
    assert rates_p_value(10, 10, 20, 20) == 1
    assert rates_p_value(0, 0, 3, 20) == 1
    assert rates_p_value(0, 1_000_000, 900_000, 1_000_000) < 1e-300


@settings(deadline=None)
@given(TIED)
def test_bins_hold_everybody(values):
    sample = Sample(ordered(values))
    for edges in (decile_edges(sample), fine_edges(sample)):
        shares = bin_shares(sample, edges)
        assert shares.sum() == pytest.approx(1)
        assert (shares >= 0).all()
    outside = bin_shares(sample, fine_edges(sample))
    assert outside[0] == 0
    assert outside[-1] == pytest.approx(0)
