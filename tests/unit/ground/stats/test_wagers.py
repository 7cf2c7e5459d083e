"""Bounds on a running mean by fixed bets: exact at every length, whatever the means do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.stats.bernstein import bernstein_running
from modelloop.ground.stats.wagers import (
    SHARES,
    WEIGHTS,
    evidence_above,
    evidence_below,
    evidence_path,
    matched_differences,
    pace,
    running_mean_bounds,
)

ALPHA = 0.1
NONE = np.empty(0)
NONE = np.empty(0)
RANGE = {"lower": -1.0, "upper": 1.0}
UNIT = {"lower": 0.0, "upper": 1.0}
streams = st.lists(st.floats(-1, 1, allow_nan=False), min_size=1, max_size=60).map(np.array)


def allowed(alpha: float, rollouts: int) -> float:
    """Return alpha and three standard errors of a share found in a simulation."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / rollouts)


def rare(random: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Return values of mean .01: .6 in one of fifty, a little below zero else."""
    return np.where(random.random((count, length)) < 0.02, 0.6, (0.01 - 0.012) / 0.98)


def swinging(random: np.random.Generator, count: int, length: int) -> np.ndarray:
    """Return values whose running mean is never below .01 while their mean swings by .06 about it."""
    mean = 0.01 + 0.06 * np.sin(2 * np.pi * np.arange(length) / 200)
    return np.clip(mean + random.normal(0, 0.05, (count, length)), -1, 1)


@pytest.mark.parametrize("draw", [rare, swinging])
def test_no_stream_is_called_below_its_running_mean_more_often_than_promised(draw) -> None:
    values = draw(np.random.default_rng(5), 600, 800)
    crossed = evidence_path(-values, -0.01, **RANGE).max(axis=1) >= -math.log(ALPHA)
    assert crossed.mean() <= allowed(ALPHA, 600)


def test_the_simulation_can_fail_a_plain_interval_does() -> None:
    values = rare(np.random.default_rng(5), 600, 800)
    n = np.arange(1, 801)
    means = np.cumsum(values, axis=1) / n
    spread = np.sqrt(np.maximum(np.cumsum(values**2, axis=1) / n - means**2, 1e-12))
    below = (means + 1.2816 * spread / np.sqrt(n) < 0.01)[:, 30:]
    assert below.any(axis=1).mean() > 3 * ALPHA


def test_bounds_hold_for_each_days_own_mean() -> None:
    random, missed = np.random.default_rng(2), 0
    for _ in range(60):
        days = np.repeat(random.uniform(-0.6, 0.6, 10), 30)
        values = days + random.uniform(-0.4, 0.4, 300)
        for n in range(10, 301, 10):
            low, high = running_mean_bounds(values[:n], **RANGE, alpha_low=0.05, alpha_high=0.05)
            if not low <= days[:n].mean() <= high:
                missed += 1
                break
    assert missed / 60 <= allowed(0.1, 60)


@settings(max_examples=60)
@given(streams, st.floats(-0.9, 0.9), st.randoms(use_true_random=False))
def test_evidence_is_the_mixture_and_does_not_mind_the_order(values, limit, random) -> None:
    plain = sum(
        weight * math.prod(1 + share * (x - limit) / (limit + 1) for x in values)
        for share, weight in zip(SHARES, WEIGHTS, strict=True)
    )
    found = evidence_above(values, limit, **RANGE)
    assert found == pytest.approx(math.log(plain), abs=1e-8)
    assert evidence_path(values, limit, **RANGE)[-1] == pytest.approx(found, abs=1e-8)
    mixed = list(values)
    random.shuffle(mixed)
    assert evidence_above(mixed, limit, **RANGE) == pytest.approx(found, abs=1e-8)
    assert evidence_below(-values, -limit, **RANGE) == pytest.approx(found, abs=1e-9)


@settings(max_examples=60)
@given(streams, st.floats(0.001, 0.2), st.floats(0.001, 0.2))
def test_bounds_nest_mirror_and_scale(values, one, other) -> None:
    sure, surer = max(one, other), min(one, other)
    low, high = running_mean_bounds(values, **RANGE, alpha_low=sure, alpha_high=sure)
    wider = running_mean_bounds(values, **RANGE, alpha_low=surer, alpha_high=surer)
    assert -1 <= wider[0] <= low + 1e-6
    assert low <= values.mean() + 1e-9 <= high + 2e-9
    assert high - 1e-6 <= wider[1] <= 1
    mirrored = running_mean_bounds(-values, **RANGE, alpha_low=sure, alpha_high=sure)
    assert mirrored == (pytest.approx(-high, abs=1e-6), pytest.approx(-low, abs=1e-6))
    scaled = running_mean_bounds(5 * values + 2, lower=-3.0, upper=7.0, alpha_low=sure, alpha_high=sure)
    assert scaled == (pytest.approx(5 * low + 2, abs=1e-5), pytest.approx(5 * high + 2, abs=1e-5))


@settings(max_examples=60)
@given(streams, st.floats(0.005, 0.3))
def test_a_bound_is_where_the_evidence_ends(values, alpha) -> None:
    low, _ = running_mean_bounds(values, **RANGE, alpha_low=alpha, alpha_high=alpha)
    goal = -math.log(alpha)
    if low > -1:
        assert evidence_above(values, low, **RANGE) >= goal
    assert evidence_above(values, min(low + 1e-6, 1.0), **RANGE) <= goal + 1e-3 * goal or low == -1


@given(streams, st.floats(-0.8, 0.8), st.integers(0, 59), st.floats(0, 0.5))
def test_a_larger_value_is_more_evidence(values, limit, place, more) -> None:
    raised = values.copy()
    raised[place % len(values)] = min(1.0, raised[place % len(values)] + more)
    assert evidence_above(raised, limit, **RANGE) >= evidence_above(values, limit, **RANGE) - 1e-9


def test_no_values_know_nothing() -> None:
    assert evidence_above(np.empty(0), 0.1, **RANGE) == 0
    assert evidence_below(np.empty(0), 0.1, **RANGE) == 0
    assert running_mean_bounds(np.empty(0), **UNIT, alpha_low=0.1, alpha_high=0.1) == (0.0, 1.0)
    assert pace(np.empty(0), 0.1, **UNIT) == 0


@pytest.mark.parametrize("bad", [[0.5, 1.2], [0.5, math.nan], [-2.0]])
def test_values_beyond_the_range_are_refused(bad) -> None:
    with pytest.raises(InvalidInput, match="beyond"):
        evidence_above(np.array(bad), 0.1, **UNIT)


def test_impossible_ranges_and_chances_are_refused() -> None:
    with pytest.raises(InvalidInput):
        evidence_above(np.array([0.1]), 0.1, lower=1.0, upper=0.0)
    with pytest.raises(InvalidInput):
        running_mean_bounds(np.array([0.1]), **UNIT, alpha_low=0.0, alpha_high=0.1)


def test_a_limit_at_the_edge_of_the_range() -> None:
    assert evidence_above(np.zeros(5), 0.0, **UNIT) == 0
    assert evidence_above(np.array([0.0, 0.1]), 0.0, **UNIT) == math.inf
    assert evidence_below(np.array([0.2]), 2.0, **UNIT) == math.inf


def test_it_takes_about_as_long_as_the_pace_says() -> None:
    values = np.random.default_rng(1).normal(0.05, 0.1, 4000).clip(-1, 1)
    path = evidence_path(values, 0.0, **RANGE)
    needed = int((path >= math.log(1000)).argmax())
    assert needed == pytest.approx((math.log(1000) + 1.5) / pace(values, 0.0, **RANGE), rel=0.5)
    assert pace(-values, 0.0, **RANGE) == 0


def test_bettors_are_sharper_than_the_closed_form() -> None:
    random = np.random.default_rng(8)
    for spread in (0.02, 0.1, 0.4):
        values = random.normal(0.02, spread, 1000).clip(-1, 1)
        low, high = running_mean_bounds(values, **RANGE, alpha_low=0.025, alpha_high=0.025)
        wide = bernstein_running(values, **RANGE, alpha=0.05, tuned_for=1.0)
        assert wide[0] < low < values.mean() < high < wide[1]


def test_rare_total_losses_are_not_ruled_out_before_they_could_have_been_seen() -> None:
    # A loss of 1 in one of 100 requests has the mean .01; in n requests none is seen with chance .99^n
    least = next(n for n in range(1, 2000) if evidence_below(np.zeros(n), 0.01, **RANGE) >= -math.log(0.05))
    assert 0.99**least <= 0.05
    assert least < 450


def test_values_meet_those_of_the_other_stream_that_came_meanwhile() -> None:
    def matched(second: str, *, by: int) -> list[float]:
        at = [np.array([n for n, which in enumerate(second) if which == name], dtype=float) for name in "12"]
        return (matched_differences(at[0], at[1], at[0], at[1]) * by).round(6).tolist()

    assert matched("1212", by=1) == [-1.0, -1.0]
    assert matched("2112", by=1) == [1.0, -1.0]
    assert matched("2222221", by=1) == [6 - 1.5]  # the last two wait for the next
    assert matched("22222211", by=1) == [6 - 1.5, 7 - 4.0]
    assert matched("1111112", by=1) == [1.5 - 6]
    assert matched("222", by=1) == []


def test_streams_without_places_came_by_turns() -> None:
    first, second = np.arange(4.0), np.array([1.0, 3.0, 5.0, 7.0, 0.0])
    assert matched_differences(first, second, NONE, NONE).tolist() == [-1.0, -2.0, -3.0, -4.0]
    assert len(matched_differences(first, np.empty(0), NONE, NONE)) == 0


@given(st.lists(st.booleans(), max_size=80), st.integers(0, 80))
def test_more_outcomes_only_add_differences(arms, fewer) -> None:
    whose, values = np.array(arms, dtype=bool), np.random.default_rng(len(arms)).random(len(arms))

    def matched(count: int) -> list[float]:
        ours, some = np.flatnonzero(whose[:count]), np.flatnonzero(~whose[:count])
        return list(matched_differences(values[ours], values[some], ours.astype(float), some.astype(float)))

    before = matched(min(fewer, len(arms)))
    assert matched(len(arms))[: len(before)] == before


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.4, 0.5, 0.9])
def test_both_sides_of_a_difference_are_of_the_same_moment(share) -> None:
    ours = np.random.default_rng(1).random(5000) < share
    first, second = np.flatnonzero(ours) * 1.0, np.flatnonzero(~ours) * 1.0
    apart = matched_differences(first, second, first, second)  # how many requests lie between
    few = min(len(first), len(second))
    assert few * 0.8 <= len(apart) <= few * 1.1
    for part in (apart, apart[-len(apart) // 4 :]):  # at the end as at the beginning
        assert abs(part.mean()) < 2 / min(share, 1 - share)
