"""The steps of a project: plain functions, which a test or a notebook may call too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
from lightgbm import $model
from sklearn.metrics import $loss

from modelloop import log, pipeline, step
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import category, number
from modelloop.prepare.split import by_time
from modelloop.prepare.transform import Transform
from modelloop.train.candidate import candidate
from modelloop.train.records import Candidate, Study
from modelloop.train.search import integer, real, search

LABEL = "target"
TIME = "at"
FEATURES = Transform([number("amount"), category("kind")])  # the same code prepares each request later


@pipeline
def train(rows: pl.DataFrame, *, trials: int = 8, holdout: float = 0.2, seed: int = 0) -> Candidate:
    """Search on the older rows, hold the newest back: Modelloop judges the candidate on them."""
    known = rows.drop_nulls([LABEL]).sort(TIME)
    older, newest = by_time(known, TIME, holdout=holdout)
    study = tune(older, trials, seed)
    return fit(older, newest, study, seed)


@step
def tune(rows: pl.DataFrame, trials: int, seed: int) -> Study:
    """Try some settings, judged on the last fifth of the rows."""
    past, recent = by_time(rows, TIME, holdout=0.2)
    fitted = FEATURES.fit(past)
    inputs = [column.name for column in fitted.inputs]
    matrix, later = (fitted.apply(from_frame(part, inputs)) for part in (past, recent))

    def loss(params: Mapping[str, Any]) -> float:
        model = estimator(params, seed).fit(matrix, past[LABEL].to_numpy())
        return float($validation)

    space = {
        "n_estimators": integer(30, 200, log=True),
        "num_leaves": integer(4, 31, log=True),
        "learning_rate": real(0.02, 0.2, log=True),
    }
    study = search(loss, space, trials=trials, seed=seed, direction="lower", metric="$loss")
    log("$loss", study.trials[study.best].value or 0.0)
    return study


@step
def fit(older: pl.DataFrame, newest: pl.DataFrame, study: Study, seed: int) -> Candidate:
    """Fit the best settings on all older rows and hand everything over to be judged."""
    fitted = FEATURES.fit(older)
    inputs = [column.name for column in fitted.inputs]
    model = estimator(study.params, seed).fit(fitted.apply(from_frame(older, inputs)), older[LABEL].to_numpy())
    return candidate(model, fitted, train=older, holdout=newest, label=LABEL, time=TIME, study=study)


def estimator(params: Mapping[str, Any], seed: int) -> $model:
    """Return an untrained model; one thread and a seed, so that a run can be repeated."""
    return $model(random_state=seed, n_jobs=1, deterministic=True, verbosity=-1, **params)
