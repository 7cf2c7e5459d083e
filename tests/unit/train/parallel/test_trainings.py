"""What many fits say of models: folds, corrected intervals, early stops, the table."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import EvidenceMissing, InvalidInput
from modelloop.train.parallel.crew import Failed, Finished, Reported, Stopped
from modelloop.train.parallel.folds import given_folds, k_folds
from modelloop.train.parallel.many import train_many
from modelloop.train.parallel.progress import Bar, Watch
from modelloop.train.parallel.stopping import Patience, outdone
from modelloop.train.parallel.trainings import Training, corrected

X = np.random.default_rng(0).normal(size=(300, 8))
Y = X @ np.arange(8.0) + np.random.default_rng(1).normal(size=300)
DATA = {"x": X, "y": Y}


def ridge(fitting: Any) -> dict[str, float]:
    x, y, train, test = fitting.data["x"], fitting.data["y"], fitting.train, fitting.test
    weights = np.linalg.solve(x[train].T @ x[train] + fitting["penalty"] * np.eye(x.shape[1]), x[train].T @ y[train])
    return {"rmse": float(np.sqrt(np.mean((x[test] @ weights - y[test]) ** 2)))}


MODELS = {"light": {"penalty": 1.0}, "lighter": {"penalty": 0.9}, "heavy": {"penalty": 500.0}}


def test_the_better_model_is_first_and_noise_is_called_noise() -> None:
    made = train_many(ridge, models=MODELS, folds=5, seeds=3, metric="rmse", direction="lower", data=DATA)
    assert len(made.fits) == 45
    assert {"light", "lighter"} == {each.model for each in made.standings[:2]}
    assert not made.standings[1].differs
    assert made.standings[2].differs
    assert "No difference is shown to: " + made.standings[1].model in made.told
    assert "(noise)" in str(made)
    assert [row["model"] for row in made.rows()] == [each.model for each in made.standings]
    assert made.ratio == pytest.approx(0.25)


def test_processes_change_nothing_about_the_scores() -> None:
    one, two = (
        train_many(ridge, models=MODELS, metric="rmse", direction="lower", data=DATA, processes=processes)
        for processes in (1, 2)
    )
    assert [(fit.model, fit.fold, fit.score) for fit in sorted(one.fits, key=key)] == [
        (fit.model, fit.fold, fit.score) for fit in sorted(two.fits, key=key)
    ]


def key(fit: Training) -> tuple[str, int, int]:
    return fit.model, fit.seed, fit.fold


def test_several_fits_are_several_models_and_one_that_fails_comes_last() -> None:
    def broken(fitting: Any) -> float:
        raise ValueError("no such thing")

    def constant(fitting: Any) -> float:
        return 1.0 + fitting.fold

    made = train_many({"broken": broken, "constant": constant}, folds=4, metric="m", direction="higher", data=DATA)
    assert made.best == "constant"
    assert made.standings[0].score.mean == 2.5
    assert made.standings[1].failed == 4
    assert "no such thing" in made.fits[0].error or "no such thing" in made.fits[1].error


def test_nothing_that_works_is_said_with_the_first_reason() -> None:
    def broken(fitting: Any) -> float:
        raise ValueError("no such thing")

    with pytest.raises(EvidenceMissing, match=r"None of 5 fits gave a score.*ValueError: no such thing"):
        train_many(broken, folds=5, metric="m", direction="higher", data=DATA)
    with pytest.raises(EvidenceMissing, match="no finite m"):
        train_many(lambda _: math.nan, folds=5, metric="m", direction="higher", data=DATA)


def test_a_race_leaves_out_what_cannot_win() -> None:
    made = train_many(ridge, models=MODELS, folds=10, seeds=2, metric="rmse", direction="lower", data=DATA, race=True)
    heavy = next(each for each in made.standings if each.model == "heavy")
    assert heavy.given_up
    assert heavy.fits < 20
    assert {each.fits for each in made.standings if not each.given_up} == {20}


def test_patience_stops_a_fit_and_its_last_report_counts() -> None:
    def slowing(fitting: Any) -> float:
        for step in range(100):
            fitting.report(step, -abs(step - 5.0))
        return 1.0

    made = train_many(slowing, folds=2, metric="m", direction="higher", data=DATA, patience=3)
    assert {fit.stopped_at for fit in made.fits} == {8}
    assert {fit.score for fit in made.fits} == {-3.0}


def test_folds_given_for_all_seeds_count_once() -> None:
    halves = [(range(150), range(150, 300)), (range(150, 300), range(150))]
    made = train_many(ridge, models=MODELS, folds=halves, seeds=5, metric="rmse", direction="lower", data=DATA)
    assert made.pooled
    scores = [np.mean([fit.score for fit in made.fits if fit.model == "light" and fit.fold == k]) for k in (0, 1)]
    light = next(each for each in made.standings if each.model == "light").score
    expected = corrected([float(score) for score in scores], 1.0)
    assert (light.mean, light.low, light.high) == pytest.approx((expected.mean, expected.low, expected.high))


def test_without_folds_a_fit_has_no_rows() -> None:
    made = train_many(lambda fitting: float(fitting.seed), folds=None, seeds=[3, 5], metric="m", direction="lower")
    assert sorted(fit.score or 0 for fit in made.fits) == [3.0, 5.0]
    with pytest.raises(EvidenceMissing, match="no rows of its own"):
        train_many(lambda fitting: len(fitting.train), folds=None, metric="m", direction="lower")


@given(st.integers(2, 60), st.integers(2, 12), st.integers(0, 5))
def test_each_row_is_tested_once(rows: int, folds: int, seed: int) -> None:
    if folds > rows:
        with pytest.raises(InvalidInput, match="folds of"):
            k_folds(rows, folds, seed)
        return
    made = k_folds(rows, folds, seed)
    assert sorted(np.concatenate([test for _, test in made]).tolist()) == list(range(rows))
    for train, test in made:
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(rows))
        assert abs(len(test) - rows / folds) < 1


def test_folds_that_train_on_what_judges_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"Fold 1 trains on 1 rows .*row 3"):
        given_folds([([0], [1]), ([2, 3], [3])])
    for wrong in ([], [([0.5], [1])], [([], [1])], [([0], [1], [2])]):
        with pytest.raises(InvalidInput):
            given_folds(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"direction": "up"},
        {"seeds": 0},
        {"seeds": [1, 1]},
        {"models": {}, "seeds": []},
        {"patience": 0},
        {"data": None},
    ],
)
def test_wrong_words_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        train_many(ridge, **{"metric": "rmse", "direction": "lower", "data": DATA, **wrong})


def test_the_corrected_interval_is_that_of_nadeau_and_bengio() -> None:
    scores = [0.81, 0.79, 0.84, 0.80, 0.82]
    got = corrected(scores, 0.25)
    half = 2.7764451052 * np.std(scores, ddof=1) * math.sqrt(1 / 5 + 0.25)
    assert got.mean == pytest.approx(np.mean(scores))
    assert (got.low, got.high) == pytest.approx((np.mean(scores) - half, np.mean(scores) + half))
    assert corrected([1.0], 0.25).low == -math.inf


def test_the_corrected_interval_covers_where_the_plain_one_does_not() -> None:
    """Folds of the same rows, again and again: the mean model of noise has an error that is known."""
    random = np.random.default_rng(3)
    plain = right = 0
    for _ in range(300):
        y = random.normal(size=60)
        scores = []
        for seed in range(5):
            for train, test in k_folds(60, 5, seed):
                scores.append(float(np.mean((y[test] - y[train].mean()) ** 2)))
        truth = 1 + 1 / 48
        naive, better = corrected(scores, 0.0), corrected(scores, 0.25)
        plain += naive.low <= truth <= naive.high
        right += better.low <= truth <= better.high
    assert plain / 300 < 0.8
    assert right / 300 > 0.9


def test_patience_takes_no_number_for_no_better() -> None:
    rule = Patience(2, direction="lower")
    answers = [rule(Reported(0, step, value)) for step, value in enumerate([math.nan, 3.0, 2.0, math.nan, 2.5])]
    assert answers == [False, False, False, False, True]


def test_few_folds_say_nothing() -> None:
    fits = [Training(m, f, 0, float(m == "a"), None, 1.0, 1.0) for m in "ab" for f in range(2)]
    assert outdone(fits, 0.25, direction="higher", looks=4, pooled=False) == set()


def test_a_bar_shows_the_best_and_stays_quiet_where_nobody_looks() -> None:
    for shown, expected in ((True, "best auc 0.9 (#1), 1 stopped, 1 failed: ValueError: no"), (None, "")):
        out = io.StringIO()
        watch = Watch(4, metric="auc", direction="higher", at_once=2)
        with Bar(watch, shown=shown, file=out) as bar:
            bar.take(Reported(0, 1, 0.99))
            bar.take(Finished(0, {"size": 3.0, "auc": 0.8}, 2.0, 1.0))
            bar.take(Finished(1, 0.9, 2.0, 1.0))
            bar.take(Stopped(2, 5, 2.0))
            bar.take(Failed(3, "ValueError: no\nwhere", 2.0))
        assert expected in out.getvalue()
        assert bool(out.getvalue()) == bool(expected)
        assert watch.seconds_left == 0.0
    half = Watch(4, metric="auc", direction="lower", at_once=2)
    half.take(Finished(0, 0.5, 3.0, 1.0))
    assert half.seconds_left == 4.5
