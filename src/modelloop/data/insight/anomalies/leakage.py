"""Columns that give the label away: what is known only afterwards must not be learnt from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ....ground.stats.two_sample import auc, mid_ranks
from ...records import Finding
from ..profile import ColumnProfile
from .looked import Looked

if TYPE_CHECKING:
    import numpy.typing as npt

_SAMPLE = 20_000
_LEAST_ROWS = 100
_ALMOST = 0.99
_BINS = 64
_CLASSES = 50
"""More different labels are a quantity."""
Codes: TypeAlias = "npt.NDArray[np.int64]"


def leakage(looked: Looked) -> Iterator[Finding]:
    """Yield columns that equal the label, or from which alone it can be told almost always.

    Looked at on a sample: what one half of it teaches is asked of the other half.
    """
    label = looked.settings.label
    if label is None or len(looked.frame) - looked.frame.get_column(label).null_count() < _LEAST_ROWS:
        return
    known = looked.frame.filter(pl.col(label).is_not_null())
    sampled = len(known) > _SAMPLE
    sample = known.sample(_SAMPLE, seed=0) if sampled else known.sample(fraction=1, shuffle=True, seed=0)
    target = sample.get_column(label)
    if target.n_unique() < 2:
        return
    note = f" (of {_SAMPLE:,} rows drawn from {len(known):,})" if sampled else ""
    for column in looked.columns:
        if column.name == label or column.kind == "none" or column.name in looked.contract.key:
            continue
        found = _gives_away(sample.get_column(column.name), target, column)
        if found:
            message = f"{column.name!r} gives the label {label!r} away: {found}{note}. Is it known only afterwards?"
            yield Finding("leakage", column.name, len(known), message)


def _gives_away(series: pl.Series, target: pl.Series, column: ColumnProfile) -> str:
    """Return how the label can be told from the column, or nothing."""
    if series.cast(pl.String).equals(target.cast(pl.String)) or _same_numbers(series, target):
        return "they are equal"
    codes = _codes(series, column)
    if codes is None:
        return ""
    half = len(codes) // 2
    if target.n_unique() > _CLASSES and target.dtype.is_numeric():
        return _quantity(series, target, codes, half)
    classes = target.cast(pl.String).rank("dense").cast(pl.Int64).to_numpy() - 1
    if classes.max() == 1:
        score = _mean_by_code(codes[:half], classes[:half].astype(np.float64), codes[half:])
        area = auc(classes[half:], score)
        return f"from it alone the AUC is {area:.3f}" if area >= _ALMOST else ""
    told = _most_common(codes[:half], classes[:half], codes[half:])
    right = float((told == classes[half:]).mean())
    usual = float((classes[half:] == np.bincount(classes[:half]).argmax()).mean())
    clear = right >= _ALMOST and right - usual >= 0.5 * (1 - usual)
    return f"from it alone {right:.1%} of labels are told ({usual:.1%} by always saying the commonest)" if clear else ""


def _quantity(series: pl.Series, target: pl.Series, codes: Codes, half: int) -> str:
    values = target.cast(pl.Float64).to_numpy()
    if series.dtype.is_numeric() or series.dtype.is_temporal():
        plain = series.to_physical().cast(pl.Float64)
        both = (plain.is_not_null() & plain.is_finite()).to_numpy()
        if both.sum() >= 0.9 * len(both):
            ranks = mid_ranks(plain.to_numpy()[both]), mid_ranks(values[both])
            rho = float(np.corrcoef(*ranks)[0, 1]) if ranks[0].std() > 0 and ranks[1].std() > 0 else 0.0
            if abs(rho) >= _ALMOST:
                return f"their ranks agree (Spearman {rho:.3f})"
    told = _mean_by_code(codes[:half], values[:half], codes[half:])
    rest = values[half:]
    spread = float(((rest - rest.mean()) ** 2).sum())
    explained = 1 - float(((rest - told) ** 2).sum()) / spread if spread > 0 else 0.0
    return f"it alone explains {explained:.1%} of it" if explained >= _ALMOST else ""


def _codes(series: pl.Series, column: ColumnProfile) -> Codes | None:
    """Return a code for each value: missing is one, numbers fall into bins. None where nearly every text is another."""
    if column.kind in ("number", "time"):
        values = series.to_physical().cast(pl.Float64).fill_null(float("nan")).to_numpy()
        present = values[np.isfinite(values)]
        if not len(present):
            return None
        edges = np.unique(np.quantile(present, np.arange(1, _BINS) / _BINS, method="inverted_cdf"))
        return np.where(np.isfinite(values), np.searchsorted(edges, values, side="left") + 1, 0).astype(np.int64)
    if column.identity or series.n_unique() > len(series) / 20:
        return series.is_null().cast(pl.Int64).to_numpy() if column.nulls else None
    return series.cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def _mean_by_code(codes: Codes, values: npt.NDArray[np.float64], asked: Codes) -> npt.NDArray[np.float64]:
    size = int(max(codes.max(), asked.max())) + 1
    count = np.bincount(codes, minlength=size)
    total = np.bincount(codes, weights=values, minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), values.mean())[asked]


def _most_common(codes: Codes, classes: Codes, asked: Codes) -> Codes:
    size = int(max(codes.max(), asked.max())) + 1
    table = np.zeros((size, int(classes.max()) + 1), dtype=np.int64)
    np.add.at(table, (codes, classes), 1)
    told: Codes = table.argmax(axis=1)[asked]
    return told


def _same_numbers(series: pl.Series, target: pl.Series) -> bool:
    if not (series.dtype.is_numeric() and target.dtype.is_numeric()):
        return False
    return series.cast(pl.Float64).equals(target.cast(pl.Float64))
