"""Methods, pruning, earlier studies, several objectives, several processes."""

from __future__ import annotations

import math
import random
import statistics
import time

import numpy as np
import pytest

from modelloop.ground.core.errors import Conflict, InvalidInput, NotFound
from modelloop.train.gradients.linear import ridge
from modelloop.train.gradients.problem import per_feature
from modelloop.train.parallel.own import OwnCrew
from modelloop.train.search import choice, integer, nested, real, search, when

SPACE = {"x": real(-5, 5), "y": real(1e-4, 10, log=True), "n": integer(1, 40), "k": choice("a", "b")}
GIVEN = {"direction": "lower", "metric": "loss"}


def bowl(params):
    kind = 0.0 if params["k"] == "b" else 1.0
    return (params["x"] - 1) ** 2 + abs(params["y"] - 0.1) + abs(params["n"] - 12) / 20 + kind


def stepwise(trying):
    value = 1.0
    for step in range(20):
        value = abs(trying["x"]) + 1 / (step + 1)
        trying.report(step, value)
    return value


def on_two_processes(trying):
    time.sleep(0.01)
    return trying["x"] ** 2 + float(trying.data["shift"])


def hangs(trying):
    if trying["x"] > 0:
        time.sleep(60)
    return trying["x"]


@pytest.mark.parametrize("method", ["tpe", "cmaes", "nsga2"])
def test_methods_learn(method):
    def usual(which):
        count = 200 if method == "nsga2" else 80  # it learns by generations
        studies = [search(bowl, SPACE, trials=count, seed=s, method=which, weights="none", **GIVEN) for s in range(5)]
        return statistics.median(study.trial(study.best).value for study in studies)

    assert usual(method) < usual("random")


def test_gp_learns():
    pytest.importorskip("torch")
    space = {"x": real(-5, 5), "z": real(-5, 5)}
    study = search(lambda p: (p["x"] - 1) ** 2 + p["z"] ** 2, space, trials=14, seed=1, method="gp", **GIVEN)
    assert study.trial(study.best).value < 2
    assert study.method == "gp"


@pytest.mark.parametrize("pruner", ["median", "asha", "hyperband"])
def test_pruning_saves_steps_and_keeps_curves(pruner):
    study = search(stepwise, {"x": real(-5, 5)}, trials=60, seed=3, pruner=pruner, method="random", **GIVEN)
    pruned = [trial for trial in study.trials if trial.state == "pruned"]
    assert study.cost.pruned == len(pruned) > 5
    assert all(trial.value is None and 0 < len(trial.curve) <= 20 for trial in pruned)
    assert study.trial(study.best).state == "done"
    assert f"random with {pruner}" in study.text()
    again = search(stepwise, {"x": real(-5, 5)}, trials=60, seed=3, pruner=pruner, method="random", **GIVEN)
    assert [trial.state for trial in again.trials] == [trial.state for trial in study.trials]


def test_odd_reports_do_not_upset_a_pruner():
    def odd(trying):
        for step, value in ((0, float("nan")), (0, 1.0), (5, float("inf")), (2, 0.5)):
            trying.report(step, value)
        return trying["x"]

    study = search(odd, {"x": real(0, 1)}, trials=20, seed=3, pruner="median", **GIVEN)
    assert study.cost.failed == 0
    assert all(math.isfinite(number) for trial in study.trials for _, number in trial.curve)


@pytest.mark.parametrize("method", ["nsga2", "random", "tpe", "grid"])
def test_of_several_objectives_the_front_is_told(method):
    space = {"a": integer(0, 20), "b": choice(0, 1)}

    def both(params):
        return {"size": float(params["a"]), "hits": params["a"] ** 0.5 - 3 * params["b"]}

    study = search(
        both, space, trials=120, seed=1, direction={"hits": "higher", "size": "lower"}, method=method
    )  # fmt: skip
    assert dict(study.goals) == {"hits": "higher", "size": "lower"}
    front = [study.trial(number) for number in study.front]
    assert all(trial.params["b"] == 0 for trial in front)
    for trial in study.trials:
        beaten = [
            one for one in study.trials
            if one.values["hits"] >= trial.values["hits"] and one.values["size"] <= trial.values["size"]
            and one.values != trial.values
        ]  # fmt: skip
        assert (trial.number in study.front) == (not beaten)
    assert study.best in study.front
    assert "beaten by no other" in study.text()


def test_earlier_studies_help_and_their_scores_never_win():
    old = search(bowl, SPACE, trials=60, seed=1, **GIVEN)
    wider = dict(SPACE) | {"x": real(-50, 50), "extra": real(0, 1)}
    wider.pop("k")
    new = search(lambda p: bowl({**p, "k": "b"}) + 100, wider, trials=15, seed=2, warm_start=old, **GIVEN)
    assert len(new.trials) == 15
    first = old.trial(old.best).params
    assert new.trials[0].params["x"] == first["x"]
    assert new.trials[0].params["n"] == first["n"]
    assert 0 <= new.trials[0].params["extra"] <= 1
    assert new.trial(new.best).value >= 100
    cold = search(lambda p: bowl({**p, "k": "b"}) + 100, wider, trials=15, seed=2, **GIVEN)
    assert new.trial(new.best).value < cold.trial(cold.best).value


@pytest.mark.parametrize("method", ["tpe", "random", "grid", "cmaes", "nsga2"])
def test_every_method_takes_earlier_studies_and_first_points(method):
    space = {"n": integer(1, 40), "m": integer(1, 4), "d": when(integer(1, 2), m=4)}
    earlier = search(lambda p: p["n"], {"n": integer(-3, 40), "m": choice(2, "x")}, trials=30, seed=1, **GIVEN)
    other = search(lambda p: p["n"], {"n": integer(30, 40)}, trials=5, seed=1, direction="higher", metric="auc")
    study = search(
        lambda p: p["n"] + p["m"], space, trials=30, seed=1, method=method, warm_start=[earlier, other],
        start=[{"n": 17, "m": 3}], **GIVEN,
    )  # fmt: skip
    assert study.trials[0].params == {"n": 17, "m": 3}
    assert study.cost.failed == 0


def test_studies_are_taken_over_by_name(ctx):
    search(bowl, SPACE, trials=10, seed=1, store=ctx, name="erste", **GIVEN)
    new = search(bowl, SPACE, trials=4, seed=5, warm_start="erste", store=ctx, name="zweite", **GIVEN)
    assert new.name == "zweite"
    with pytest.raises(NotFound, match=r"no study 'erst'.*Did you mean 'erste'"):
        search(bowl, SPACE, trials=4, seed=5, warm_start="erst", store=ctx, name="dritte", **GIVEN)
    with pytest.raises(Conflict, match="is about something else: seed: 1 then, 2 now"):
        search(bowl, SPACE, trials=10, seed=2, store=ctx, name="erste", **GIVEN)


class Told(OwnCrew):
    """A crew of the caller's, that tells reports only through `next`, before the trial is over."""

    def __init__(self, objective):
        super().__init__(objective, data={})
        self.stopped, self.closed = [], False

    def stop(self, number):
        self.stopped.append(number)
        super().stop(number)

    def close(self):
        self.closed = True


def test_the_callers_own_crew_is_used_and_left_open():
    crew = Told(stepwise)
    study = search(
        stepwise, {"x": real(-5, 5)}, trials=30, seed=3, pruner="median", method="random", crew=crew, **GIVEN
    )
    assert len(study.trials) == 30
    assert crew.stopped
    assert not crew.closed


def test_two_processes_share_data_and_trials():
    study = search(
        on_two_processes, {"x": real(-1, 1)}, trials=12, seed=1, processes=2, data={"shift": 7.0}, method="random",
        **GIVEN,
    )  # fmt: skip
    alone = search(
        on_two_processes, {"x": real(-1, 1)}, trials=12, seed=1, data={"shift": 7.0}, method="random", **GIVEN
    )
    assert [trial.params for trial in study.trials] == [trial.params for trial in alone.trials]
    assert study.best == alone.best
    assert study.trial(study.best).value >= 7


def test_a_trial_that_hangs_is_ended():
    began = time.monotonic()
    study = search(hangs, {"x": choice(-1, 1)}, trials=2, seed=1, method="grid", trial_limit=1.0, **GIVEN)
    assert time.monotonic() - began < 30
    assert {trial.params["x"]: trial.state for trial in study.trials} == {-1: "done", 1: "failed"}


def test_gradients_go_on_where_they_were(ctx):
    problem, space = _ridge()
    whole = search(problem, space, trials=25, seed=1, method="gradient", **GIVEN)
    assert whole.trial(whole.best).value == min(trial.value for trial in whole.trials)
    assert whole.method == "gradient"
    assert whole.trial(whole.best).value < whole.trials[0].value
    for trials in (4, 9, 25):
        parts = search(problem, space, trials=trials, seed=1, method="gradient", store=ctx, name="steps", **GIVEN)
    assert [(t.number, t.params, t.value) for t in parts.trials] == [
        (t.number, t.params, t.value) for t in whole.trials
    ]
    again = search(problem, space, trials=25, seed=1, method="gradient", store=ctx, name="steps", **GIVEN)
    assert again.cost == parts.cost
    with pytest.raises(InvalidInput, match="direction='lower'"):
        search(problem, space, trials=4, seed=1, method="gradient", direction="higher", metric="r2")


def _ridge():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 6))
    y = x[:, 0] * 2 + rng.normal(size=120)
    problem = ridge((x[:60], y[:60]), (x[60:], y[60:]), penalty="feature")
    return problem, per_feature("penalty", 6, real(1e-3, 1e4, log=True))


def test_nested_validation_judges_on_what_no_search_saw():
    truth = [random.Random(fold).gauss(0, 0.05) for fold in range(4)]

    def fit(trying):
        assert trying.data["fold"] in range(4)
        return (trying["x"] - 0.3) ** 2

    found = nested(
        fit, lambda params, fold: (params["x"] - 0.3) ** 2 + 1 + truth[fold], {"x": real(0, 1)},
        folds=4, trials=15, seed=1, **GIVEN,
    )  # fmt: skip
    assert len(found.studies) == len(found.values) == 4
    assert found.low < found.mean < found.high
    assert 0.9 < found.mean < 1.2
    assert "on 4 folds" in found.text()
    with pytest.raises(InvalidInput):
        nested(fit, lambda *_: 1.0, {"x": real(0, 1)}, folds=1, trials=5, seed=1, **GIVEN)
