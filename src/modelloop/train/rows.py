"""Which rows a candidate brings along, and what they must have."""

from __future__ import annotations

from datetime import datetime

from ..ground.core.clock import utc
from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl

SAMPLE_ROWS = 500
"""Rows replayed by the parity check: enough to meet rare branches, little to keep and to replay before every swap."""
FEW_ROWS = 32
"""The same of texts, pictures and tensors: each is large, and takes milliseconds to answer."""


def check_rows(frame: pl.DataFrame, which: str, needed: list[str]) -> None:
    """Raise InvalidInput unless the columns are there, and some rows; the last two names are label and event time."""
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


def sample_rows(train: pl.DataFrame, holdout: pl.DataFrame, *, few: bool = False) -> pl.DataFrame:
    """Return rows spread evenly over the holdout; the last training rows make up what a small holdout lacks."""
    wanted = FEW_ROWS if few else SAMPLE_ROWS
    if holdout.height < wanted:
        return pl.concat([holdout, train.tail(wanted - holdout.height)], how="vertical_relaxed")
    rows = np.linspace(0, holdout.height - 1, wanted).astype(np.int64)
    return holdout[rows]


def moment(found: object, name: str) -> datetime:
    """Return an event time; raises InvalidInput for what is none."""
    if not isinstance(found, datetime):
        raise InvalidInput(f"The event time {name!r} holds {type(found).__name__}, not date and time.")
    return utc(found)
