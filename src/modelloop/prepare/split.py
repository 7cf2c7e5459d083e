"""Train and holdout: later rows, whole groups, or a share of every stratum; once, or in folds.

Nothing here depends on the order of rows: a row's side follows from its time, its group, or a hash of its key and the
seed. Frames may be lazy; then only the columns that decide are collected.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from ..ground.core.errors import InvalidInput, LeakFound
from ..ground.core.later import polars as pl

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
Split: TypeAlias = "tuple[pl.DataFrame, pl.DataFrame]"
_SIDE, _ROW = "__side", "__row"
_UNWRITABLE = (pl.List, pl.Array, pl.Struct, pl.Object, pl.Binary)


def by_time(
    frame: Frame, time: str, *, holdout: timedelta | float, gap: timedelta = timedelta(0)
) -> tuple[Frame, Frame]:
    """Return (train, holdout): the holdout is the newest stretch, or the newest share of rows; train lies before.

    Rows of one moment stay together, so a share is met from below. `gap` leaves out the newest training rows whose
    outcome would not have been known at the first holdout row.
    """
    times = _known(frame, time)
    if isinstance(holdout, timedelta):
        cut: Any = times.max() - holdout  # type: ignore[operator]
    elif 0 < holdout < 1:
        cut = times.sort()[max(math.ceil((1 - holdout) * len(times)) - 1, 0)]
    else:
        raise InvalidInput(f"holdout is {holdout}; expected a duration, or a share between 0 and 1.")
    train, rest = frame.filter(pl.col(time) <= cut - gap), frame.filter(pl.col(time) > cut)
    _both(int((times <= cut - gap).sum()), int((times > cut).sum()), f"{time} <= {cut}")
    return train, rest


def by_group(frame: Frame, group: str, *, share: float, seed: int = 0) -> tuple[Frame, Frame]:
    """Return (train, holdout) with all rows of a group on one side; about `share` of the groups are held out.

    A group's side depends on its name and the seed alone, so it stays where it is as data grows.
    """
    _need_share(share)
    groups = _known(frame, group)
    held = [name for name in groups.unique().to_list() if _chance(f"{seed}:{name}") < share]
    inside = groups.is_in(pl.Series(held, dtype=groups.dtype).implode())
    _both(len(groups) - int(inside.sum()), int(inside.sum()), f"groups of {group}")
    return _sides(frame, inside.cast(pl.Int64), 1)


def by_stratum(
    frame: Frame, strata: Sequence[str], *, share: float, seed: int = 0, key: Sequence[str] = ()
) -> tuple[Frame, Frame]:
    """Return (train, holdout) with `share` of the rows of every stratum held out, rounded to the nearest row.

    A stratum is the rows with equal values in `strata` (a missing value is a value). Which of its rows are held out
    follows from a hash of `key` (of the whole row, if none is named): the order of rows does not matter.
    """
    _need_share(share)
    places = _placed(frame, strata, seed, key)
    held = places.select((pl.col("place") < (pl.col("size") * share).round(mode="half_away_from_zero")).cast(pl.Int64))
    inside = held.to_series()
    _both(len(inside) - int(inside.sum()), int(inside.sum()), f"strata of {', '.join(strata)}")
    return _sides(frame, inside, 1)


def k_fold(frame: Frame, folds: int, *, seed: int = 0, key: Sequence[str] = ()) -> list[tuple[Frame, Frame]]:
    """Return `folds` pairs (train, holdout); every row is held out once. Folds differ by one row at most."""
    return k_fold_by_stratum(frame, (), folds, seed=seed, key=key)


def k_fold_by_stratum(
    frame: Frame, strata: Sequence[str], folds: int, *, seed: int = 0, key: Sequence[str] = ()
) -> list[tuple[Frame, Frame]]:
    """Return pairs (train, holdout), each fold with its share of every stratum: alike but for one row of it."""
    places = _placed(frame, strata, seed, key)
    _need_folds(folds, len(places), "rows")
    # strata go on where the one before ended, so that small ones do not all begin with the first fold
    side = places.select((pl.col("place") + pl.col("begins")) % folds).to_series()
    return [_sides(frame, side, fold) for fold in range(folds)]


def k_fold_by_group(frame: Frame, group: str, folds: int, *, seed: int = 0) -> list[tuple[Frame, Frame]]:
    """Return pairs (train, holdout) with all rows of a group in one fold; folds have about equally many rows.

    The largest groups are dealt first, each to the fold that has the fewest rows; of equals, by a hash of the name.
    """
    groups = _known(frame, group)
    counts = groups.to_frame().group_by(group).len().rows()
    _need_folds(folds, len(counts), f"groups of {group}")
    sizes, fold_of = [0] * folds, {}
    for name, rows in sorted(counts, key=lambda one: (-one[1], _chance(f"{seed}:{one[0]}"))):
        fold_of[name] = sizes.index(min(sizes))
        sizes[fold_of[name]] += rows
    side = groups.replace_strict(list(fold_of), list(fold_of.values()), return_dtype=pl.Int64)
    return [_sides(frame, side, fold) for fold in range(folds)]


def k_fold_by_time(frame: Frame, time: str, folds: int, *, gap: timedelta = timedelta(0)) -> list[tuple[Frame, Frame]]:
    """Return pairs (train, holdout) that go forward in time: each stretch is held out, all before it is learned from.

    There are `folds` + 1 stretches of about equally many rows; rows of one moment stay together. `gap` leaves out the
    training rows of that length before the holdout.
    """
    times = _known(frame, time).sort()
    _need_folds(folds, times.n_unique() - 1, f"moments of {time} after the first")
    cuts: list[Any] = [times[math.ceil(len(times) * part / (folds + 1)) - 1] for part in range(1, folds + 1)]
    pairs = []
    for cut, end in zip(cuts, [*cuts[1:], times[-1]], strict=True):
        train, rest = frame.filter(pl.col(time) <= cut - gap), frame.filter(pl.col(time) > cut, pl.col(time) <= end)
        rows = int((times <= cut - gap).sum()), int(((times > cut) & (times <= end)).sum())
        _both(*rows, f"{time} <= {cut}")
        pairs.append((train, rest))
    return pairs


def no_shared_keys(train: pl.DataFrame, holdout: pl.DataFrame, keys: Sequence[str]) -> None:
    """Raise LeakFound if a row's key stands on both sides: the model would be judged on what it has seen."""
    shared = holdout.join(train.select(keys), on=list(keys), how="semi", nulls_equal=True)
    if len(shared):
        raise LeakFound(
            f"{len(shared)} of {len(holdout)} holdout rows have a key that is in the training rows too, such as "
            f"{shared.select(keys).row(0, named=True)}.",
            hint="Split by time or by group before making rows, and drop duplicates first.",
        )


def _known(frame: Frame, name: str) -> pl.Series:
    """Return the column that decides; raises InvalidInput where it is missing."""
    _need(frame, [name])
    values = frame.lazy().select(name).collect().to_series()
    if values.null_count() or not len(values):
        raise InvalidInput(f"{name!r} is empty or missing in {values.null_count()} rows; they belong to no side.")
    return values


def _need(frame: Frame, names: Sequence[str]) -> None:
    schema = frame.collect_schema()
    absent = [name for name in names if name not in schema]
    if absent:
        raise InvalidInput(f"The frame has no column {absent[0]!r}.", hint=f"It has: {', '.join(schema.names())}.")


def _need_share(share: float) -> None:
    if not 0 < share < 1:
        raise InvalidInput(f"share is {share}; expected a number between 0 and 1.")


def _need_folds(folds: int, most: int, of: str) -> None:
    if not 2 <= folds <= most:
        raise InvalidInput(f"{folds} folds of {most} {of}.", hint=f"Expected 2 to {max(most, 2)}.")


def _placed(frame: Frame, strata: Sequence[str], seed: int, key: Sequence[str]) -> pl.DataFrame:
    """Return for each row its place within its stratum by hash, the stratum's size, and the rows of those before."""
    strata = [strata] if isinstance(strata, str) else list(strata)
    by: list[str] = list(key) or frame.collect_schema().names()
    _need(frame, [*strata, *by])
    read: pl.DataFrame = frame.lazy().select(list(dict.fromkeys([*strata, *by]))).collect()
    nested = [name for name in by if isinstance(read.schema[name], _UNWRITABLE)]
    if nested:
        raise InvalidInput(f"{nested[0]!r} holds {read.schema[nested[0]]}, which has no order.", hint="Give key=.")
    texts = read.select(pl.concat_str([pl.col(one).cast(pl.String).fill_null("\0") for one in by], separator="\x1f"))
    hashes = [hashlib.sha256(f"{seed}:{text}".encode()).digest()[:8] for text in texts.to_series().to_list()]
    chances = pl.Series("chance", [int.from_bytes(one, "big") for one in hashes], dtype=pl.UInt64)
    rows = pl.DataFrame([*(read[one] for one in strata), chances]).with_row_index(_ROW)
    in_order = rows.sort([*strata, "chance"], nulls_last=True, maintain_order=True)
    in_order = in_order.with_columns(pl.int_range(pl.len()).alias("position"))
    position = pl.col("position")
    if strata:
        place, size, begins = position - position.min().over(strata), pl.len().over(strata), position.min().over(strata)
    else:
        place, size, begins = position, pl.len(), pl.lit(0)
    found = in_order.with_columns(place.alias("place"), size.alias("size"), begins.alias("begins"))
    return found.sort(_ROW).select("place", "size", "begins")


def _sides(frame: Frame, side: pl.Series, held: int) -> tuple[Frame, Frame]:
    """Return the rows whose side is another than `held`, and those that it is."""
    if isinstance(frame, pl.LazyFrame):
        both = pl.concat([frame, side.alias(_SIDE).to_frame().lazy()], how="horizontal")
        inside = pl.col(_SIDE) == held
        return both.filter(~inside).drop(_SIDE), both.filter(inside).drop(_SIDE)
    mask = side == held
    return frame.filter(~mask), frame.filter(mask)


def _both(train: int, holdout: int, how: str) -> None:
    if not train or not holdout:
        raise InvalidInput(f"Split by {how}: {train} training and {holdout} holdout rows; both are needed.")


def _chance(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
