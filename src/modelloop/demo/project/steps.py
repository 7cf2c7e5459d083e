"""Will this flight arrive more than 15 minutes late? Plain functions; they run without Modelloop too."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import features
import lightgbm as lgb
import numpy as np
import polars as pl

from modelloop import artifact, log, pipeline, step
from modelloop.prepare.columns import from_frame
from modelloop.prepare.leak import prove_no_future
from modelloop.prepare.ops import category, lookup, number
from modelloop.prepare.records import Columns
from modelloop.prepare.separation import no_time_overlap
from modelloop.prepare.split import by_time
from modelloop.prepare.transform import FittedTransform, Transform
from modelloop.train.candidate import candidate
from modelloop.train.records import Candidate, Study
from modelloop.train.search import Confirm, Trying, integer, real, search

HOLDOUT = timedelta(days=7)
HOLIDAYS = ["01-01", "01-21", "02-18", "05-27", "07-04", "09-02", "10-14", "11-11", "11-28", "12-25"]
NUMBERS = ["distance", "dep_minute", "arr_minute", "block", "weekday", "plane_age", "seats", "engines"]
RECENT = ["airport_delay", "airport_flights", "carrier_delay", "carrier_flights"]
Params = Mapping[str, int | float]


@step
def prepare(flights: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame) -> pl.DataFrame:
    """Build the rows, and prove on a sample that removing the future changes none of them."""
    plan = features.schedule(flights).drop(features.RESULTS).gather_every(20)
    tables = {"schedule": plan, "departures": features.departures(flights), "weather": weather, "planes": planes}
    known_at = {"schedule": None, "departures": "left_at", "weather": "hour", "planes": None}
    prove_no_future(features.known, tables, known_at=known_at, at="hour", sample=3)
    rows = features.build(flights, weather, planes)
    return rows.filter(pl.col("late").is_not_null()).sort("departs")


@step
def split(rows: pl.DataFrame, as_of: datetime, months: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Hold the last week out; learn from all before it, or from its last `months` only."""
    train, holdout = by_time(rows.filter(pl.col("landed_at") <= as_of), "departs", holdout=HOLDOUT)
    if months:
        train = train.filter(pl.col("departs") > train["departs"].max() - timedelta(days=30 * months))
    no_time_overlap(train, holdout, "departs")
    return train, holdout


@step
def transform(train: pl.DataFrame, as_of: datetime, calendar_days: int) -> FittedTransform:
    """Fit the one preparation that training and serving share.

    `calendar_days` is the demo's injected fault: a holiday calendar that ends so many days after `as_of` and has no
    answer beyond. Rows of the past, and so every offline check, cannot see it.
    """
    holidays = _days_to_holiday(as_of + timedelta(days=calendar_days) if calendar_days else None)
    ops = [category(name) for name in ("carrier", "origin", "dest")]
    ops += [number(name) for name in NUMBERS + features.WEATHER + RECENT]
    ops += [lookup("date", holidays, missing="error" if calendar_days else 30.0)]
    return Transform(ops).fit(train)


@step
def tune(matrix_rows: pl.DataFrame, prepared: FittedTransform, trials: int, seed: int) -> Study:
    """Try a few sets of hyper-parameters on every fourth row; the best two again on rows the search did not see."""
    parts = [_quarter(matrix_rows, prepared, offset) for offset in range(3)]

    def loss(trying: Trying, part: int = 0) -> float:
        matrix, label, unseen, truth = parts[part]
        return _log_loss(truth, _fit(matrix, label, trying, rounds=60, seed=seed).predict(unseen))

    def judge(trying: Trying) -> float:
        return loss(trying, 1 + trying.seed)

    space = {
        "num_leaves": integer(15, 63),
        "min_data_in_leaf": integer(20, 200),
        "lambda_l2": real(0.1, 20.0, log=True),
    }
    study = search(
        loss, space, trials=trials, seed=seed, direction="lower", metric="log_loss",
        confirm=Confirm(best=2, repeats=2, judge=judge),
    )  # fmt: skip
    artifact("search.txt", study.text().encode())
    return study


@step
def learn(train: pl.DataFrame, holdout: pl.DataFrame, prepared: FittedTransform, study: Study, seed: int) -> Candidate:
    """Fit the best set on all training rows and hand everything over to be judged."""
    best = dict(study.params)
    model = _fit(prepared.apply(columns(train, prepared)), train["late"].to_numpy(), best, rounds=100, seed=seed)
    log("training_rows", train.height)
    return candidate(
        model, prepared, train=train, holdout=holdout, label="late", time="departs",
        params=best | {"rounds": 100}, study=study,
    )  # fmt: skip


@pipeline
def train(
    flights: pl.DataFrame, weather: pl.DataFrame, planes: pl.DataFrame,
    *, as_of: datetime, months: int = 0, calendar_days: int = 0, trials: int = 3, seed: int = 0,
) -> Candidate:  # fmt: skip
    """Turn raw tables into a candidate, with what was known at `as_of`."""
    rows = prepare(flights, weather, planes)
    known, holdout = split(rows, as_of, months)
    prepared = transform(known, as_of, calendar_days)
    study = tune(known, prepared, trials, seed)
    return learn(known, holdout, prepared, study, seed)


def _quarter(rows: pl.DataFrame, prepared: FittedTransform, offset: int) -> tuple[np.ndarray, ...]:
    """Return matrix and labels of every fourth row from `offset` on; the last tenth in time is what judges."""
    earlier, later = by_time(rows.gather_every(4, offset), "departs", holdout=0.1)
    matrices = [prepared.apply(columns(part, prepared)) for part in (earlier, later)]
    labels = [part["late"].to_numpy() for part in (earlier, later)]
    return matrices[0], labels[0], matrices[1], labels[1]


def columns(rows: pl.DataFrame, prepared: FittedTransform) -> Columns:
    """Return the raw columns that the transform reads."""
    return from_frame(rows, [column.name for column in prepared.inputs])


def _days_to_holiday(until: datetime | None) -> dict[str, float]:
    days = pl.date_range(pl.date(2013, 1, 1), pl.date(2013, 12, 31), eager=True)
    holidays = [datetime.strptime(f"2013-{day}", "%Y-%m-%d").date() for day in HOLIDAYS]  # noqa: DTZ007
    near = {str(day): float(min(abs((day - holiday).days) for holiday in holidays)) for day in days}
    return near if until is None else {day: value for day, value in near.items() if day <= until.date().isoformat()}


def _fit(matrix: np.ndarray, label: np.ndarray, params: Params, *, rounds: int, seed: int) -> lgb.Booster:
    fixed = {"objective": "binary", "learning_rate": 0.1, "num_threads": 1, "seed": seed, "verbose": -1, "max_bin": 127}
    return lgb.train(fixed | dict(params), lgb.Dataset(matrix, label, free_raw_data=True), rounds)


def _log_loss(label: np.ndarray, score: np.ndarray) -> float:
    score = np.clip(score, 1e-6, 1 - 1e-6)
    return float(-np.mean(label * np.log(score) + (1 - label) * np.log(1 - score)))
