"""A metric with its interval: by the metric's own method, by influences, or by the bootstrap. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.binomial import wilson
from ..ground.stats.influence import Codes, standard_error
from ..ground.stats.interval import Floats, Interval, logit_interval, z_value
from ..ground.stats.resampling import bca, block_means, bootstrap_counts, bootstrap_means, percentile, totals
from ..ground.stats.student import t_value
from .measure import Measure, Rows, checked, estimate
from .measures.binary import smallest_class
from .measures.ranking import told_queries
from .records import Score

EVERYWHERE: Interval = (-math.inf, math.inf)
LEAST_CLUSTERS = 200
"""Clusters from which the normal and Student's distribution are the same for every purpose."""


def score(measure: Measure, rows: Rows, confidence: float = 0.95, *, seed: int = 0) -> Score:
    """Return the metric with its interval.

    Independent rows: DeLong for AUC, Wilson for shares, order statistics for the median, bootstrap for R2, else the
    delta method (on the log-odds scale where a metric has two ends). Weighted rows and rows in clusters: influences,
    summed by cluster, and Student's distribution where clusters are few. Raises EvidenceMissing where the rows cannot
    tell, InvalidInput for rows that are no input.
    """
    checked(measure, rows)
    plain = rows.weights is None and rows.clusters is None
    if measure.alone is not None and (plain or (measure.columns is None and measure.direct is None)):
        value, interval = measure.alone(rows, confidence, seed)
        return told(measure, value, interval, len(rows), confidence=confidence, method=measure.alone_by)
    value, influence = estimate(measure, rows)
    assert influence is not None
    clusters = unit_clusters(rows, influence)
    interval = interval_of(measure, rows, value, standard_error(influence, clusters), confidence)
    return told(measure, value, interval, len(rows), confidence=confidence, method=_called(measure, clusters))


def told(measure: Measure, value: float, interval: Interval, rows: int, *, confidence: float, method: str) -> Score:
    """Return the score; an interval that reaches to infinity is none."""
    low, high = interval
    finite = math.isfinite(low) and math.isfinite(high)
    return Score(
        measure.name,
        value,
        low if finite else None,
        high if finite else None,
        rows,
        confidence,
        method if finite else "",
    )


def unit_clusters(rows: Rows, influence: Floats) -> Codes | None:
    """Return the clusters of what has influence: of rows, or of queries (by their first row)."""
    if rows.clusters is None or rows.query is None or len(influence) == len(rows):
        return rows.clusters if len(influence) == len(rows) else None
    first = np.full(int(rows.query.max()) + 1, len(rows))
    np.minimum.at(first, rows.query, np.arange(len(rows)))
    return np.unique(rows.clusters[first[told_queries(rows)]], return_inverse=True)[1].reshape(-1)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an interval rests on beside the value and its standard error."""

    units: int
    """Independent pieces of evidence, at least: what bounds a metric that is at its end."""
    trials: float
    """Of a share: how many trials it is counted in, or as many as would have its standard error."""
    reach: float
    """Standard errors that the interval reaches."""


def interval_of(measure: Measure, rows: Rows, value: float, error: float, confidence: float) -> Interval:
    """Return the interval from a standard error, within what the metric can be."""
    if not math.isfinite(error):
        return EVERYWHERE
    trials = _trials(measure, rows, value, error) if measure.share else 0.0
    return interval_from(measure, value, error, confidence, Standing(_units(rows), trials, _reach(rows, confidence)))


def interval_from(measure: Measure, value: float, error: float, confidence: float, standing: Standing) -> Interval:
    """Return the interval of a value: Wilson's for a share, on the log-odds scale between two ends, else normal.

    At an end the error is zero, which is no evidence of certainty: the bound is where as many trials as the rarer class
    has rows would all have gone one way with the probability that the confidence leaves over.
    """
    if measure.share:
        return wilson(value, standing.trials, confidence)
    if not (math.isfinite(measure.least) and math.isfinite(measure.most)):
        reach = standing.reach * error
        return max(measure.least, value - reach), min(measure.most, value + reach)
    span = measure.most - measure.least
    share = (value - measure.least) / span
    if 0 < share < 1:
        if error == 0:
            return EVERYWHERE
        stretched = (standing.reach / z_value(confidence) * error / span) ** 2
        low, high = logit_interval(share, stretched, confidence)
        return measure.least + span * low, measure.least + span * high
    bound = span * ((1 - confidence) / 2) ** (1 / max(1, standing.units))
    return (measure.least + bound, measure.most) if share >= 1 else (measure.least, measure.most - bound)


def _units(rows: Rows) -> int:
    """Return how many independent pieces of evidence there are, at least."""
    binary = bool(((rows.y == 0) | (rows.y == 1)).all())
    count = len(told_queries(rows)) if rows.query is not None else smallest_class(rows) if binary else len(rows)
    return count if rows.clusters is None else min(count, len(np.unique(rows.clusters)))


def _trials(measure: Measure, rows: Rows, value: float, error: float) -> float:
    """Return the effective number of trials: those counted, or as many as would have this standard error."""
    assert measure.columns is not None
    columns = measure.columns(rows)
    counted = float(columns[:, -1].sum()) if columns.shape[1] > 1 else float(len(columns))
    if rows.weights is None and rows.clusters is None:
        return counted
    if 0 < value < 1 and error > 0:
        return value * (1 - value) / error**2 * (z_value(0.95) / _reach(rows, 0.95)) ** 2
    return min(counted, float(_units(rows)))


def _reach(rows: Rows, confidence: float) -> float:
    if rows.clusters is None:
        return z_value(confidence)
    units = len(np.unique(rows.clusters))
    return z_value(confidence) if units > LEAST_CLUSTERS else t_value(confidence, max(1, units - 1))


def _called(measure: Measure, clusters: Codes | None) -> str:
    kind = "Wilson" if measure.share else "delta method" if measure.columns is not None else "influences"
    return kind if clusters is None else f"{kind}, {len(np.unique(clusters))} clusters"


def resampled(
    measure: Measure,
    rows: Rows,
    confidence: float = 0.95,
    *,
    seed: int = 0,
    repeats: int = 1000,
    method: str = "percentile",
    block: int | None = None,
) -> Score:
    """Return the metric with a bootstrap interval: `percentile` or `bca`, of rows, clusters or (`block`) of time.

    Clusters (and queries of a ranking) are drawn whole. `block` is how many neighbouring rows stay together, for rows
    in time order. BCa is for metrics that are functions of means.
    """
    if method not in {"percentile", "bca"}:
        raise InvalidInput(f"There is no bootstrap {method!r}.", hint="Take percentile or bca.")
    checked(measure, rows)
    value, influence = estimate(measure, rows)
    clusters = rows.clusters if influence is None else unit_clusters(rows, influence)
    what = f"{method} bootstrap, {repeats} samples"
    if measure.columns is None or measure.of is None:
        if method == "bca" or block is not None:
            raise InvalidInput(f"{measure.name} is no function of means: take the percentile bootstrap of rows.")
        interval = percentile(_drawn(measure, rows, clusters, seed=seed, repeats=repeats), confidence)
        return told(measure, value, interval, len(rows), confidence=confidence, method=what)
    columns = measure.columns(rows)
    if block is not None:
        if rows.weights is not None or clusters is not None:
            raise InvalidInput("Blocks of time take neither weights nor clusters.")
        means = block_means(columns, length=block, seed=seed, repeats=repeats)
        interval = percentile(measure.of(means), confidence)
        return told(
            measure, value, interval, len(rows), confidence=confidence, method=f"{what} of blocks of {block} rows"
        )
    units = totals(columns, rows.weights, clusters)
    if method == "bca":
        interval = bca(units, measure.of, seed=seed, confidence=confidence, repeats=repeats)
    else:
        interval = percentile(measure.of(bootstrap_means(units, seed=seed, repeats=repeats)), confidence)
    return told(measure, value, interval, len(rows), confidence=confidence, method=f"{what} of {len(units)} units")


def _drawn(measure: Measure, rows: Rows, clusters: Codes | None, *, seed: int, repeats: int) -> Floats:
    weight = np.ones(len(rows)) if rows.weights is None else rows.weights

    def statistic(counts: Floats) -> float:
        # those that were not drawn are out: a class may be gone with them
        drawn = replace(rows, weights=counts * weight, clusters=None)
        try:
            checked(measure, drawn)
            return estimate(measure, drawn)[0]
        except EvidenceMissing:
            return math.nan

    units = len(rows) if clusters is None else int(clusters.max()) + 1
    return bootstrap_counts(units, statistic, seed=seed, repeats=repeats, clusters=clusters)
