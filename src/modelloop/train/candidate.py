"""One call at the end of a training pipeline: a fitted model and its transform become a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import ModuleType
from typing import Any

from ..ground.core.clock import utc
from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl
from ..prepare.columns import from_frame
from ..prepare.transform import FittedTransform
from .adapters import lightgbm, sklearn, torch, xgboost
from .records import Candidate, Study

SAMPLE_ROWS = 500
"""Rows replayed by the parity check: enough to meet rare branches, little to keep and to replay before every swap."""


def candidate(
    model: Any,
    transform: FittedTransform,
    *,
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    label: str,
    time: str,
    params: Mapping[str, Any] | None = None,
    study: Study | None = None,
) -> Candidate:
    """Return what Modelloop judges, registers and serves.

    `model` is a fitted LightGBM or XGBoost booster or estimator, a scikit-learn estimator or pipeline, or a torch
    module of one output; its task (binary or regression) is asked of itself. It must have been trained on
    `transform.apply(...)` of `train`, which is float32.
    `train` and `holdout` hold raw columns, the label and the event time `time`; `holdout` also the columns to slice by.
    `params` (JSON values) are for the card; left out, they are the best trial's of `study`.

        model = LGBMClassifier().fit(transform.apply(from_frame(train, names)), train["late"])
        return candidate(model, transform, train=train, holdout=holdout, label="late", time="at")
    """
    names = [column.name for column in transform.inputs]
    _check(train, "train", [*names, label, time])
    _check(holdout, "holdout", [*names, label, time])
    adapter = _adapter(model)
    kind = adapter.task(model)
    sample = _sample(train.select(names), holdout.select(names))
    expected = adapter.predict(model, transform.apply(from_frame(sample, names)))
    labels = train[label].cast(pl.Float64)
    native = adapter.native(model)
    chosen = params if params is not None else study.params if study is not None else {}
    return Candidate(
        transform=transform,
        onnx=adapter.to_onnx(model, len(transform.names), kind),
        native=native,
        native_format=adapter.FORMAT if native else "",
        holdout=holdout,
        label=label,
        time=time,
        sample=sample,
        expected=np.asarray(expected, dtype=np.float64),
        trained_from=_moment(train[time].min(), time),
        trained_until=_moment(train[time].max(), time),
        rows=train.height,
        baseline=float(np.mean(labels.to_numpy())),
        params=dict(chosen),
        study=study,
        importance=adapter.importance(model, transform.names),
    )


def _adapter(model: object) -> ModuleType:
    for adapter in (lightgbm, xgboost, torch, sklearn):
        if adapter.knows(model):
            return adapter
    kind = type(model)
    raise InvalidInput(
        f"A model of type {kind.__module__}.{kind.__qualname__} cannot be exported.",
        hint="LightGBM, XGBoost, scikit-learn and torch models can.",
    )


def _check(frame: pl.DataFrame, which: str, needed: list[str]) -> None:
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise InvalidInput(
            f"`{which}` has no column {', '.join(map(repr, missing))}; it has {', '.join(frame.columns)}.",
            hint="Hand over the raw columns that the transform takes, the label and the event time.",
        )
    if not frame.height:
        raise InvalidInput(f"`{which}` has no rows.", hint="Widen the window the rows are taken from.")
    label, time = needed[-2:]
    for name in (label, time):
        nulls = frame[name].null_count()
        if nulls:
            raise InvalidInput(
                f"`{which}` has {nulls} rows without {name!r}.", hint="Drop rows that have no truth yet."
            )


def _sample(train: pl.DataFrame, holdout: pl.DataFrame) -> pl.DataFrame:
    """Return rows spread evenly over the holdout; the last training rows make up what a small holdout lacks."""
    if holdout.height < SAMPLE_ROWS:
        return pl.concat([holdout, train.tail(SAMPLE_ROWS - holdout.height)], how="vertical_relaxed")
    rows = np.linspace(0, holdout.height - 1, SAMPLE_ROWS).astype(np.int64)
    return holdout[rows]


def _moment(found: object, name: str) -> datetime:
    if not isinstance(found, datetime):
        raise InvalidInput(f"The event time {name!r} holds {type(found).__name__}, not date and time.")
    return utc(found)
