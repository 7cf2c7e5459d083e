"""Two models on the same rows: the difference with its interval, which the rows' own difficulty does not blur."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..ground.core.errors import EvidenceMissing
from ..ground.core.later import numpy as np
from ..ground.stats.binomial import mcnemar, paired_share_interval
from ..ground.stats.influence import of_means, standard_error
from ..ground.stats.interval import Floats, Interval, bootstrap_interval, z_value
from ..ground.stats.resampling import bootstrap_counts, bootstrap_means, percentile, totals
from ..ground.stats.two_sample import auc_difference, mean_difference
from .measure import Measure, Rows, checked, estimate, rows_of
from .measures.binary import decided, labels_are_binary
from .metrics import for_metric, measure_of
from .records import Comparison, Direction
from .scoring import unit_clusters
from .settings import TermsSettings

REPEATS = 500
SAME, BETTER, WORSE = "no difference shown", "better", "worse"
_Found = tuple[tuple[float, float], Interval, str]
_ORDINARY: Mapping[str, str] = MappingProxyType({"rmse": "paired bootstrap", "r2": "paired bootstrap"})


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where two classifiers' decisions differ, and McNemar's test of whether one is right more often."""

    only_challenger: int
    """Rows where it alone is right."""
    only_champion: int
    rows: int
    exact: float
    """The exact p-value: never too small."""
    mid: float
    """The mid-p value: closer to its level, so it sees more."""
    said: str


def compare(
    metric: str,
    y: Floats,
    challenger: Floats,
    champion: Floats,
    confidence: float = 0.95,
    *,
    seed: int = 0,
    terms: TermsSettings | None = None,
    columns: Mapping[str, object] | None = None,
) -> Comparison:
    """Return challenger minus champion in units of the metric, with the interval of that difference.

    AUC: DeLong's covariance; means of row losses: the paired mean; RMSE and R2: paired bootstrap (`seed`). Raises as
    `metrics.compute` does, and EvidenceMissing where the rows are too few to tell.
    """
    measure = measure_of(metric)
    rows = for_metric(measure, rows_of(y, challenger, terms=terms, columns=columns))
    other = rows_of(y, champion, terms=terms).score
    return difference(measure, rows, other, confidence, seed=seed)


def difference(
    measure: Measure, rows: Rows, champion: Floats, confidence: float = 0.95, *, seed: int = 0
) -> Comparison:
    """Return the comparison of the rows' own answers with the champion's.

    Whatever has influences has those of the difference, summed by cluster where rows belong together. Metrics that are
    best at 0 are compared by their size. The median is bootstrapped in pairs.
    """
    other = rows.answered(champion)
    checked(measure, rows)
    checked(measure, other)
    if len(rows) < 2:
        raise EvidenceMissing("A single row cannot tell two models apart.")
    (value, theirs), (low, high), method = _found(measure, rows, other, confidence, seed)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise EvidenceMissing(f"{len(rows)} rows are too few to compare {measure.name} on.")
    said = in_words(measure.metric.direction, low, high)
    return Comparison(measure.name, value, theirs, value - theirs, low, high, len(rows), method, confidence, said)


def in_words(direction: Direction, low: float, high: float) -> str:
    """Return the answer that an interval of challenger minus champion gives: 0 within is no difference shown."""
    if low <= 0 <= high:
        return SAME
    return BETTER if (low > 0) == (direction is Direction.HIGHER) else WORSE


def _found(measure: Measure, rows: Rows, other: Rows, confidence: float, seed: int) -> _Found:
    plain = rows.weights is None and rows.clusters is None
    if rows.score.ndim == 2:
        return _influenced(measure, rows, other, confidence)
    if measure.metric.direction is Direction.ZERO:
        return _sizes(measure, rows, other, confidence, seed)
    if plain and measure.name == "auc":
        pair, interval = auc_difference(rows.y > 0.5, rows.score, other.score, confidence)
        return pair, interval, "DeLong"
    if plain and measure.name == "accuracy":
        return _accuracy(measure, rows, other, confidence)
    if measure.columns is None and measure.direct is None:
        return _redrawn(measure, rows, other, confidence, seed)
    if plain and measure.name in _ORDINARY:
        return _resampled(measure, rows, other, confidence, seed)
    return _influenced(measure, rows, other, confidence)


def _influenced(measure: Measure, rows: Rows, other: Rows, confidence: float) -> _Found:
    if rows.weights is None and measure.columns is not None and measure.of is not None:
        mine, yours = measure.columns(rows), measure.columns(other)
        if mine.shape[1] == 1 and rows.clusters is None and measure.name != "rmsle":
            return *mean_difference(mine[:, 0], yours[:, 0], confidence), "paired mean"
    (value, ours), (theirs, champions) = estimate(measure, rows), estimate(measure, other)
    assert ours is not None
    assert champions is not None
    moved = ours - champions
    clusters = unit_clusters(rows, moved)
    reach = z_value(confidence) * standard_error(moved, clusters)
    gap = value - theirs
    method = "paired delta method" if measure.columns is not None else "paired influences"
    method += "" if clusters is None else f", {len(np.unique(clusters))} clusters"
    return (value, theirs), (gap - reach, gap + reach), method


def _accuracy(measure: Measure, rows: Rows, other: Rows, confidence: float) -> _Found:
    told = disagreement(rows, other.score)
    pair = estimate(measure, rows)[0], estimate(measure, other)[0]
    interval = paired_share_interval(told.only_challenger, told.only_champion, len(rows), confidence)
    return pair, interval, "Agresti and Min"


def _sizes(measure: Measure, rows: Rows, other: Rows, confidence: float, seed: int) -> _Found:
    """Compare how far both are from 0, by drawing rows (or clusters) for both at once."""
    assert measure.columns is not None
    assert measure.of is not None
    both = np.column_stack([measure.columns(rows), measure.columns(other)])
    width, of = both.shape[1] // 2, measure.of

    def gap(means: Floats) -> Floats:
        found: Floats = np.abs(of(means[:, :width])) - np.abs(of(means[:, width:]))
        return found

    means = bootstrap_means(totals(both, rows.weights, unit_clusters(rows, both[:, 0])), seed=seed, repeats=REPEATS)
    pair = tuple(abs(of_means(measure.columns(side), of, rows.weights)[0]) for side in (rows, other))
    return (pair[0], pair[1]), percentile(gap(means), confidence), "paired bootstrap of sizes"


def _resampled(measure: Measure, rows: Rows, other: Rows, confidence: float, seed: int) -> _Found:
    assert measure.columns is not None
    assert measure.of is not None
    columns, of = np.column_stack([measure.columns(rows), measure.columns(other)]), measure.of
    half = columns.shape[1] // 2

    def gap(means: Floats) -> Floats:
        return of(means[:, :half]) - of(means[:, half:])

    means = columns.mean(axis=0, keepdims=True)
    pair = float(of(means[:, :half])[0]), float(of(means[:, half:])[0])
    interval = bootstrap_interval(columns, gap, seed=seed, confidence=confidence, repeats=REPEATS)
    return pair, interval, "paired bootstrap"


def _redrawn(measure: Measure, rows: Rows, other: Rows, confidence: float, seed: int) -> _Found:
    """Compare what is no function of means by drawing rows for both at once."""
    pair = estimate(measure, rows)[0], estimate(measure, other)[0]
    if measure.name == "max_error":
        raise EvidenceMissing("A largest error rests on one row: the difference of two has no interval.")
    weight = np.ones(len(rows)) if rows.weights is None else rows.weights

    def gap(counts: Floats) -> float:
        drawn = replace(rows, weights=counts * weight, clusters=None)
        return estimate(measure, drawn)[0] - estimate(measure, drawn.answered(other.score))[0]

    units = len(rows) if rows.clusters is None else int(rows.clusters.max()) + 1
    found = bootstrap_counts(units, gap, seed=seed, repeats=REPEATS, clusters=rows.clusters)
    return pair, percentile(found, confidence), "paired bootstrap"


def disagreement(rows: Rows, champion: Floats, confidence: float = 0.95) -> Disagreement:
    """Return where the two decide differently, with McNemar's exact and mid-p values; the mid-p one answers."""
    labels_are_binary(rows)
    right = decided(rows) == rows.y
    other = decided(rows.answered(champion)) == rows.y
    ours, theirs = int((right & ~other).sum()), int((~right & other).sum())
    exact, mid = mcnemar(ours, theirs)
    said = SAME if mid >= 1 - confidence else BETTER if ours > theirs else WORSE
    return Disagreement(ours, theirs, len(rows), exact, mid, said)
