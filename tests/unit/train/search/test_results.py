"""What a study says: how sure, what mattered, and that it comes back as it was."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.flow.codecs import Decoder, Encoder, Remembered
from modelloop.train import records
from modelloop.train.records import Study, Trial
from modelloop.train.search import Confirm, choice, integer, real, search, when
from modelloop.train.search.surer import sureness
from modelloop.train.search.weighing import weights

GIVEN = {"direction": "lower", "metric": "loss"}
SPACE = {"x": real(-1, 1), "n": integer(1, 9), "k": choice("a", "b")}


def noisy(trying):
    return trying["x"] ** 2 + random.Random(trying.seed + trying["n"]).gauss(0, 0.1)


def test_a_lucky_score_does_not_win():
    study = search(noisy, SPACE, trials=40, seed=2, confirm=Confirm(best=4, repeats=6), method="random", **GIVEN)
    luckiest = min(trial.value for trial in study.trials)
    winner = study.sure.repeated[0]
    assert study.best == winner.number
    assert len(study.sure.repeated) == 4
    assert all(len(one.values) == 6 and one.low < one.mean < one.high for one in study.sure.repeated)
    assert winner.mean > luckiest + 0.02  # the score that made it win flattered it
    assert [one.mean for one in study.sure.repeated] == sorted(one.mean for one in study.sure.repeated)
    assert study.cost.repeats == 24
    assert study.cost.trials == 40
    assert study.sure.sentence in study.text()
    again = search(noisy, SPACE, trials=40, seed=2, confirm=Confirm(best=4, repeats=6), method="random", **GIVEN)
    assert again.sure == study.sure


def test_no_difference_is_an_answer():
    same = {number: {nth: float(np.sin(nth * 7 + number * 3)) for nth in range(8)} for number in (3, 5)}
    found = sureness(same, asked=Confirm(), sign=1.0, metric="auc")
    assert not found.shown
    assert "No difference shown" in found.sentence
    apart = {3: same[3], 5: {nth: value + 9 + nth / 100 for nth, value in same[3].items()}}
    found = sureness(apart, asked=Confirm(), sign=1.0, metric="auc")
    assert found.repeated[0].number == 5
    assert found.shown
    assert "It is better than trial 3" in found.sentence
    assert found.low < found.difference < found.high
    lower = sureness(apart, asked=Confirm(), sign=-1.0, metric="loss")
    assert lower.repeated[0].number == 3
    assert lower.difference > 0


def test_an_objective_that_looks_at_no_seed_is_told_so():
    study = search(lambda p: p["x"] ** 2, SPACE, trials=8, seed=2, confirm=3, **GIVEN)
    assert "gave the same loss" in study.sure.sentence
    assert "trying.seed" in study.sure.sentence
    assert not study.sure.shown


def test_winners_are_judged_on_other_rows():
    def judge(trying):
        assert trying.seed in range(5)
        return trying["x"] ** 2 + 1 + trying.seed / 100

    study = search(noisy, SPACE, trials=10, seed=2, confirm=Confirm(judge=judge, test_share=0.2), **GIVEN)
    assert study.sure.how == "judged on rows the search did not see"
    assert study.sure.repeated[0].mean > 1
    alone = search(noisy, SPACE, trials=10, seed=2, confirm=Confirm(judge=judge), **GIVEN)
    wide, narrow = study.sure.repeated[0], alone.sure.repeated[0]
    assert wide.high - wide.low > narrow.high - narrow.low  # training rows of folds overlap


def test_repeats_that_fail_are_left_out():
    def fragile(trying):
        if trying.number > 1000 and trying["x"] < 0:
            raise RuntimeError("not again")
        return trying["x"]

    study = search(fragile, {"x": choice(-1, 1, 2)}, trials=3, seed=2, method="grid", confirm=3, **GIVEN)
    assert study.trial(study.best).params == {"x": 1}
    none = search(
        lambda t: 1 / (t.number < 1000), {"x": choice(-1, 1)}, trials=2, seed=2, method="grid", confirm=3, **GIVEN
    )
    assert none.sure is None
    assert none.params


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6))
def test_intervals_of_the_winner_cover(seed):
    """Not each: their long-run rate is counted below."""
    rng = np.random.default_rng(seed)
    scores = {number: dict(enumerate(rng.normal(size=5).tolist())) for number in range(3)}
    found = sureness(scores, asked=Confirm(), sign=1.0, metric="auc")
    assert all(one.low <= one.mean <= one.high for one in found.repeated)


def test_the_winners_interval_holds_its_promise():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        scores = {number: dict(enumerate(rng.normal(size=5).tolist())) for number in range(4)}
        first = sureness(scores, asked=Confirm(), sign=1.0, metric="auc").repeated[0]
        hits += first.low <= 0 <= first.high
    assert hits >= 0.93 * 400


@pytest.mark.parametrize(("trials", "how"), [(10, "rank correlation"), (40, "fanova"), (120, "ped-anova")])
def test_what_mattered_is_found(trials, how):
    def loss(params):
        return 10 * params["x"] ** 2 + (params["k"] == "a") * 0.1

    study = search(loss, SPACE | {"x": real(0, 1)}, trials=trials, seed=5, method="random", **GIVEN)
    assert study.mattered.how == how
    assert study.mattered.trials == trials
    assert next(iter(study.mattered.shares)) == "x"
    assert sum(study.mattered.shares.values()) == pytest.approx(1)
    assert f"What mattered ({how}, {trials} trials): x" in study.text()


def test_weights_are_shares_whatever_the_space():
    space = {"k": choice("a", "b"), "d": when(real(0, 1), k="a"), "c": choice(1), "r": real(2, 2)}
    for how in ("rank", "fanova", "ped-anova", "auto", "none"):
        study = search(lambda p: p.get("d", 2), space, trials=30, seed=1, weights=how, method="random", **GIVEN)
        shares = study.mattered.shares if study.mattered else {}
        assert all(0 <= share <= 1 for share in shares.values())
    assert search(lambda _: 1.0, space, trials=30, seed=1, **GIVEN).mattered is None
    assert weights.__doc__


def test_a_study_comes_back_from_a_step_and_from_a_candidate():
    study = search(noisy, SPACE, trials=25, seed=2, confirm=3, pruner="median", **GIVEN)
    kept: dict[str, bytes] = {}

    def put(data):
        kept[str(len(kept))] = data
        return str(len(kept) - 1)

    encoder = Encoder(put=put, remembered=Remembered(), stores=True, types=set())
    node = json.loads(json.dumps(encoder.encode(study)))
    assert Decoder(get=kept.__getitem__, remembered=Remembered()).decode(node) == study
    assert records._study(json.loads(json.dumps(asdict(study)))) == study


def test_studies_of_the_first_release_are_read():
    old = {
        "method": "tpe", "metric": "auc", "direction": "higher", "best": 0,
        "trials": [{"number": 0, "params": {"n": 3}, "value": 0.5, "seconds": 1.0}],
    }  # fmt: skip
    study = records._study(json.loads(json.dumps(old)))
    assert study == Study("tpe", "auc", "higher", (Trial(0, {"n": 3}, 0.5, 1.0),), 0)
    assert study.params == {"n": 3}
    newer = asdict(study) | {"something": 1}
    assert records._study(newer) == study


def test_the_text_says_what_it_cost_and_that_one_score_flatters():
    study = search(noisy, SPACE, trials=6, seed=2, **GIVEN)
    assert "tpe: 6 trials (0 failed, 0 pruned)" in study.text()
    assert "One score, the luckiest of them" in study.text()
    many = {f"p{number}": real(0, 1) for number in range(40)}
    assert "and 28 more" in search(lambda _: 1.0, many, trials=1, seed=1, method="random", **GIVEN).text()
    assert replace(study, ended="Over.").text().endswith("Over.")
