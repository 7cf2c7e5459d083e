"""The bootstrap of functions of column means: of rows, of clusters, of blocks in time; percentile or BCa intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING

from ..core.later import numpy as np
from .influence import Codes, OfMeans
from .interval import Floats, Interval

if TYPE_CHECKING:
    import numpy.typing as npt

_NORMAL = NormalDist()


def totals(columns: Floats, weights: Floats | None = None, clusters: Codes | None = None) -> Floats:
    """Return what is drawn: one row a unit, the sums of its columns, and last of its weights (or rows)."""
    weight = np.ones(len(columns)) if weights is None else weights
    summed = np.column_stack([columns * weight[:, None], weight])
    if clusters is None:
        return summed
    by_cluster = np.column_stack([np.bincount(clusters, weights=column) for column in summed.T]).astype(np.float64)
    return by_cluster[np.bincount(clusters) > 0]


def bootstrap_means(units: Floats, *, seed: int, repeats: int = 1000) -> Floats:
    """Return column means of `repeats` samples of the units (Efron 1979; clusters: the ratio of sums), one a row."""
    random = np.random.default_rng(seed)
    count = len(units)
    sums = np.empty((repeats, units.shape[1]))
    for repeat in range(repeats):
        sums[repeat] = np.bincount(random.integers(0, count, count), minlength=count) @ units
    return _means(sums)


def block_means(columns: Floats, *, length: int, seed: int, repeats: int = 1000) -> Floats:
    """Return column means of samples made of overlapping blocks of `length` rows in time order (Kuensch 1989).

    Circular, so that first and last rows count as often as others (Politis and Romano 1992); sums of blocks come from
    running sums, without visiting the rows again.
    """
    rows = len(columns)
    length = max(1, min(length, rows))
    random = np.random.default_rng(seed)
    running = np.vstack([np.zeros(columns.shape[1]), np.cumsum(np.vstack([columns, columns[:length]]), axis=0)])
    whole, rest = divmod(rows, length)
    starts = random.integers(0, rows, (repeats, whole))
    sums = (running[starts + length] - running[starts]).sum(axis=1)
    if rest:
        last = random.integers(0, rows, repeats)
        sums = sums + running[last + rest] - running[last]
    found: Floats = sums / rows
    return found


def percentile(found: Floats, confidence: float = 0.95) -> Interval:
    """Return the percentile interval of bootstrap estimates; those that are no numbers are left out."""
    found = found[np.isfinite(found)]
    if len(found) < 2:
        return -math.inf, math.inf
    low, high = np.quantile(found, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def bca(units: Floats, function: OfMeans, *, seed: int, confidence: float = 0.95, repeats: int = 2000) -> Interval:
    """Return the bias-corrected and accelerated interval (Efron 1987) of a function of the units' means.

    The acceleration comes from leaving out one unit at a time. Falls back to the percentile interval where all samples
    agree.
    """
    found = function(bootstrap_means(units, seed=seed, repeats=repeats))
    found = found[np.isfinite(found)]
    everything = units.sum(axis=0)
    value = float(function(_means(everything[None]))[0])
    share = float(((found < value).mean() + (found <= value).mean()) / 2) if len(found) else 0.0
    if not 0 < share < 1:
        return percentile(found, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = function(_means(everything - units))
    left_out = left_out[np.isfinite(left_out)]
    spread = left_out.mean() - left_out
    scale = float(np.square(spread).sum()) ** 1.5
    speed = float((spread**3).sum()) / (6 * scale) if scale > 0 else 0.0
    bias = _NORMAL.inv_cdf(share)
    ends = []
    for side in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + _NORMAL.inv_cdf(side)
        ends.append(_NORMAL.cdf(bias + z / (1 - speed * z)) if speed * z < 1 else side)
    low, high = np.quantile(found, np.clip(ends, 0, 1))
    return float(low), float(high)


def bootstrap_counts(
    units: int, statistic: Callable[[Floats], float], *, seed: int, repeats: int, clusters: Codes | None = None
) -> Floats:
    """Return a statistic of how often each row is drawn, for statistics that are no function of means.

    With clusters, whole clusters are drawn: `units` is how many there are.
    """
    random = np.random.default_rng(seed)
    found = np.empty(repeats)
    for repeat in range(repeats):
        counts = np.bincount(random.integers(0, units, units), minlength=units).astype(np.float64)
        found[repeat] = statistic(counts if clusters is None else counts[clusters])
    return found


def block_length(values: Floats) -> int:
    """Return how many neighbouring rows to keep together (Politis and White 2004, corrected by Patton et al. 2009).

    Autocovariances up to where autocorrelation stays within chance, in a flat-top window; at most a third of the rows.
    """
    rows = len(values)
    centred = values - values.mean()
    variance = float(centred @ centred) / rows
    if rows < 8 or variance <= 0:
        return 1
    lags = min(rows - 1, math.ceil(math.sqrt(rows)) + max(5, math.ceil(math.log10(rows))))
    covariance = np.array([float(centred[: rows - lag] @ centred[lag:]) / rows for lag in range(lags + 1)])
    keep = _last_lag(covariance / variance, rows)
    window = np.arange(-2 * keep, 2 * keep + 1)
    reach = np.abs(window)
    flat = np.where(reach <= keep, 1.0, 2 - reach / max(1, keep))
    used = covariance[np.minimum(reach, lags)] * (reach <= lags)
    level = float((flat * used).sum())
    slope = float((flat * reach * used).sum())
    if level <= 0:
        return 1
    best = (2 * slope * slope / (4 / 3 * level * level)) ** (1 / 3) * rows ** (1 / 3)
    return int(max(1, min(round(best), math.ceil(3 * math.sqrt(rows)), rows // 3)))


def _last_lag(correlation: npt.NDArray[np.float64], rows: int) -> int:
    """Return the lag after which several correlations in a row are within chance."""
    calm = max(5, math.ceil(math.log10(rows)))
    small = np.abs(correlation[1:]) < 2 * math.sqrt(math.log10(rows) / rows)
    for lag in range(len(small) - calm + 1):
        if small[lag : lag + calm].all():
            return max(1, lag)
    return max(1, int(np.flatnonzero(~small).max(initial=0)) + 1)


def _means(sums: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = sums[:, :-1] / sums[:, -1:]
    return found
