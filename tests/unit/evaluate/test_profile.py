from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelloop.evaluate.profile import TOP, profile, psi
from modelloop.ground.core.errors import InvalidInput

NUMBERS = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6) | st.just(math.nan))
WORDS = st.lists(st.sampled_from(["a", "b", "", None, "nan"]), min_size=1, max_size=60).map(
    lambda values: np.array(values, dtype=object)
)


def _columns(random, rows=5000, shift=0.0):
    return {
        "distance": random.normal(1000 + 200 * shift, 200, rows),
        "carrier": random.choice(np.array(["UA", "AA", None], dtype=object), rows, p=[0.5, 0.4, 0.1]),
        "hour": random.integers(0, 24, rows),
        "night": random.random(rows) < 0.2,
    }


@given(NUMBERS | WORDS)
def test_a_column_does_not_drift_from_itself_and_shares_sum_to_one(values):
    found = json.loads(json.dumps(profile({"x": values}, np.zeros(len(values))), allow_nan=False))
    assert psi(found, {"x": values}) == {"x": pytest.approx(0, abs=1e-12)}
    shape = found["columns"]["x"]
    shares = shape["shares"] if shape["kind"] == "number" else list(shape["shares"].values())
    assert sum(shares) + shape["nulls"] == pytest.approx(1)


@settings(max_examples=50)
@given(NUMBERS, NUMBERS)
def test_distances_are_finite_and_do_not_depend_on_order(first, second):
    found = profile({"x": first}, np.zeros(len(first)))
    distance = psi(found, {"x": second})["x"]
    assert 0 <= distance < math.inf
    assert psi(found, {"x": second[::-1]})["x"] == distance


def test_the_same_population_stays_small_and_another_does_not():
    random = np.random.default_rng(0)
    known = profile(_columns(random), random.random(5000))
    same = psi(known, _columns(random, 2000))
    assert max(same.values()) < 0.05
    moved = psi(known, _columns(random, 2000, shift=1.0))
    assert moved["distance"] > 0.5
    assert moved["hour"] < 0.05
    assert psi(known, {"score": random.random(2000)})["score"] < 0.05
    assert psi(known, {"score": random.random(2000) ** 2})["score"] > 0.25


def test_psi_over_deciles_is_the_direct_computation():
    random = np.random.default_rng(1)
    reference, later = random.normal(size=64_000), random.normal(0.5, 1, 5000)
    edges = np.quantile(reference, np.linspace(0, 1, 11)[1:-1])
    shares = np.bincount(np.searchsorted(edges, later), minlength=10) / len(later)
    direct = ((shares - 0.1) * np.log(shares / 0.1)).sum()
    found = psi(profile({"x": reference}, reference), {"x": later})["x"]
    assert found == pytest.approx(direct, rel=0.05)


def test_nulls_are_a_bin_of_their_own():
    x = np.random.default_rng(2).normal(size=1000)
    holes = np.where(np.arange(1000) < 300, np.nan, x)
    known = profile({"x": x, "name": np.array(["a"] * 1000, dtype=object)}, x)
    assert psi(known, {"x": holes})["x"] > 1
    gone = np.array([None] * 300 + ["a"] * 700, dtype=object)
    assert psi(known, {"name": gone})["name"] == pytest.approx(
        (0.3 - 1e-4) * math.log(0.3 / 1e-4) + (0.7 - 1) * math.log(0.7)
    )
    empty = profile({"x": np.full(10, np.nan)}, np.zeros(10))
    assert psi(empty, {"x": np.full(5, np.nan)})["x"] == 0
    assert psi(empty, {"x": np.ones(5)})["x"] > 1


@pytest.mark.parametrize("value", [4.0, 6.0])
def test_a_column_of_one_value_notices_any_other(value):
    known = profile({"x": np.full(500, 5.0)}, np.zeros(500))
    assert psi(known, {"x": np.full(100, 5.0)})["x"] == 0
    assert psi(known, {"x": np.full(100, value)})["x"] > 1
    assert psi(known, {"x": np.array([5.0] * 90 + [value] * 10)})["x"] > 0.25


def test_values_outside_all_that_was_seen_are_noticed_where_deciles_would_not():
    known = profile({"x": np.arange(1000.0)}, np.zeros(1000))
    later = np.arange(1000.0)
    later[950:] = 1e9  # within the top decile, were it not for its own bin
    assert psi(known, {"x": later})["x"] > 0.25


def test_new_and_rare_categories_count_together():
    names = [f"n{number:03}" for number in range(TOP + 20) for _ in range(10)]
    known = profile({"x": np.array(names, dtype=object)}, np.zeros(len(names)))
    assert len(known["columns"]["x"]["shares"]) == TOP
    assert psi(known, {"x": np.array(names, dtype=object)})["x"] == pytest.approx(0, abs=1e-12)
    strangers = np.array(["new"] * len(names), dtype=object)
    assert psi(known, {"x": strangers})["x"] > 1


def test_unknown_and_empty_columns_are_left_out_and_mistakes_told():
    known = profile({"x": np.arange(10.0)}, np.zeros(10))
    assert psi(known, {"y": np.arange(3.0), "x": np.empty(0)}) == {}
    with pytest.raises(InvalidInput, match="strings now"):
        psi(known, {"x": np.array(["a"], dtype=object)})
    with pytest.raises(InvalidInput, match="'score'"):
        profile({"score": np.ones(3)}, np.ones(3))
    for columns, scores in (({}, np.empty(0)), ({"x": np.ones(2)}, np.ones(3))):
        with pytest.raises(InvalidInput, match="needs rows"):
            profile(columns, scores)


def test_a_profile_is_small():
    random = np.random.default_rng(3)
    known = profile(_columns(random, 50_000), random.random(50_000))
    assert len(json.dumps(known)) < 20_000
