from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.stats.distance import bin_counts, even_groups, psi

SHARES = st.lists(st.integers(0, 50), min_size=2, max_size=15).filter(lambda counts: sum(counts) > 0)


@given(SHARES, st.randoms(use_true_random=False))
def test_psi_is_the_sum_over_bins(counts, random):
    e = np.array(counts) / sum(counts)
    a = np.array(random.sample(list(e), len(e)))
    direct = 0.0
    for p, q in zip(e, a, strict=True):
        before, after = max(p, 1e-4), max(q, 1e-4)
        direct += (after - before) * math.log(after / before)
    assert psi(e, a) == pytest.approx(direct)
    assert psi(e, a) == pytest.approx(psi(a, e))
    assert psi(e, a) >= 0
    assert psi(e, e) == 0


def test_a_known_value():
    assert psi(np.array([0.5, 0.5]), np.array([0.75, 0.25])) == pytest.approx(0.25 * math.log(3))


@given(st.lists(st.integers(-5, 5)), st.lists(st.integers(-5, 5), unique=True).map(sorted))
def test_bins_end_at_their_edge(values, edges):
    found = bin_counts(np.array(values, dtype=float), np.array(edges, dtype=float))
    bounds = [-math.inf, *edges, math.inf]
    direct = [sum(low < value <= high for value in values) for low, high in pairwise(bounds)]
    assert found.tolist() == direct


@given(SHARES, st.integers(1, 12))
def test_groups_cover_each_bin_once_and_are_few(counts, groups):
    found = even_groups(np.array(counts, dtype=float), groups)
    assert [bin for start, end in found for bin in range(start, end)] == list(range(len(counts)))  # noqa: A001
    assert 1 <= len(found) <= groups
    assert all(start < end for start, end in found)


def test_even_bins_make_even_groups():
    assert even_groups(np.ones(60), 10) == [(start, start + 6) for start in range(0, 60, 6)]
