"""Torch modules: derivatives as of the closed form and of finite differences; loops of one's own; clear refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.domains import real
from modelloop.train.gradients import Differentiable, descend, per_feature, ridge, torch_problem

CHANCE = np.random.default_rng(4)
X, X_VALID = CHANCE.normal(size=(60, 5)), CHANCE.normal(size=(40, 5))
WEIGHTS = np.array([1.0, -2.0, 0.0, 0.0, 0.5])
Y, Y_VALID = X @ WEIGHTS + CHANCE.normal(size=60), X_VALID @ WEIGHTS + CHANCE.normal(size=40)
TENSORS = {name: torch.tensor(values) for name, values in {"x": X, "y": Y, "xv": X_VALID, "yv": Y_VALID}.items()}
PARAMS = {f"penalty[{index}]": float(value) for index, value in enumerate([0.5, 3.0, 20.0, 1.0, 7.0])}


def linear():
    torch.manual_seed(0)
    return torch.nn.Linear(5, 1).double()


def squares(module, hyper):
    error = module(TENSORS["x"])[:, 0] - TENSORS["y"]
    return 0.5 * (error**2).sum() + 0.5 * (hyper["penalty"] * module.weight[0] ** 2).sum()


def mean_square(module):
    return ((module(TENSORS["xv"])[:, 0] - TENSORS["yv"]) ** 2).mean()


@pytest.mark.parametrize(("solver", "terms"), [("cg", 1), ("neumann", 400)])
def test_a_linear_module_gives_what_the_closed_form_gives(solver, terms):
    problem = torch_problem(linear(), squares, mean_square, {"penalty": 5}, solver=solver, terms=terms)
    assert isinstance(problem, Differentiable)
    closed = ridge((X, Y), (X_VALID, Y_VALID), penalty="feature")
    assert problem.names == closed.names
    assert problem.size == 5
    value, gradient = problem.value_and_gradient(PARAMS)
    expected, slopes = closed.value_and_gradient(PARAMS)
    assert value == pytest.approx(expected, rel=1e-7)
    assert problem(PARAMS) == pytest.approx(expected, rel=1e-7)
    assert gradient == pytest.approx(slopes, rel=1e-5, abs=1e-8)


def test_few_terms_of_the_series_point_the_same_way():
    rough = torch_problem(linear(), squares, mean_square, {"penalty": 5}, solver="neumann", terms=3)
    exact = torch_problem(linear(), squares, mean_square, {"penalty": 5})
    first, second = (np.array(list(each.value_and_gradient(PARAMS)[1].values())) for each in (rough, exact))
    assert first @ second > 0.9 * np.linalg.norm(first) * np.linalg.norm(second)
    assert not np.allclose(first, second, rtol=1e-3)


def test_a_network_and_hyper_parameters_deep_in_its_loss_agree_with_finite_differences():
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)).double()

    def loss(network, hyper):
        error = network(TENSORS["x"])[:, 0] - TENSORS["y"]
        spread = torch.log1p(hyper["sharp"] * error**2).mean()
        return spread + sum((weight**2).sum() for weight in network.parameters()) * hyper["decay"]

    problem = torch_problem(module, loss, mean_square, {"decay": None, "sharp": None})
    params = {"decay": 0.05, "sharp": 1.5}
    for _ in range(3):  # a network settles slowly; each fit goes on where the last ended
        value, gradient = problem.value_and_gradient(params)
    for name, at in params.items():
        up, down = (problem({**params, name: at * (1 + sign * 1e-3)}) for sign in (1, -1))
        assert gradient[name] == pytest.approx((up - down) / (2e-3 * at), rel=1e-3)
    assert value == pytest.approx(problem(params), rel=1e-6)


def test_a_loop_of_ones_own_trains_and_the_users_module_stays_as_it_was():
    module, trained = linear(), []
    before = module.weight.detach().clone()

    def fit(own, loss):
        steps = torch.optim.SGD(own.parameters(), lr=0.005)
        for _ in range(3000):
            steps.zero_grad()
            loss().backward()
            steps.step()
        trained.append(own)

    problem = torch_problem(module, squares, mean_square, {"penalty": 5}, fit=fit)
    expected = ridge((X, Y), (X_VALID, Y_VALID), penalty="feature").value_and_gradient(PARAMS)
    value, gradient = problem.value_and_gradient(PARAMS)
    assert value == pytest.approx(expected[0], rel=1e-5)
    assert gradient == pytest.approx(expected[1], rel=1e-3, abs=1e-5)
    assert trained == [problem.module]
    assert torch.equal(module.weight, before)
    assert problem.module.weight.requires_grad


def test_a_descent_goes_through_torch_as_through_the_closed_form():
    space = per_feature("penalty", 5, real(1e-2, 1e3, log=True))
    problem = torch_problem(linear(), squares, mean_square, {"penalty": 5})
    closed = ridge((X, Y), (X_VALID, Y_VALID), penalty="feature")
    ours = descend(problem, space, trials=25, seed=1, restarts=0)
    theirs = descend(closed, space, trials=25, seed=1, restarts=0)
    assert ours.value == pytest.approx(theirs.value, rel=1e-4)
    rough = descend(problem, space, trials=40, seed=1, restarts=0, method="hoag")
    assert rough.value == pytest.approx(theirs.value, rel=0.02)


def make(loss=squares, hyper=None, module=None, **more):
    return torch_problem(module or linear(), loss, mean_square, {"penalty": 5} if hyper is None else hyper, **more)


def frozen():
    return linear().requires_grad_(requires_grad=False)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"solver": "magic"}, "solver='magic'"),
        ({"terms": 0}, "terms=0"),
        ({"damping": -1.0}, "damping=-1.0"),
        ({"hyper": {}}, "no hyper-parameter"),
        ({"hyper": {"penalty": 0}}, "the size 0"),
        ({"module": frozen()}, "no weights that learn"),
    ],
)
def test_bad_problems_are_refused(more, says):
    with pytest.raises(InvalidInput, match=says):
        make(**more)


def concave(module, hyper):
    return -0.5 * (module.weight**2).sum() * hyper["penalty"].sum()


@pytest.mark.parametrize(
    ("params", "more", "says"),
    [
        ({}, {}, r"needs 'penalty\[0\]'"),
        (PARAMS | {"penalty[2]": float("nan")}, {}, "penalty has a value that is not finite"),
        (PARAMS, {"loss": lambda module, hyper: squares(module, hyper) * float("nan")}, "training loss is not finite"),
        (PARAMS | {"other": 1.0}, {"hyper": {"penalty": 5, "other": None}}, "does not depend on 'other'"),
        (PARAMS, {"loss": concave, "fit": lambda *_: None}, "not convex where training ended"),
    ],
)
def test_bad_training_is_refused(params, more, says):
    with pytest.raises(InvalidInput, match=says):
        make(**more).value_and_gradient(params)


def test_training_that_blows_up_is_refused():
    def burst(module, loss):
        with torch.no_grad():
            module.weight.mul_(float("inf"))

    with pytest.raises(InvalidInput, match="weights that are not finite"):
        make(fit=burst)(PARAMS)
