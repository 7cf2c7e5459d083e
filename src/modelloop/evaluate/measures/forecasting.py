"""Metrics of forecasts: rows stand in time order within their series, so neighbours are no independent evidence."""

from __future__ import annotations

import math

from ...ground.core.errors import EvidenceMissing, InvalidInput
from ...ground.core.later import numpy as np
from ...ground.stats.influence import Codes
from ...ground.stats.interval import Floats
from ..measure import Measure, Rows
from ..records import Direction, Metric
from .binary import first_mean
from .regression import BIAS, MAE, MAPE, PINBALL, RMSE, SMAPE, WAPE, off

LEAST_SERIES = 20
"""Series from which each of them is one piece of evidence; below, blocks of neighbouring rows are."""


def seasonal_scale(history: Floats, season: int = 1) -> float:
    """Return the mean change from one season to the next: how far off the seasonal naive forecast is (MASE's unit)."""
    if len(history) <= season:
        raise EvidenceMissing(f"A history of {len(history)} rows has no season of {season} to compare with.")
    found = float(np.abs(history[season:] - history[:-season]).mean())
    if found == 0:
        raise EvidenceMissing("The history never changes from season to season: it gives no scale.")
    return found


def scale_of(rows: Rows) -> Floats:
    """Return each row's scale: the one given, else of the rows' own series (their order is time)."""
    if rows.scale is not None:
        if (rows.scale <= 0).any() or not np.isfinite(rows.scale).all():
            raise InvalidInput("Some rows have a scale that is not above 0.", hint="See seasonal_scale.")
        return rows.scale
    series = rows.series if rows.series is not None else np.zeros(len(rows), dtype=np.int64)
    order = np.argsort(series, kind="stable")
    y, sorted_by, lag = rows.y[order], series[order], rows.terms.season
    same = sorted_by[lag:] == sorted_by[:-lag] if lag < len(y) else np.empty(0, dtype=bool)
    changes = np.abs(y[lag:] - y[:-lag])[same] if lag < len(y) else np.empty(0)
    count = int(series.max()) + 1
    owners = sorted_by[lag:][same] if len(same) else np.empty(0, dtype=np.int64)
    pairs = np.bincount(owners, minlength=count)
    sums = np.bincount(owners, weights=changes, minlength=count)
    scale = np.divide(sums, pairs, out=np.zeros(count), where=pairs > 0)
    if (scale[np.bincount(series, minlength=count) > 0] == 0).any():
        raise EvidenceMissing("A series has no change from season to season in these rows: it gives no scale.")
    found: Floats = scale[series]
    return found


def blocks(rows: Rows) -> Codes:
    """Return what counts as one piece of evidence: each series, or with few of them blocks of neighbouring rows.

    Blocks do not overlap (Carlstein 1986) and are as long as the third root of a series' rows, at least two seasons.
    """
    series = rows.series if rows.series is not None else np.zeros(len(rows), dtype=np.int64)
    count = np.bincount(series)
    if int((count > 0).sum()) >= LEAST_SERIES:
        return series
    order = np.argsort(series, kind="stable")
    starts = np.concatenate(([0], np.cumsum(count)[:-1]))
    place = np.empty(len(series), dtype=np.int64)
    place[order] = np.arange(len(series)) - starts[series[order]]
    season = rows.terms.season if rows.terms.season > 1 else 0
    length = np.maximum(np.ceil(np.cbrt(count) * 2), 2 * season).astype(np.int64)
    widest = int(count.max()) + 1
    return np.unique(series * widest + place // np.maximum(1, length)[series], return_inverse=True)[1].reshape(-1)


MASE = Measure(
    Metric(
        "mase",
        "How far forecasts are off beside repeating the last season: below 1 they beat it.",
        Direction.LOWER,
    ),
    columns=lambda rows: (off(rows) / scale_of(rows))[:, None],
    of=first_mean,
)
MEASURES = (MASE, SMAPE, WAPE, BIAS, PINBALL, MAE, RMSE, MAPE)


def coverage(low: Floats, high: Floats, level: float) -> tuple[Measure, Measure]:
    """Return how often the truth lies within given intervals, and by how much that misses the stated level."""

    def inside(rows: Rows) -> Floats:
        return ((rows.y >= low) & (rows.y <= high)).astype(np.float64)[:, None]

    often = Metric(
        "coverage", f"How often the truth lies in the stated interval; {level:.0%} is promised.", Direction.HIGHER
    )
    gap = Metric(
        "coverage_gap",
        "How much more (above 0) or less often (below 0) than promised the truth lies in the interval.",
        Direction.ZERO,
    )
    return (
        Measure(often, columns=inside, of=first_mean, most=1.0, share=True),
        Measure(gap, columns=lambda rows: inside(rows) - level, of=first_mean, least=-level, most=1 - level),
    )


def width(low: Floats, high: Floats) -> Measure:
    """Return the measure of how wide given intervals are."""
    metric = Metric(
        "interval_width", "How wide the stated intervals are, on average, in the label's own unit.", Direction.LOWER
    )
    return Measure(metric, columns=lambda _rows: (high - low)[:, None], of=first_mean, most=math.inf)


def interval_score(low: Floats, high: Floats, level: float) -> Measure:
    """Return the measure that rewards narrow intervals and punishes misses (Winkler; Gneiting and Raftery 2007)."""

    def parts(rows: Rows) -> Floats:
        outside = np.maximum(0, low - rows.y) + np.maximum(0, rows.y - high)
        return (high - low + 2 / (1 - level) * outside)[:, None]

    metric = Metric(
        "interval_score", "The intervals' width plus a fine for each truth outside; smaller is better.", Direction.LOWER
    )
    return Measure(metric, columns=parts, of=first_mean)
