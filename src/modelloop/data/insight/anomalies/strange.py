"""Whole rows unlike all others, where no single value is: an isolation forest. Pure, seeded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...adapters import forest
from ...records import Finding
from ..profile import ColumnProfile
from .looked import EXAMPLES, Looked
from .outliers import log_shift

if TYPE_CHECKING:
    import numpy.typing as npt

_SCORED = 100_000
_LEAST_ROWS = 100
_FAR = 7.5
"""Robust deviations of a row's score from the median of scores."""
_ISOLATED = 0.65
"""And its score itself: near 1 is alone, about 0.5 is one of many."""


def strange_rows(looked: Looked) -> Iterator[Finding]:
    """Yield rows that an isolation forest parts from the others at once; only if the settings ask for it."""
    rows = len(looked.frame)
    if not looked.settings.rows or rows < _LEAST_ROWS:
        return
    taken = np.arange(rows)
    if rows > _SCORED:
        taken = np.sort(np.random.default_rng(0).choice(rows, _SCORED, replace=False))
    sample = looked.frame[taken] if rows > _SCORED else looked.frame
    columns = [_matrix(sample.get_column(one.name), one) for one in looked.columns if _usable(looked, one)]
    if len(columns) < 2:
        return
    scores = forest.isolation(np.column_stack(columns))
    middle = float(np.median(scores))
    sigma = 1.4826 * float(np.median(np.abs(scores - middle)))
    strange = np.flatnonzero((scores > middle + _FAR * sigma) & (scores > _ISOLATED))
    if not len(strange):
        return
    drawn = f"{len(taken):,} rows drawn from {rows:,}" if rows > _SCORED else f"{rows:,} rows"
    message = (
        f"{len(strange):,} of {drawn} are unlike all others (isolation forest over {len(columns)} columns), "
        f"with scores up to {float(scores[strange].max()):.2f}; half of all rows are below {middle:.2f}."
    )
    worst = strange[np.argsort(-scores[strange], kind="stable")][:EXAMPLES]
    named = looked.names(int(row) for row in taken[worst])
    shown = tuple(f"{name}: score {scores[row]:.2f}" for name, row in zip(named, worst, strict=True))
    yield Finding("rows", "", len(strange), message, shown)


def _usable(looked: Looked, column: ColumnProfile) -> bool:
    apart = column.identity or column.name in looked.contract.key or column.distinct < 2
    return column.kind != "none" and not apart and not looked.is_binary(column.name)


def _matrix(series: pl.Series, column: ColumnProfile) -> npt.NDArray[np.float64]:
    """Return a column as numbers: quantities, on a logarithmic scale if skewed; categories by how rare they are."""
    if column.kind in ("number", "time"):
        values = series.to_physical().cast(pl.Float64)
        values = values.to_frame("v").select(pl.when(pl.col("v").is_finite()).then(pl.col("v"))).to_series()
        plain = values.fill_null(values.median()).fill_null(0.0).to_numpy()
        shift = log_shift(*np.quantile(plain, [0.0, 0.1, 0.5, 0.9]))
        return plain if shift is None else np.log(plain + shift)
    counts = series.to_frame("v").select(pl.len().over("v").log()).to_series()
    return counts.cast(pl.Float64).to_numpy()
