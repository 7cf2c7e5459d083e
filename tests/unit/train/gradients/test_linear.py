"""Gradients equal finite differences, fits equal scikit-learn's, conjugate gradients equal the closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.gradients import logistic, per_feature, ridge

SHAPES = st.sampled_from([(60, 5), (8, 30), (30, 12), (3, 1), (5, 2), (2, 4)])


def rows(chance, n, features, *, collinear=False):
    x = chance.normal(size=(n, features)) * chance.uniform(0.3, 3, features) + chance.normal(size=features)
    if collinear and features > 1:
        x[:, 1] = 2 * x[:, 0] - 1
    return x


def problem_data(seed, shape, *, collinear=False):
    chance = np.random.default_rng(seed)
    n, features = shape
    weights = chance.normal(size=features)
    x, x_valid = rows(chance, n, features, collinear=collinear), rows(chance, 25, features, collinear=collinear)
    return chance, x, x @ weights + chance.normal(size=n), x_valid, x_valid @ weights + chance.normal(size=25)


def classes(y):
    labels = (y > np.median(y)).astype(float)
    labels[0], labels[-1] = 0.0, 1.0
    return labels


def differs(problem, params, *, step=1e-3):
    """Return how far the gradient is from central differences of fourth order, by the logarithm, and these's size."""
    value, gradient = problem.value_and_gradient(params)
    assert value == pytest.approx(problem(params), rel=1e-9)
    assert set(gradient) == set(params) == set(problem.names)
    ours = np.array([gradient[name] * params[name] for name in params])
    others = []
    for name, at in params.items():
        near = {k: problem({**params, name: at * (1 + k * step)}) for k in (-2, -1, 1, 2)}
        others.append((near[-2] - 8 * near[-1] + 8 * near[1] - near[2]) / (12 * step))
    # the rounding of a large value is most of a small difference: 1e-8 of it is as far as differences see
    return np.abs(ours - np.array(others)).max(), max(np.abs(others).max(), 1e-3 * abs(value))


def drawn(chance, problem):
    return {name: float(np.exp(chance.uniform(-2.5, 2.5))) for name in problem.names}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6), SHAPES, st.booleans(), st.sampled_from(["all", "feature"]),
    st.sampled_from(["closed", "cg"]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_the_gradient_of_ridge_is_that_of_finite_differences(seed, shape, collinear, penalty, solver, intercept, many):
    chance, x, y, x_valid, y_valid = problem_data(seed, shape, collinear=collinear)
    if many:
        y, y_valid = np.column_stack([y, y**2]), np.column_stack([y_valid, np.sin(y_valid)])
    weight = chance.uniform(0.2, 2, len(x))
    problem = ridge((x, y, weight), (x_valid, y_valid), penalty=penalty, solver=solver, intercept=intercept)
    off, size = differs(problem, drawn(chance, problem))
    assert off <= 1e-5 * size


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6), SHAPES, st.booleans(), st.sampled_from(["all", "feature"]),
    st.sampled_from(["closed", "cg"]), st.booleans(),
)  # fmt: skip
def test_the_gradient_of_logistic_is_that_of_finite_differences(seed, shape, collinear, penalty, solver, intercept):
    chance, x, y, x_valid, y_valid = problem_data(seed, shape, collinear=collinear)
    weight = chance.uniform(0.2, 2, len(x))
    problem = logistic(
        (x, classes(y), weight), (x_valid, classes(y_valid)), penalty=penalty, solver=solver, intercept=intercept
    )
    off, size = differs(problem, drawn(chance, problem))
    assert off <= 1e-5 * size


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), SHAPES, st.sampled_from([ridge, logistic]), st.sampled_from(["closed", "cg"]))
def test_weights_of_row_groups_have_gradients_too(seed, shape, kind, solver):
    chance, x, y, x_valid, y_valid = problem_data(seed, shape)
    if kind is logistic:
        y, y_valid = classes(y), classes(y_valid)
    groups = ["old" if index % 3 else "new" for index in range(len(x))]
    problem = kind((x, y), (x_valid, y_valid), row_groups=groups, solver=solver)
    assert problem.names == ("penalty", *(f"weight[{group}]" for group in dict.fromkeys(groups)))
    off, size = differs(problem, drawn(chance, problem))
    assert off <= 1e-5 * size


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(60, 5), (8, 30), (30, 12), (5, 2)]), st.sampled_from([ridge, logistic]))
def test_elastic_penalties_have_gradients_where_no_weight_begins_to_move(seed, shape, kind):
    chance, x, y, x_valid, y_valid = problem_data(seed, shape)
    if kind is logistic:
        y, y_valid = classes(y), classes(y_valid)
    problem = kind((x, y), (x_valid, y_valid), penalty="feature", lasso="feature")
    params = drawn(chance, problem)
    moving = problem.coefficients(params).weights != 0
    for name in params:  # at a kink there is no derivative
        for factor in (1 - 3e-3, 1 + 3e-3):
            near = problem.coefficients({**params, name: params[name] * factor}).weights != 0
            assume((near == moving).all())
    off, size = differs(problem, params)
    assert off <= 1e-5 * size


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), SHAPES, st.sampled_from([ridge, logistic]))
def test_conjugate_gradients_give_what_the_closed_form_gives(seed, shape, kind):
    chance, x, y, x_valid, y_valid = problem_data(seed, shape)
    if kind is logistic:
        y, y_valid = classes(y), classes(y_valid)
    closed, cg = (kind((x, y), (x_valid, y_valid), penalty="feature", solver=solver) for solver in ("closed", "cg"))
    params = drawn(chance, closed)
    (value, gradient), (other, others) = closed.value_and_gradient(params), cg.value_and_gradient(params)
    assert other == pytest.approx(value, rel=1e-8)
    size = max(map(abs, gradient.values()))
    assert others == pytest.approx(gradient, abs=1e-6 * size)


def test_fits_are_those_of_scikit_learn():
    chance, x, y, x_valid, y_valid = problem_data(3, (80, 6))
    weight = chance.uniform(0.2, 2, 80)
    ours = ridge((x, y, weight), (x_valid, y_valid)).coefficients({"penalty": 2.5})
    theirs = Ridge(alpha=2.5).fit(x, y, sample_weight=weight)
    np.testing.assert_allclose(ours.weights[:, 0], theirs.coef_, rtol=1e-8)
    assert ours.intercept[0] == pytest.approx(theirs.intercept_)

    # alpha and l1_ratio of ElasticNet divide the squares by the rows
    ours = ridge((x, y), (x_valid, y_valid), lasso="all").coefficients(
        {"penalty": 80 * 0.3 * 0.4, "lasso": 80 * 0.3 * 0.6}
    )
    net = ElasticNet(alpha=0.3, l1_ratio=0.6, tol=1e-12, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(ours.weights[:, 0], net.coef_, rtol=1e-6, atol=1e-9)
    assert (ours.weights[:, 0] == 0).tolist() == (net.coef_ == 0).tolist()

    ours = logistic((x, classes(y), weight), (x_valid, classes(y_valid))).coefficients({"penalty": 1 / 0.7})
    fit = LogisticRegression(C=0.7, tol=1e-10, max_iter=10_000).fit(x, classes(y), sample_weight=weight)
    np.testing.assert_allclose(ours.weights[:, 0], fit.coef_[0], rtol=1e-5)
    assert ours.intercept[0] == pytest.approx(fit.intercept_[0], rel=1e-5)


@pytest.mark.parametrize("shift", [0.0, 1e7])
def test_the_intercept_bears_no_penalty_however_far_the_features_lie_from_zero(shift):
    _, x, y, x_valid, y_valid = problem_data(5, (60, 4))
    near = ridge((x, y), (x_valid, y_valid), penalty="feature")
    far = ridge((x + shift, y + 1e4), (x_valid + shift, y_valid + 1e4), penalty="feature")
    params = dict.fromkeys(near.names, 1e12)
    assert far(params) == pytest.approx(near(params), rel=1e-6)
    mean = float(np.mean((y_valid - y.mean()) ** 2))
    assert near(params) == pytest.approx(mean, rel=1e-6)


def test_the_validation_loss_is_the_mean_over_rows_weights_and_outputs():
    chance, x, y, x_valid, y_valid = problem_data(8, (40, 3))
    weight = chance.uniform(0.1, 3, 25)
    two, two_valid = np.column_stack([y, -2 * y]), np.column_stack([y_valid, y_valid])
    problem = ridge((x, two), (x_valid, two_valid, weight), held_out=(x_valid, two_valid, weight))
    model = problem.coefficients({"penalty": 0.5})
    error = (x_valid @ model.weights + model.intercept - two_valid) ** 2
    expected = np.average(error.mean(axis=1), weights=weight)
    assert problem({"penalty": 0.5}) == pytest.approx(expected)
    held = problem.held_out({"penalty": 0.5})
    assert held.value == pytest.approx(expected)
    assert held.low < held.value < held.high
    assert held.rows == 25


def test_constant_columns_and_more_features_than_rows_work_under_a_penalty():
    _, x, y, x_valid, y_valid = problem_data(1, (6, 10))
    x[:, 4], x_valid[:, 4] = 3.0, 3.0
    problem = ridge((x, y), (x_valid, y_valid), penalty="feature")
    value, gradient = problem.value_and_gradient(dict.fromkeys(problem.names, 0.1))
    assert np.isfinite(value)
    assert gradient["penalty[4]"] == pytest.approx(0, abs=1e-12)


def test_rows_made_few_in_several_parts_say_the_same(monkeypatch):
    chance, x, y, x_valid, y_valid = problem_data(2, (100, 5))
    weight = chance.uniform(0, 2, 100)
    at_once = ridge((x, y, weight), (x_valid, y_valid), penalty="feature")
    monkeypatch.setattr("modelloop.train.gradients.rows.CHUNK", 7)
    in_parts = ridge((x, y, weight), (x_valid, y_valid), penalty="feature")
    params = drawn(chance, at_once)
    assert in_parts(params) == pytest.approx(at_once(params), rel=1e-12)


def test_groups_of_features_share_a_penalty():
    _, x, y, x_valid, y_valid = problem_data(1, (40, 4))
    grouped = ridge((x, y), (x_valid, y_valid), penalty=["word", "number", "word", "number"])
    single = ridge((x, y), (x_valid, y_valid), penalty="feature")
    assert grouped.names == ("penalty[word]", "penalty[number]")
    assert set(per_feature("penalty", ["word", "number", "word"], 1)) == set(grouped.names)
    value, gradient = grouped.value_and_gradient({"penalty[word]": 2.0, "penalty[number]": 0.5})
    other, each = single.value_and_gradient({f"penalty[{i}]": (2.0, 0.5)[i % 2] for i in range(4)})
    assert value == pytest.approx(other)
    assert gradient["penalty[word]"] == pytest.approx(each["penalty[0]"] + each["penalty[2]"])


def broken(x=(), **also):
    good = np.arange(12.0).reshape(6, 2) ** 1.5
    return {"train": (good, np.arange(6.0)), "valid": (good, np.arange(6.0))} | also


NAN = np.array([[1.0, 2.0], [np.nan, 3.0], [np.inf, 4.0]])
GOOD = np.arange(12.0).reshape(6, 2) ** 1.5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train": (NAN, np.ones(3))}, r"features hold 2 values that are missing or infinite, the first at \[1, 0\]"),
        ({"valid": (GOOD, [1, 2, None, 4, 5, 6])}, "valid's targets hold 1 values"),
        ({"train": (GOOD, list("abcdef"))}, "not all numbers"),
        ({"train": (GOOD, np.ones(5))}, "does not fit together"),
        ({"train": (GOOD[:0], np.ones(0))}, "train is empty"),
        ({"valid": (GOOD[:, :1], np.ones(6))}, "train has 2 features and 1 targets, valid has 1"),
        ({"held_out": (GOOD[:, :1], np.ones(6))}, "held_out has 1"),
        ({"train": (GOOD, np.ones(6), -np.ones(6))}, "weights go down to -1"),
        ({"train": (GOOD, np.ones(6), np.zeros(6))}, "some above 0"),
        ({"train": GOOD}, "no pair of features and targets"),
        ({"penalty": "features"}, "'all', 'feature', or a group's name"),
        ({"penalty": ["a"]}, "1 groups for 2 features"),
        ({"row_groups": ["a"]}, "1 groups for 6 rows"),
        ({"solver": "magic"}, "The solver is 'magic'"),
        ({"solver": "cg", "lasso": "all"}, "without lasso"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_what_was_found(change, says):
    with pytest.raises(InvalidInput, match=says):
        ridge(**broken(**change))


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "needs 'penalty'; it was given nothing"),
        ({"alpha": 1.0}, "it was given 'alpha'"),
        ({"penalty": -1.0}, "penalty is -1.0"),
        ({"penalty": float("nan")}, "penalty is nan"),
        ({"penalty": 0.0}, "constant: feature 1"),
    ],
)
def test_bad_hyper_parameters_are_refused(params, says):
    x = np.column_stack([GOOD[:, 0], np.ones(6)])
    problem = ridge((x, np.arange(6.0)), (x, np.arange(6.0)))
    with pytest.raises(InvalidInput, match=says):
        problem.value_and_gradient(params)


def test_a_singular_problem_names_what_commonly_makes_it_so():
    _, x, y, x_valid, y_valid = problem_data(1, (4, 10))
    with pytest.raises(InvalidInput, match="10 features"):
        ridge((x, y), (x_valid, y_valid))({"penalty": 0.0})
    _, x, y, x_valid, y_valid = problem_data(1, (30, 3), collinear=True)
    with pytest.raises(InvalidInput, match="collinear"):
        ridge((x, y), (x_valid, y_valid))({"penalty": 0.0})
    with pytest.raises(InvalidInput, match=r"weight.*0"):
        ridge((x, y), (x_valid, y_valid), row_groups=["a"] * 30)({"penalty": 1.0, "weight[a]": 0.0})


def test_logistic_refuses_what_is_not_two_classes():
    with pytest.raises(InvalidInput, match=r"train has the targets \[0.0, 1.0, 2.0"):
        logistic(**broken())
    ones = (GOOD, np.ones(6))
    with pytest.raises(InvalidInput, match="one class only"):
        logistic(ones, ones)


def test_classes_that_can_be_separated_need_a_penalty():
    x = np.linspace(-1, 1, 20)[:, None]
    rows = (x, (x[:, 0] > 0).astype(float))
    assert np.isfinite(logistic(rows, rows)({"penalty": 1e-3}))
    with pytest.raises(InvalidInput, match="penalties"):
        logistic(rows, rows)({"penalty": 0.0})
