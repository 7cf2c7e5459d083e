"""Corrections for many tests, against their definitions, SciPy, and their promise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.stats.multiple import benjamini_hochberg, benjamini_yekutieli

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(P_VALUES)
def test_both_are_scipys(p):
    assert benjamini_hochberg(p) == pytest.approx(scipy.stats.false_discovery_control(p, method="bh"), abs=1e-12)
    assert benjamini_yekutieli(p) == pytest.approx(scipy.stats.false_discovery_control(p, method="by"), abs=1e-12)


@given(P_VALUES, st.floats(0.001, 0.5))
def test_they_reject_what_the_step_up_rule_rejects(p, level):
    count = len(p)
    price = sum(1 / k for k in range(1, count + 1))
    ordered = sorted(p)
    largest = max((k for k in range(1, count + 1) if ordered[k - 1] <= k * level / (count * price)), default=0)
    limit = ordered[largest - 1] if largest else -1.0
    adjusted = benjamini_yekutieli(p)
    for value, one in zip(p, adjusted, strict=True):
        if abs(one - level) > 1e-9:
            assert (one <= level) == (value <= limit)


def test_no_tests_make_no_answers():
    assert len(benjamini_hochberg([])) == 0
    assert len(benjamini_yekutieli([])) == 0


def test_the_promise_holds_for_tests_that_depend_on_each_other():
    random = np.random.default_rng(7)
    reports, false = 400, 0
    for _ in range(reports):
        shared = random.normal()
        z = 0.8 * shared + 0.6 * random.normal(size=20)
        z[::2] *= -1
        false += bool((benjamini_yekutieli(2 * scipy.stats.norm.sf(abs(z))) <= 0.1).any())
    assert false / reports <= 0.1
