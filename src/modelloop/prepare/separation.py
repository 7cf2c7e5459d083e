"""Do training and holdout rows share anything, and does a column give the label away? Each finding is a LeakFound.

Keys: `split.no_shared_keys`. Features that know the future: `leak.prove_no_future`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from ..ground.core.errors import InvalidInput, LeakFound
from ..ground.core.later import polars as pl

_CELL = "__cell_"
_MOST_GRID = 3
_FOLD, _FOLDS = "__fold", 5


def no_shared_groups(train: pl.DataFrame, holdout: pl.DataFrame, group: str) -> None:
    """Raise LeakFound if a group (a customer, a machine) has rows on both sides. A missing group is none."""
    _need(train, holdout, [group])
    both = set(train[group].drop_nulls().to_list()) & set(holdout[group].drop_nulls().to_list())
    if both:
        raise LeakFound(
            f"{len(both)} groups of {group!r} have rows in training and in the holdout, such as {min(both)!r}.",
            hint="Split with by_group or k_fold_by_group.",
            detail={"groups": len(both)},
        )


def no_time_overlap(train: pl.DataFrame, holdout: pl.DataFrame, time: str, *, gap: timedelta = timedelta(0)) -> None:
    """Raise LeakFound unless every training row lies before the first holdout row, and by more than `gap`."""
    _need(train, holdout, [time])
    newest, oldest = cast("datetime | None", train[time].max()), cast("datetime | None", holdout[time].min())
    if newest is None or oldest is None:
        raise InvalidInput(f"{time!r} has no value on one side; there is nothing to compare.")
    late = train.filter(pl.col(time) + gap >= oldest)
    if len(late):
        apart = f" (with the gap of {gap})" if gap else ""
        raise LeakFound(
            f"{len(late)} of {len(train)} training rows are not before the first holdout row{apart}: the holdout "
            f"begins at {oldest}, training ends at {newest}.",
            hint="Split with by_time, or widen its gap.",
            detail={"rows": len(late)},
        )


def no_near_duplicates(
    train: pl.DataFrame, holdout: pl.DataFrame, columns: Sequence[str], *, tolerance: float = 1e-3
) -> None:
    """Raise LeakFound if a holdout row is nearly a training row.

    Nearly: every number within `tolerance` standard deviations (of the training rows), every text equal when case,
    white space and Unicode form are put aside, everything else equal; missing is equal to missing.
    """
    _need(train, holdout, columns)
    if not columns or tolerance <= 0:
        raise InvalidInput("Near duplicates need columns to compare, and a tolerance above 0.")
    numbers = [name for name in columns if train[name].dtype.is_numeric()]
    others = [name for name in columns if name not in numbers]
    widths = {name: _width(train[name], tolerance) for name in numbers}
    left = _normal(holdout, others, numbers).with_row_index("__row")
    right = _normal(train, others, numbers)
    grid = sorted(numbers, key=lambda name: -train[name].n_unique())[:_MOST_GRID]
    near = _candidates(left, right, others, grid, widths)
    for name in numbers:
        a, b = pl.col(name), pl.col(f"{name}__train")
        near = near.filter(((a - b).abs() <= widths[name]) | (a == b) | (a.is_null() & b.is_null()))
    rows = near.select(pl.col("__row").unique().sort()).collect().to_series()
    if len(rows):
        raise LeakFound(
            f"{len(rows)} of {len(holdout)} holdout rows are nearly training rows, such as "
            f"{holdout.select(columns).row(int(rows[0]), named=True)}.",
            hint="Drop duplicates first, or split by what they share (by_group).",
            detail={"rows": len(rows)},
        )


def no_target_leak(frame: pl.DataFrame, label: str, features: Sequence[str], *, most: float = 0.99) -> dict[str, float]:
    """Return how well each feature alone orders the label; raise LeakFound where one does it better than `most`.

    The measure is |2 AUC - 1| for a label of two values (Mann-Whitney), |Spearman's rank correlation| for others. A
    string or boolean feature is ordered by the mean label that its value has in the other four fifths of the rows (so a
    key that is unique tells nothing), and only the right order counts. Whether a value is missing is a feature too.
    """
    _need(frame, frame, [label, *features])
    rows = frame.filter(pl.col(label).is_not_null()).with_columns(pl.col(label).cast(pl.Float64))
    values = rows[label].n_unique()
    if values < 2 or label in features:
        raise InvalidInput(f"{label!r} has {values} values in {len(rows)} rows, or is a feature itself.")
    found = {name: max(_order(rows, name, label), _missing(rows, name, label)) for name in features}
    leaks = {name: round(strength, 4) for name, strength in found.items() if strength > most}
    if leaks:
        worst = max(leaks, key=lambda name: leaks[name])
        raise LeakFound(
            f"{', '.join(map(repr, leaks))} alone nearly give {label!r} away: {worst} orders it by {leaks[worst]:.3f} "
            f"of 1.",
            hint="Was it known before the label was? If not, leave it out; if so, raise most=.",
            detail={"features": leaks},
        )
    return found


def _order(rows: pl.DataFrame, feature: str, label: str) -> float:
    dtype = rows[feature].dtype
    if dtype.is_numeric():
        known = rows.select(pl.col(feature).cast(pl.Float64).fill_nan(None).alias("x"), pl.col(label).alias("y"))
    elif dtype.is_temporal():
        known = rows.select(pl.col(feature).to_physical().cast(pl.Float64).alias("x"), pl.col(label).alias("y"))
    else:
        y, group, fold = pl.col(label), pl.col(feature), pl.int_range(pl.len()) % _FOLDS
        others = pl.len().over(group) - pl.len().over(group, _FOLD)
        mean = pl.when(others > 0).then((y.sum().over(group) - y.sum().over(group, _FOLD)) / others)
        known = rows.with_columns(fold.alias(_FOLD)).filter(group.is_not_null())
        return max(0.0, _agreement(known.select(mean.alias("x"), y.alias("y")).drop_nulls()))
    return abs(_agreement(known.drop_nulls()))


def _missing(rows: pl.DataFrame, feature: str, label: str) -> float:
    """A feature that is missing for one answer only gives it away too."""
    lacks = pl.col(feature).is_null()
    if rows[feature].dtype.is_float():
        lacks = lacks | pl.col(feature).is_nan()
    return abs(_agreement(rows.select(lacks.cast(pl.Float64).fill_null(1.0).alias("x"), pl.col(label).alias("y"))))


def _agreement(known: pl.DataFrame) -> float:
    """Return -1 or 1 where x says everything about the order of y, 0 where it says nothing, and 0 below 10 rows."""
    if len(known) < 10 or known["x"].n_unique() < 2 or known["y"].n_unique() < 2:
        return 0.0
    if known["y"].n_unique() == 2:
        high = known["y"] == known["y"].max()
        above, below = int(high.sum()), int((~high).sum())
        ranks = known["x"].rank("average").filter(high).sum()
        return 2 * (float(ranks) - above * (above + 1) / 2) / (above * below) - 1
    strength = known.select(pl.corr("x", "y", method="spearman")).item()
    return float(strength)


def _width(column: pl.Series, tolerance: float) -> float:
    spread: Any = column.cast(pl.Float64).fill_nan(None).std()
    return float(spread or 1.0) * tolerance


def _normal(frame: pl.DataFrame, others: list[str], numbers: list[str]) -> pl.DataFrame:
    texts = [name for name in others if frame[name].dtype == pl.String]
    plain = (
        pl.col(name).str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
        for name in texts
    )
    return frame.select(*others, *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in numbers)).with_columns(
        plain
    )


def _candidates(
    left: pl.DataFrame, right: pl.DataFrame, others: list[str], grid: list[str], widths: dict[str, float]
) -> pl.LazyFrame:
    """Return the pairs whose cells on a grid of the tolerance's width touch: no near pair is missed.

    Two numbers within the width lie in the same cell or in neighbours, so every holdout row looks into all of them.
    """
    cells = [f"{_CELL}{name}" for name in grid]
    in_cells = [(pl.col(name) / widths[name]).floor().alias(cell) for name, cell in zip(grid, cells, strict=True)]
    near = left.lazy().with_columns(in_cells)
    for cell in cells:
        around = pl.concat_list(pl.col(cell) + step for step in (-1.0, 0.0, 1.0))
        near = near.with_columns(pl.when(pl.col(cell).is_not_null()).then(around).alias(cell)).explode(cell)
    numbers = [name for name in right.columns if name not in others]
    known = right.lazy().with_columns(in_cells).rename({name: f"{name}__train" for name in numbers})
    keys = [*others, *cells]
    if not keys:
        return near.join(known, how="cross")
    return near.join(known, on=keys, how="inner", nulls_equal=True)


def _need(train: pl.DataFrame, holdout: pl.DataFrame, names: Sequence[str]) -> None:
    for frame in (train, holdout):
        absent = [name for name in names if name not in frame.columns]
        if absent:
            raise InvalidInput(f"There is no column {absent[0]!r}.", hint=f"There are: {', '.join(frame.columns)}.")
    apart = [name for name in names if train[name].dtype != holdout[name].dtype]
    if apart:
        raise InvalidInput(
            f"{apart[0]!r} is {train[apart[0]].dtype} in training and {holdout[apart[0]].dtype} in the holdout."
        )
