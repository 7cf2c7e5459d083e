"""How many bikes will be rented in an hour? A pipeline of two steps with scikit-learn, and a report on Mondays."""

from datetime import datetime, timedelta
from pathlib import Path

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


@step
def summarise(rides: pl.DataFrame) -> pl.DataFrame:
    """Return the last four weeks: bikes rented, and the hours that were counted."""
    weeks = rides.sort("at").group_by_dynamic("at", every="1w").agg(pl.col("bikers").sum(), hours=pl.len())
    return weeks.tail(4)


@step(cache=False, retries=4, pause="1s", retry_on=(OSError,))
def hand_over(weeks: pl.DataFrame, folder: str) -> str:
    """Write the report to a folder on another machine, which is not always there: hence the retries."""
    path = Path(__file__).parent / folder / "weeks.csv"
    weeks.write_csv(path)
    return path.name


@pipeline
def report(rides: pl.DataFrame, *, folder: str = "reports") -> str:
    """Tell the desk how the last weeks were."""
    return hand_over(summarise(rides), folder)
