from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import EvidenceMissing, InvalidInput
from modelloop.train.search import choice, integer, real, search

SPACE = {"depth": integer(2, 12), "rate": real(0.001, 1, log=True), "kind": choice("a", "b", None)}


def _bowl(params):
    return (params["depth"] - 7) ** 2 + abs(params["rate"] - 0.1) + (params["kind"] != "b")


@pytest.mark.parametrize("method", ["tpe", "random"])
def test_the_same_seed_asks_the_same_and_the_best_is_the_best(method, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        first, again, other = (
            search(_bowl, SPACE, trials=20, seed=seed, direction="lower", metric="loss", method=method)
            for seed in (1, 1, 2)
        )
    asked = [trial.params for trial in first.trials]
    assert asked == [trial.params for trial in again.trials]
    assert asked != [trial.params for trial in other.trials]
    assert first.trials[first.best].value == min(trial.value for trial in first.trials)
    assert first.params == first.trials[first.best].params
    assert [trial.number for trial in first.trials] == list(range(20))
    assert capfd.readouterr() == ("", "")


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_what_is_asked_lies_in_the_space(seed):
    for trial in search(_bowl, SPACE, trials=5, seed=seed, direction="lower", metric="loss", method="random").trials:
        assert 2 <= trial.params["depth"] <= 12
        assert isinstance(trial.params["depth"], int)
        assert 0.001 <= trial.params["rate"] <= 1
        assert trial.params["kind"] in ("a", "b", None)


def test_higher_is_better_when_asked():
    study = search(
        lambda p: p["x"], {"x": integer(1, 9)}, trials=9, seed=0, direction="higher", metric="auc", method="grid"
    )
    assert study.params == {"x": 9}


def test_a_grid_visits_each_point_once_and_ends():
    space = {"a": integer(1, 3), "b": choice(True, False)}
    study = search(lambda p: p["a"] + p["b"], space, trials=50, seed=3, direction="lower", metric="loss", method="grid")
    assert len(study.trials) == 6
    assert len({(trial.params["a"], trial.params["b"]) for trial in study.trials}) == 6
    assert study.params == {"a": 1, "b": False}
    part = search(lambda p: p["a"] + p["b"], space, trials=4, seed=3, direction="lower", metric="loss", method="grid")
    assert len({(trial.params["a"], trial.params["b"]) for trial in part.trials}) == 4
    with pytest.raises(InvalidInput, match="cannot list the numbers of 'rate'"):
        search(_bowl, SPACE, trials=2, seed=0, direction="lower", metric="loss", method="grid")


def test_ties_go_to_the_first():
    study = search(lambda _: 1.0, SPACE, trials=5, seed=0, direction="lower", metric="loss")
    assert study.best == 0


def test_a_value_that_is_not_finite_never_wins():
    def sometimes(params):
        return float("nan") if params["kind"] == "a" else float("-inf") if params["kind"] is None else 3.0

    study = search(sometimes, SPACE, trials=30, seed=0, direction="lower", metric="loss", method="random")
    assert study.params["kind"] == "b"
    assert {trial.value for trial in study.trials} == {None, 3.0}
    with pytest.raises(EvidenceMissing, match="None of 3 trials"):
        search(lambda _: float("nan"), SPACE, trials=3, seed=0, direction="lower", metric="loss")


def test_mistakes_are_told():
    for wrong in ({"direction": "up"}, {"method": "magic"}, {"trials": 0}):
        with pytest.raises(InvalidInput):
            search(_bowl, SPACE, **({"trials": 1, "seed": 0, "direction": "lower", "metric": "loss"} | wrong))
    with pytest.raises(InvalidInput, match="log scale"):
        real(0, 1, log=True)
    with pytest.raises(InvalidInput):
        integer(5, 1)
    with pytest.raises(InvalidInput):
        choice()


def test_what_the_objective_raises_is_not_hidden():
    with pytest.raises(EvidenceMissing, match=r"None of 1 trials.*ZeroDivisionError: division by zero") as caught:
        search(lambda _: 1 / 0, SPACE, trials=1, seed=0, direction="lower", metric="loss")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
