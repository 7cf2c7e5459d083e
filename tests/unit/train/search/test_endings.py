"""What goes wrong in objectives, and when a search ends."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import EvidenceMissing, InvalidInput
from modelloop.train.search import integer, plateau, real, search, target, worth
from modelloop.train.search.stopping import Seen, expected_gain

GIVEN = {"seed": 0, "direction": "lower", "metric": "loss"}
SPACE = {"x": real(0, 1)}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (float("nan"), "loss nan: no finite number"),
        (float("inf"), "loss inf: no finite number"),
        (None, "NoneType"),
        ("good", "'good'"),
        ([1, 2], "2 numbers for loss"),
        ({"other": 1.0}, "returned no loss; it returned other"),
        ({}, "returned no loss"),
        (object(), "object"),
        (1j, "complex"),
    ],
)
def test_an_answer_that_is_no_number_fails_its_trial_only(answer, told):
    study = search(lambda p: answer if p["x"] < 0.5 else p["x"], SPACE, trials=12, method="random", **GIVEN)
    failed = [trial for trial in study.trials if trial.params["x"] < 0.5]
    assert failed
    assert all(trial.state == "failed" and trial.value is None and told in trial.error for trial in failed)
    assert study.cost.failed == len(failed)
    assert study.trial(study.best).value >= 0.5
    with pytest.raises(EvidenceMissing) as caught:
        search(lambda _: answer, SPACE, trials=3, **GIVEN)
    assert "None of 3 trials gave a finite loss" in caught.value.message


def test_numbers_of_other_libraries_count():
    study = search(lambda p: np.float32(p["x"]), SPACE, trials=2, **GIVEN)
    assert all(isinstance(trial.value, float) for trial in study.trials)
    assert search(lambda p: {"loss": p["x"], "more": 1}, SPACE, trials=2, **GIVEN).cost.failed == 0


def test_what_is_raised_fails_its_trial_and_five_alike_end_the_search():
    calls = []

    def broken(params):
        calls.append(params)
        raise RuntimeError("no such column 'age'")

    with pytest.raises(EvidenceMissing, match=r"None of 5 trials.*no such column 'age'") as caught:
        search(broken, SPACE, trials=1000, **GIVEN)
    assert len(calls) == 5
    assert isinstance(caught.value.__cause__, RuntimeError)

    def unlucky(params):
        if len(calls) < 12:
            calls.append(params)
            raise RuntimeError(f"at {params['x']}")
        return 1.0

    assert search(unlucky, SPACE, trials=20, **GIVEN).cost.failed == 7


def test_a_person_who_interrupts_ends_the_search():
    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(interrupted, SPACE, trials=3, **GIVEN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trials": 0}, {"trials": 2.5}, {"trials": True}, {"seed": "1"}, {"direction": "up"}, {"direction": ()},
        {"metric": ""}, {"metric": ("a", "a"), "direction": "lower"}, {"direction": {"a": "lower"}, "metric": "b"},
        {"method": "magic"}, {"pruner": "shears"}, {"weights": "guess"}, {"time_limit": 0}, {"time_limit": math.nan},
        {"trial_limit": -1}, {"confirm": 1}, {"confirm": "yes"}, {"stop": "never"}, {"stop": plateau(0)},
        {"stop": worth(price=-1, value=1)}, {"stop": worth(price=1, value=math.inf)}, {"start": [{"x": 7.0}]},
        {"start": [{"y": 0.5}]}, {"warm_start": ["earlier"]}, {"processes": 0}, {"trails": 5},
        {"metric": ("a", "b"), "pruner": "asha"},
        {"metric": ("a", "b"), "method": "gp"}, {"metric": ("a", "b"), "method": "cmaes"}, {"method": "gradient"},
        {"metric": ("a", "b"), "stop": target(1)}, {"metric": ("a", "b"), "confirm": 3}, {"store": 5, "name": "x"},
    ],
)  # fmt: skip
def test_mistakes_are_told(wrong):
    with pytest.raises(InvalidInput) as caught:
        search(lambda p: p["x"], SPACE, **{"trials": 3} | GIVEN | wrong)
    assert caught.value.hint


def test_a_word_that_is_near_is_named():
    with pytest.raises(InvalidInput, match="Did you mean 'pruner'"):
        search(lambda p: p["x"], SPACE, trials=3, **GIVEN, pruners="asha")


def test_rules_end_a_search():
    best = search(lambda p: p["x"], SPACE, trials=500, method="random", **GIVEN, stop=target(0.1))
    assert best.trials[-1].value <= 0.1 < min(trial.value for trial in best.trials[:-1])
    assert best.ended.startswith("Ended at its target")
    flat = search(lambda _: 1.0, SPACE, trials=500, **GIVEN, stop=[target(0), plateau(7)])
    assert len(flat.trials) == 8
    assert "plateau" in flat.ended
    assert flat.ended in flat.text()


def test_a_search_ends_where_more_is_not_worth_it():
    def slow(params):
        time.sleep(0.001)
        return abs(params["x"] - 0.5)

    dear = search(slow, SPACE, trials=300, method="random", **GIVEN, stop=worth(price=1000.0, value=1.0))
    cheap = search(slow, SPACE, trials=60, method="random", **GIVEN, stop=worth(price=1e-9, value=1.0))
    assert len(dear.trials) == 20
    assert dear.ended.startswith("Ended because it is not worth it")
    assert len(cheap.trials) == 60
    assert not cheap.ended


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_the_expected_gain_is_about_right_for_exponential_draws(seed, scale):
    values = np.random.default_rng(seed).exponential(scale, 400)
    truth = scale * math.exp(-values.max() / scale)  # E[max(X - best, 0)]
    found = expected_gain(values.tolist(), float(values.max()))
    assert found > truth / 30  # too much may be expected, far too little may not: a lucky trial ends no search
    assert found < scale / 20


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_no_list_of_values_upsets_the_rules(values):
    seen = Seen(tuple(values), tuple(1.0 for _ in values), -1.0)
    for rule in (worth(price=0.01, value=1.0, least=5), plateau(3), target(0.0)):
        assert isinstance(rule.reason(seen), str)
    assert expected_gain(values, max(values)) >= 0


def test_the_time_limit_holds():
    def slow(params):
        time.sleep(0.02)
        return params["x"]

    began = time.monotonic()
    study = search(slow, SPACE, trials=10_000, **GIVEN, method="random", time_limit=0.3)
    assert time.monotonic() - began < 5
    assert 1 <= len(study.trials) < 100
    assert study.ended.startswith("Ended at the time limit of 0.3 s")


def test_a_bar_is_drawn_where_it_is_asked_for(capfd):
    search(lambda p: p["n"], {"n": integer(1, 9)}, trials=4, **GIVEN, progress=True)
    assert "best loss" in capfd.readouterr().err
    search(lambda p: p["n"], {"n": integer(1, 9)}, trials=4, **GIVEN)
    assert capfd.readouterr() == ("", "")


def test_watch_hears_each_trial():
    heard = []
    search(lambda p: p["n"], {"n": integer(1, 9)}, trials=4, **GIVEN, watch=heard.append)
    assert [trial.number for trial in heard] == [0, 1, 2, 3]
