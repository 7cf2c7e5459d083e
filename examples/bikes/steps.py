"""How many bikes will be rented in an hour? A pipeline of two steps with scikit-learn."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
from sklearn.ensemble import GradientBoostingRegressor

from modelloop import pipeline, step
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import category, cyclic, number
from modelloop.prepare.transform import Transform
from modelloop.train.candidate import candidate
from modelloop.train.records import Candidate

READ = ["hour", "weekday", "workingday", "temp", "humidity", "wind"]


@step
def split(rides: pl.DataFrame, as_of: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Hold the newest two weeks out, counted from what has arrived: files come a week late."""
    known = rides.filter(pl.col("at") < as_of)
    border = known["at"].max() - timedelta(days=14)
    return known.filter(pl.col("at") < border), known.filter(pl.col("at") >= border)


@step
def learn(rows: pl.DataFrame, holdout: pl.DataFrame, trees: int, seed: int) -> Candidate:
    """Fit the transform and the model on the training rows."""
    features = [number("hour"), cyclic("hour", period=24), category("workingday")]
    features += [number(name) for name in ("weekday", "temp", "humidity", "wind")]
    prepared = Transform(features).fit(rows)
    model = GradientBoostingRegressor(n_estimators=trees, max_depth=4, loss="absolute_error", random_state=seed)
    model.fit(prepared.apply(from_frame(rows, READ)), rows["bikers"].to_numpy().astype(np.float64))
    return candidate(model, prepared, train=rows, holdout=holdout, label="bikers", time="at", params={"trees": trees})


@pipeline
def train(rides: pl.DataFrame, *, as_of: datetime, trees: int = 100, seed: int = 0) -> Candidate:
    """Turn rides into a candidate, with what was known at `as_of`."""
    rows, holdout = split(rides, as_of)
    return learn(rows, holdout, trees, seed)
