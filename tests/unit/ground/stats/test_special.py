"""Tail probabilities against SciPy."""

from __future__ import annotations

import math

import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.stats.special import chi2_tail, fisher_tail, gamma_upper, kolmogorov_tail, normal_tail


@given(st.floats(0.5, 1e5), st.floats(0.0, 3.0))
def test_gamma_is_scipys(a, ratio):
    assert gamma_upper(a, a * ratio) == pytest.approx(float(scipy.special.gammaincc(a, a * ratio)), abs=1e-11)


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 999, 20_000])
def test_far_tails_keep_their_digits(freedom):
    for over in (1.0, 1.1, 1.5, 2.0):
        found = chi2_tail(freedom * over + 5, freedom)
        assert found == pytest.approx(float(scipy.stats.chi2.sf(freedom * over + 5, freedom)), rel=1e-9, abs=1e-300)


def test_the_ends_of_gamma():
    assert gamma_upper(3, 0) == 1.0
    assert gamma_upper(3, math.inf) == 0.0
    assert gamma_upper(10, 1e6) == 0.0
    assert gamma_upper(1e6, 1e-3) == 1.0
    assert chi2_tail(5.0, 0) == 1.0


@given(st.floats(0.0, 8.0))
def test_kolmogorov_is_scipys(x):
    assert kolmogorov_tail(x) == pytest.approx(float(scipy.special.kolmogorov(x)), abs=1e-12)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_fisher_is_scipys(n, m, data):
    first, second = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    table = [[first, n - first], [second, m - second]]
    assert fisher_tail(first, n, second, m) == pytest.approx(float(scipy.stats.fisher_exact(table)[1]), abs=1e-9)


@given(st.floats(-30, 30))
def test_normal_is_scipys(z):
    assert normal_tail(z) == pytest.approx(2 * float(scipy.stats.norm.sf(abs(z))), rel=1e-9, abs=1e-300)
