"""Train and holdout: later rows, or whole groups, not seen by the model. And the check that they share nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from ..ground.core.errors import InvalidInput, LeakFound

Split = tuple[pl.DataFrame, pl.DataFrame]


def by_time(frame: pl.DataFrame, time: str, *, holdout: timedelta | float, gap: timedelta = timedelta(0)) -> Split:
    """Return (train, holdout): the holdout is the newest stretch, or the newest share of rows; train lies before.

    Rows of one moment stay together, so a share is met from below. `gap` leaves out the newest training rows whose
    outcome would not have been known at the first holdout row.
    """
    times = frame.get_column(time)
    if times.null_count() or not len(times):
        raise InvalidInput(f"{time!r} is empty or missing in {times.null_count()} rows; they belong to no side.")
    if isinstance(holdout, timedelta):
        cut = times.max() - holdout  # type: ignore[operator]
    elif 0 < holdout < 1:
        cut = times.sort()[max(math.ceil((1 - holdout) * len(times)) - 1, 0)]
    else:
        raise InvalidInput(f"holdout is {holdout}; expected a duration, or a share between 0 and 1.")
    train, rest = frame.filter(pl.col(time) <= cut - gap), frame.filter(pl.col(time) > cut)
    return _both(train, rest, f"{time} <= {cut}")


def by_group(frame: pl.DataFrame, group: str, *, share: float, seed: int = 0) -> Split:
    """Return (train, holdout) with all rows of a group on one side; about `share` of the groups are held out.

    A group's side depends on its name and the seed alone, so it stays where it is as data grows.
    """
    if not 0 < share < 1:
        raise InvalidInput(f"share is {share}; expected a number between 0 and 1.")
    groups = frame.get_column(group)
    if groups.null_count():
        raise InvalidInput(f"{group!r} is missing in {groups.null_count()} rows; they belong to no side.")
    held = [name for name in groups.unique().to_list() if _chance(f"{seed}:{name}") < share]
    inside = groups.is_in(pl.Series(held, dtype=groups.dtype).implode())
    return _both(frame.filter(~inside), frame.filter(inside), f"groups of {group}")


def no_shared_keys(train: pl.DataFrame, holdout: pl.DataFrame, keys: Sequence[str]) -> None:
    """Raise LeakFound if a row's key stands on both sides: the model would be judged on what it has seen."""
    shared = holdout.join(train.select(keys), on=list(keys), how="semi", nulls_equal=True)
    if len(shared):
        raise LeakFound(
            f"{len(shared)} of {len(holdout)} holdout rows have a key that is in the training rows too, such as "
            f"{shared.select(keys).row(0, named=True)}.",
            hint="Split by time or by group before making rows, and drop duplicates first.",
        )


def _both(train: pl.DataFrame, holdout: pl.DataFrame, how: str) -> Split:
    if not len(train) or not len(holdout):
        raise InvalidInput(f"Split by {how}: {len(train)} training and {len(holdout)} holdout rows; both are needed.")
    return train, holdout


def _chance(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
