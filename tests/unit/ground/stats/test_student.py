from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelloop.ground.stats.student import t_interval, t_tail, t_value, welch

FREEDOM = st.floats(1, 500)


@given(st.floats(-60, 60), FREEDOM)
def test_the_tail_is_scipys(t: float, freedom: float) -> None:
    assert t_tail(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-9, abs=1e-14)


@given(st.floats(0.5, 0.9999), FREEDOM)
def test_the_quantile_is_scipys(confidence: float, freedom: float) -> None:
    assert t_value(confidence, freedom) == pytest.approx(stats.t.ppf((1 + confidence) / 2, freedom), rel=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_the_interval_is_scipys(values: list[float]) -> None:
    if np.std(values) < 1e-6:
        return
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert t_interval(values) == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_welch_is_scipys() -> None:
    first, second = [1.0, 2.5, 3.1, 0.4], [2.2, 2.9, 3.3, 4.1, 5.0, 2.7]
    error, freedom = welch(first, second)
    found = stats.ttest_ind(first, second, equal_var=False)
    assert (np.mean(first) - np.mean(second)) / error == pytest.approx(found.statistic)
    assert freedom == pytest.approx(found.df)
