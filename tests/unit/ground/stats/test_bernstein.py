"""Closed forms: against the figures of their authors' code, against each other, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.stats.bernstein import bernstein_running, bernstein_sequence, mixture_sprt, stitched
from modelloop.ground.stats.sequential import mean_sequence

ALPHA = 0.1


def test_the_stitched_boundary_is_that_of_confseq() -> None:
    # gostevehoward/confseq, tests: poly_stitching_bound(100, .05, 10, c)
    assert stitched(100, alpha=0.05, least=10, scale=3) == pytest.approx(64.48755, abs=1e-4)
    assert stitched(100, alpha=0.05, least=10, scale=-1) == pytest.approx(28.99389, abs=1e-4)


def _missed(bounds, draw, mean, rollouts: int = 200) -> float:
    random, missed = np.random.default_rng(1), 0
    for _ in range(rollouts):
        values = draw(random)
        for n in range(1, len(values) + 1, 7):
            low, high = bounds(values[:n])
            if not low <= mean[:n].mean() <= high:
                missed += 1
                break
    return missed / rollouts


def test_both_hold_at_all_lengths_together() -> None:
    def coin(random):
        return (random.random(300) < 0.1) * 1.0

    mean = np.full(300, 0.1)
    most = ALPHA + 3 * math.sqrt(ALPHA * 0.9 / 200)
    assert _missed(lambda x: bernstein_sequence(x, lower=0, upper=1, alpha=ALPHA), coin, mean) <= most
    assert _missed(lambda x: bernstein_running(x, lower=0, upper=1, alpha=ALPHA, tuned_for=1.0), coin, mean) <= most


def test_the_running_one_holds_where_the_mean_moves() -> None:
    mean = 0.3 + 0.2 * np.sin(np.arange(300) / 20)

    def moving(random):
        return (random.random(300) < mean) * 1.0

    found = _missed(lambda x: bernstein_running(x, lower=0, upper=1, alpha=ALPHA, tuned_for=1.0), moving, mean)
    assert found <= ALPHA + 3 * math.sqrt(ALPHA * 0.9 / 200)


def test_betting_is_sharper() -> None:
    values = np.random.default_rng(2).beta(2, 6, 800)
    low, high = bernstein_sequence(values, lower=0, upper=1, alpha=0.05)
    sharp = mean_sequence(values, lower=0, upper=1, alpha=0.05)
    assert low < sharp[0] < 0.25 < sharp[1] < high


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 100))
def test_mirrored_and_scaled(seed, n) -> None:
    x = np.random.default_rng(seed).random(n)
    for bounds in (
        bernstein_sequence,
        lambda v, **r: bernstein_running(v, tuned_for=(r["upper"] - r["lower"]) ** 2, **r),
    ):
        low, high = bounds(x, lower=0.0, upper=1.0, alpha=0.05)
        assert bounds(1 - x, lower=0.0, upper=1.0, alpha=0.05) == (pytest.approx(1 - high), pytest.approx(1 - low))
        wide = bounds(4 * x - 2, lower=-2.0, upper=2.0, alpha=0.05)
        assert wide == (pytest.approx(4 * low - 2), pytest.approx(4 * high - 2))


def test_the_mixture_test_keeps_its_level_for_normal_values_and_finds_differences() -> None:
    random, wrong = np.random.default_rng(4), 0
    for _ in range(300):
        wrong += mixture_sprt(random.normal(0.1, 0.5, 400), 0.1, spread=0.1) <= ALPHA
    assert wrong / 300 <= ALPHA + 3 * math.sqrt(ALPHA * 0.9 / 300)
    assert mixture_sprt(random.normal(0.3, 0.5, 400), 0.1, spread=0.1) < 0.01


def test_the_mixture_test_is_its_formula() -> None:
    x = np.random.default_rng(5).normal(0.2, 0.5, 30)
    v = x.var(ddof=1)
    total = v + 30 * 0.04
    ratio = math.sqrt(v / total) * math.exp(900 * 0.04 * x.mean() ** 2 / (2 * v * total))
    assert mixture_sprt(x, 0.0, spread=0.2, least=30) == pytest.approx(min(1.0, 1 / ratio))


def test_nothing_known_and_impossible_ranges() -> None:
    assert bernstein_sequence(np.empty(0), lower=0, upper=1, alpha=0.1) == (0, 1)
    assert bernstein_running(np.empty(0), lower=0, upper=1, alpha=0.1, tuned_for=1.0) == (0, 1)
    assert mixture_sprt(np.ones(5), 0.0, spread=0.1) == 1
    assert mixture_sprt(np.ones(50), 1.0, spread=0.1) == 1
    with pytest.raises(InvalidInput):
        bernstein_sequence(np.ones(3), lower=1, upper=0, alpha=0.1)
    with pytest.raises(InvalidInput):
        bernstein_running(np.ones(3), lower=0, upper=1, alpha=2, tuned_for=1.0)
