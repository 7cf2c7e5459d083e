"""Distribution functions from points: exact where few values are, else within what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.stats.quantiles import POINTS, Points, Sample, merge_points, points_of

FEW = st.lists(st.integers(-20, 20), min_size=1, max_size=80)


@settings(deadline=None)
@given(FEW, st.lists(st.floats(-25, 25), min_size=1))
def test_few_values_are_kept_exactly(values, places):
    ordered, x = np.sort(np.array(values, dtype=float)), np.array(places)
    points = points_of(ordered)
    assert points.exact
    assert points.rows == len(values)
    assert points.at(x) == pytest.approx([sum(v <= place for v in values) / len(values) for place in places])
    assert points.below(x) == pytest.approx([sum(v < place for v in values) / len(values) for place in places])
    low, high = points.bounds(x)
    assert (low <= points.at(x) + 1e-12).all()
    assert (points.at(x) <= high + 1e-12).all()


@settings(deadline=None)
@given(FEW, FEW)
def test_merging_exact_points_is_exact(first, second):
    merged = merge_points(points_of(np.sort(np.array(first, float))), points_of(np.sort(np.array(second, float))))
    direct = points_of(np.sort(np.array(first + second, float)))
    assert merged.values.tolist() == direct.values.tolist()
    assert merged.on.tolist() == direct.on.tolist()
    assert not merged.between.any()


@settings(deadline=None)
@given(FEW)
def test_quantiles_of_points_are_those_of_the_sample(values):
    ordered = np.sort(np.array(values, dtype=float))
    shares = np.array([0.0, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0])
    assert points_of(ordered).quantile(shares).tolist() == Sample(ordered).quantile(shares).tolist()
    assert Sample(ordered).quantile(shares) == pytest.approx(np.quantile(ordered, shares, method="inverted_cdf"))


@pytest.mark.parametrize("kind", ["normal", "lognormal", "atoms"])
def test_many_values_are_known_to_a_thousandth(kind):
    random = np.random.default_rng(3)
    values = {
        "normal": random.normal(size=50_000),
        "lognormal": random.lognormal(sigma=2, size=50_000),
        "atoms": np.where(random.random(50_000) < 0.4, 0.0, random.normal(size=50_000)),
    }[kind]
    ordered = np.sort(values)
    points, exact = points_of(ordered), Sample(ordered)
    assert len(points.values) <= POINTS
    assert points.gap <= 1 / (POINTS - 1) + 2 / len(values)
    x = np.concatenate((ordered[::7], random.normal(size=500), [-1e9, 1e9, 0.0]))
    assert np.abs(points.at(x) - exact.at(x)).max() <= points.gap
    assert np.abs(points.below(x) - exact.below(x)).max() <= points.gap
    low, high = points.bounds(x)
    assert (low <= exact.at(x) + 1e-12).all()
    assert (exact.at(x) <= high + 1e-12).all()
    assert points.at(points.values) == pytest.approx(exact.at(points.values))


def test_merged_points_are_within_what_merge_promises():
    random = np.random.default_rng(4)
    parts = [np.sort(random.normal(loc=loc, scale=scale, size=size)) for loc, scale, size in
             ((0, 1, 20_000), (2, 0.5, 7_000), (-1, 3, 40_000), (0, 1, 1_500))]  # fmt: skip
    merged = points_of(parts[0])
    for count, part in enumerate(parts[1:], 1):
        merged = merge_points(merged, points_of(part))
        exact = Sample(np.sort(np.concatenate(parts[: count + 1])))
        x = random.normal(scale=3, size=2_000)
        assert merged.rows == len(exact.values)
        assert len(merged.values) <= POINTS
        assert merged.values[0] == exact.values[0]
        assert merged.values[-1] == exact.values[-1]
        assert np.abs(merged.at(x) - exact.at(x)).max() <= (1 + count) / (POINTS - 1)


def test_integers_beyond_what_floats_tell_apart_fall_together():
    points = points_of(np.array([2**53, 2**53 + 1, 2**53 + 4], dtype=np.int64))
    assert points.rows == 3
    many = points_of(np.arange(2**60, 2**60 + 5_000, dtype=np.int64))
    assert many.rows == 5_000
    assert (np.diff(many.values) > 0).all()


def test_one_point():
    point = Points(np.array([2.0]), np.array([5]), np.array([0]))
    assert point.at(np.array([1.0, 2.0, 3.0])).tolist() == [0, 1, 1]
    assert point.below(np.array([1.0, 2.0, 3.0])).tolist() == [0, 0, 1]
