"""Descents reach the lowest point within the bounds, say how far to trust it, and count what they ask."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import EvidenceMissing, InvalidInput
from modelloop.train.domains import choice, integer, real, when
from modelloop.train.gradients import Differentiable, descend, mean_of, nested, per_feature, ridge
from modelloop.train.gradients.descent import METHODS


class Bowl:
    """The squared distance from a place; on a log scale where `log`."""

    def __init__(self, **lowest):
        self.lowest, self.tolerances = lowest, []

    @property
    def names(self):
        return tuple(self.lowest)

    @property
    def size(self):
        return len(self.lowest)

    def __call__(self, params):
        return self.value_and_gradient(params)[0]

    def value_and_gradient(self, params):
        far = {name: params[name] - at for name, at in self.lowest.items()}
        return 1 + sum(each**2 for each in far.values()), {name: 2 * each for name, each in far.items()}

    def loosen(self, tolerance):
        self.tolerances.append(tolerance)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(METHODS), st.floats(-3, 3), st.floats(0.02, 30), st.booleans())
def test_the_lowest_point_within_the_bounds_is_found(method, a, b, log):
    space = {"a": real(-1, 2), "b": real(0.1, 10, log=log)}
    found = descend(Bowl(a=a, b=b), space, trials=300, seed=1, method=method, restarts=0)
    expected = {"a": min(max(a, -1.0), 2.0), "b": min(max(b, 0.1), 10.0)}
    assert found.params == pytest.approx(expected, abs=0.1 if method == "hoag" else 0.03)
    assert all(space[name].low <= value <= space[name].high for name, value in found.params.items())


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_the_size_of_the_loss_makes_no_difference(size):
    class Scaled(Bowl):
        def value_and_gradient(self, params):
            value, gradient = super().value_and_gradient(params)
            return size * value, {name: size * slope for name, slope in gradient.items()}

    space = {"a": real(-3, 3), "b": real(0.1, 10, log=True)}
    found = descend(Scaled(a=1.0, b=5.0), space, trials=60, seed=1, restarts=0)
    assert found.params == pytest.approx({"a": 1.0, "b": 5.0}, abs=0.01)


def test_a_bound_that_holds_it_back_is_named():
    found = descend(Bowl(a=5.0, b=1.0), {"a": real(-1, 2), "b": real(0.1, 10, log=True)}, trials=50, seed=1)
    assert found.at_bounds == ("a",)
    assert isinstance(Bowl(a=1), Differentiable)


def test_a_range_of_one_number_stays_there():
    found = descend(Bowl(a=1.0, b=7.0), {"a": real(-3, 3), "b": real(2, 2)}, trials=50, seed=1)
    assert found.params == pytest.approx({"a": 1.0, "b": 2.0}, abs=1e-4)
    assert found.at_bounds == ()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("trials", [1, 2, 7])
def test_no_more_is_asked_than_allowed_and_each_is_told(method, trials):
    told = []
    problem = Bowl(a=1.0, b=2.0)
    space = {"a": real(-30, 30), "b": real(1, 10, log=True)}
    found = descend(problem, space, trials=trials, seed=1, method=method, tell=lambda *each: told.append(each))
    assert found.evaluations == len(told) <= trials
    assert found.value == min(value for _, value, _ in told)
    assert found.params in [params for params, _, _ in told]
    assert all(seconds >= 0 for _, _, seconds in told)


def test_restarts_find_the_deeper_of_two_valleys_and_the_seed_repeats_them():
    class Two(Bowl):
        def value_and_gradient(self, params):
            a = params["a"]
            return math.cos(a) + 0.1 * a, {"a": -math.sin(a) + 0.1}

    space = {"a": real(-12, 16)}
    alone = descend(Two(a=0), space, trials=200, seed=3, restarts=0)
    several, again = (descend(Two(a=0), space, trials=200, seed=3, restarts=8) for _ in range(2))
    assert several.value < alone.value - 0.1
    assert several.params == pytest.approx({"a": -3 * math.pi - 0.1}, abs=0.01)
    assert len(several.starts) == 9
    assert several.params == again.params
    assert several.value == min(several.starts)


def test_a_start_is_where_it_begins():
    first = []
    space = {"a": real(-10, 10), "b": real(0.001, 10, log=True)}
    descend(
        Bowl(a=1, b=1),
        space,
        trials=1,
        seed=1,
        start={"b": 0.5},
        tell=lambda *each: first.extend(each),
    )
    assert first[0] == pytest.approx({"a": 0.0, "b": 0.5})
    with pytest.raises(InvalidInput, match="start a = 99 lies outside"):
        descend(Bowl(a=1, b=1), space, trials=1, seed=1, start={"a": 99})


@pytest.mark.parametrize("method", ["adam", "hoag"])
def test_the_inner_problem_is_solved_better_with_each_step(method):
    problem = Bowl(a=1.0)
    descend(problem, {"a": real(-3, 3)}, trials=40, seed=1, method=method, restarts=0)
    steps = problem.tolerances[:-1]
    assert steps[0] == 1e-3
    assert steps == sorted(steps, reverse=True)
    assert problem.tolerances[-1] == 1e-12


def test_losses_that_are_not_finite_are_told_as_failed():
    class Holes(Bowl):
        def value_and_gradient(self, params):
            value, gradient = super().value_and_gradient(params)
            return (math.inf if params["a"] > 2 else value), gradient

    told = []
    found = descend(
        Holes(a=1.0), {"a": real(-5, 9.2)}, trials=90, seed=1, restarts=5, tell=lambda *each: told.append(each[1])
    )
    assert math.isnan(told[0])
    assert found.params == pytest.approx({"a": 1.0}, abs=1e-3)
    with pytest.raises(EvidenceMissing, match="None of"):
        descend(Holes(a=1.0), {"a": real(3, 5)}, trials=9, seed=1)


@pytest.mark.parametrize(
    ("space", "more", "says"),
    [
        ({"a": real(0, 1)}, {"method": "newton"}, "no descent 'newton'"),
        ({"a": real(0, 1)}, {"trials": 0}, "0 trials"),
        ({}, {}, "Without a range: a"),
        ({"a": real(0, 1), "z": real(0, 1)}, {}, "unknown to the problem: z"),
        ({"a": integer(0, 3)}, {}, "'a' is Integer"),
        ({"a": choice(0, 3)}, {}, "'a' is Choice"),
        ({"a": when(real(0, 3), z=1)}, {}, "'a' is When"),
    ],
)
def test_bad_searches_are_refused(space, more, says):
    with pytest.raises(InvalidInput, match=says):
        descend(Bowl(a=1), space, **({"trials": 5, "seed": 1} | more))


def noisy(seed=0, rows=400, features=30):
    chance = np.random.default_rng(seed)
    weights = np.where(np.arange(features) < 5, 1.0, 0.0)
    x = chance.normal(size=(rows, features))
    return x, x @ weights + 2 * chance.normal(size=rows)


@pytest.mark.parametrize("method", METHODS)
def test_a_penalty_for_each_feature_finds_those_that_matter(method):
    x, y = noisy()
    problem = ridge((x[:200], y[:200]), (x[200:], y[200:]), penalty="feature")
    one = ridge((x[:200], y[:200]), (x[200:], y[200:]))
    space = per_feature("penalty", 30, real(1e-2, 1e5, log=True))
    found = descend(problem, space, trials=80, seed=1, method=method, restarts=0)
    single = descend(one, {"penalty": real(1e-2, 1e5, log=True)}, trials=40, seed=1)
    assert found.value < 0.93 * single.value
    penalties = np.array([found.params[f"penalty[{index}]"] for index in range(30)])
    assert np.median(penalties[:5]) * (5 if method == "hoag" else 20) < np.median(penalties[5:])


def test_what_chose_the_parameters_flatters_them_and_the_result_says_so():
    x, y = noisy(rows=5150)
    parts = (x[:100], y[:100]), (x[100:150], y[100:150])
    space = per_feature("penalty", 30, real(1e-2, 1e5, log=True))
    blind = descend(ridge(*parts, penalty="feature"), space, trials=60, seed=1)
    assert blind.held_out is None
    assert "flatters" in blind.says()
    assert "nested" in blind.says()
    honest = descend(ridge(*parts, held_out=(x[150:], y[150:]), penalty="feature"), space, trials=60, seed=1)
    assert honest.params == blind.params
    assert honest.value < honest.held_out.low
    assert "5000 rows that chose nothing" in honest.says()


def test_nested_tuning_judges_each_row_once_by_what_it_did_not_choose():
    x, y = noisy(rows=300)
    judged = []

    def make(train, valid, test):
        assert not set(train) & set(valid)
        assert not set(test) & (set(train) | set(valid))
        judged.extend(test.tolist())
        return ridge((x[train], y[train]), (x[valid], y[valid]), held_out=(x[test], y[test]), penalty="feature")

    space = per_feature("penalty", 30, real(1e-2, 1e5, log=True))
    found = nested(make, 300, space, trials=40, seed=1)
    assert sorted(judged) == list(range(300))
    assert len(found.folds) == 5
    assert found.flattery > 0.3
    assert found.estimate.low < found.estimate.value < found.estimate.high
    assert found.estimate.rows == 300
    # the noise alone has a variance of 4
    assert found.tuned < found.estimate.value
    assert found.estimate.high > 4
    with pytest.raises(InvalidInput, match="no held_out rows"):
        nested(lambda train, valid, _: ridge((x[train], y[train]), (x[valid], y[valid])), 300,
               {"penalty": real(1, 2)}, trials=2, seed=1)  # fmt: skip
    with pytest.raises(InvalidInput, match="5 folds of 4 rows"):
        nested(make, 4, space, trials=4, seed=1)


def test_a_mean_of_folds_is_a_problem_too():
    x, y = noisy(rows=120)
    first = ridge((x[:60], y[:60]), (x[60:], y[60:]), penalty="feature")
    second = ridge((x[60:], y[60:]), (x[:60], y[:60]), penalty="feature")
    both = mean_of([first, second])
    assert isinstance(both, Differentiable)
    params = dict.fromkeys(both.names, 3.0)
    value, gradient = both.value_and_gradient(params)
    assert value == pytest.approx((first(params) + second(params)) / 2)
    assert both(params) == pytest.approx(value)
    slopes = first.value_and_gradient(params)[1], second.value_and_gradient(params)[1]
    assert gradient["penalty[7]"] == pytest.approx((slopes[0]["penalty[7]"] + slopes[1]["penalty[7]"]) / 2)
    assert both.size == 30
    with pytest.raises(InvalidInput, match="same hyper-parameters"):
        mean_of([first, ridge((x, y), (x, y))])
