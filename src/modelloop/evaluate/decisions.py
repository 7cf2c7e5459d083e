"""From which score on to act, by what mistakes cost: the threshold, its cost with an interval, the curve. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.interval import Floats, z_value
from .measure import Rows, checked, rows_of
from .measures.binary import MEASURES, both_classes

CURVE = 101
LEAST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Costs:
    """What each kind of decision costs, in one unit; what earns is below 0."""

    hit: float = 0.0
    """A positive case called positive."""
    miss: float = 1.0
    """A positive case called negative."""
    alarm: float = 1.0
    """A negative case called positive."""
    peace: float = 0.0
    """A negative case called negative."""

    @property
    def ideal(self) -> float:
        """Return the threshold that is best for calibrated probabilities (Elkan 2001)."""
        return (self.alarm - self.peace) / (self.alarm - self.peace + self.miss - self.hit)


@dataclass(frozen=True, slots=True)
class Decision:
    """Where to draw the line."""

    threshold: float
    """A score from here on is a yes; infinite: never yes is cheapest."""
    cost: float
    """The expected cost per row, cross-fitted: of thresholds found on other rows than those they are tried on."""
    low: float
    high: float
    optimistic: float
    """The cost of the threshold on the very rows it was chosen on: what a naive search would promise."""
    always: float
    """The cost of always saying yes."""
    never: float
    """The cost of always saying no."""
    ideal: float
    """The threshold that would be best, were the scores calibrated probabilities."""
    worth_it: bool
    """Is the interval of what it saves beside the better of always and never above 0?"""
    saved: tuple[float, float, float]
    """What it saves per row beside the better of always and never: value, low, high."""
    said: str
    rows: int
    confidence: float
    curve: tuple[tuple[float, float], ...]
    """Thresholds with their cost on all rows."""


def choose_threshold(
    y: object, score: object, costs: Costs, *, folds: int = 5, seed: int = 0, confidence: float = 0.95
) -> Decision:
    """Return the threshold with the least cost, and what it costs on rows that had no say in it.

    Rows are dealt into folds by the seed; each fold is decided by the threshold that the others found, and the interval
    is that of the mean of those costs. Raises InvalidInput for costs with which no threshold makes sense.
    """
    if not all(map(math.isfinite, (costs.hit, costs.miss, costs.alarm, costs.peace))):
        raise InvalidInput("Costs must be finite numbers.")
    if costs.miss <= costs.hit or costs.alarm <= costs.peace:
        raise InvalidInput(
            "A mistake costs no more than the right decision: then one answer is always best.",
            hint="Give costs with miss > hit and alarm > peace (what earns is below 0).",
        )
    rows = rows_of(y, score)
    checked(next(measure for measure in MEASURES if measure.name == "auc"), rows)
    both_classes(rows)
    if len(rows) < max(LEAST_ROWS, 2 * folds) or folds < 2:
        raise EvidenceMissing(f"{len(rows)} rows in {folds} folds cannot choose a threshold; {LEAST_ROWS} are needed.")
    threshold, optimistic = _best(rows.y, rows.score, costs)
    paid = _cross_fitted(rows, costs, folds, seed)
    always, never = _row_costs(rows.y, True, costs), _row_costs(rows.y, False, costs)
    cost, low, high = _mean(paid, confidence)
    plain = always if float(always.mean()) <= float(never.mean()) else never
    saved = _mean(plain - paid, confidence)
    return Decision(
        threshold, cost, low, high, optimistic, float(always.mean()), float(never.mean()), costs.ideal,
        saved[1] > 0, saved, _said(saved, plain is always), len(rows), confidence, _curve(rows, costs),
    )  # fmt: skip


def _said(saved: tuple[float, float, float], always: bool) -> str:
    other = f"always saying {'yes' if always else 'no'}"
    if saved[1] > 0:
        return f"cheaper than {other}"
    return f"dearer than {other}" if saved[2] < 0 else f"no difference shown to {other}"


def _best(y: Floats, score: Floats, costs: Costs) -> tuple[float, float]:
    """Return the threshold with the least cost and that cost, by one pass over the sorted scores."""
    cuts, paid = _all_costs(y, score, costs)
    least = int(np.argmin(paid))
    return float(_between(cuts, least)), float(paid[least])


def _all_costs(y: Floats, score: Floats, costs: Costs) -> tuple[Floats, Floats]:
    """Return the scores, falling, behind infinity, and the mean cost of a threshold at each."""
    order = np.argsort(-score, kind="stable")
    ordered, label = score[order], y[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.concatenate(([0.0], np.cumsum(label)[ends]))
    alarms = np.concatenate(([0.0], np.cumsum(1 - label)[ends]))
    positives, negatives = float(label.sum()), float(len(label) - label.sum())
    paid = hits * costs.hit + (positives - hits) * costs.miss
    paid = paid + alarms * costs.alarm + (negatives - alarms) * costs.peace
    return np.concatenate(([np.inf], ordered[ends])), paid / len(label)


def _between(cuts: Floats, place: int) -> float:
    """Return the middle between a score and the next lower one: rows near it fall on either side alike."""
    if place == 0 or place == len(cuts) - 1:
        return float(cuts[place])
    return float((cuts[place] + cuts[place + 1]) / 2)


def _row_costs(y: Floats, yes: object, costs: Costs) -> Floats:
    said = np.broadcast_to(np.asarray(yes, dtype=bool), y.shape)
    positive = y > 0.5
    return np.where(positive, np.where(said, costs.hit, costs.miss), np.where(said, costs.alarm, costs.peace)).astype(
        np.float64
    )


def _cross_fitted(rows: Rows, costs: Costs, folds: int, seed: int) -> Floats:
    """Return each row's cost under the threshold that the other folds found; both classes are dealt out evenly."""
    random = np.random.default_rng(seed)
    fold = np.empty(len(rows), dtype=np.int64)
    for label in (0.0, 1.0):
        places = random.permutation(np.flatnonzero(rows.y == label))
        fold[places] = np.arange(len(places)) % folds
    paid = np.empty(len(rows))
    for one in range(folds):
        out = fold == one
        threshold, _ = _best(rows.y[~out], rows.score[~out], costs)
        paid[out] = _row_costs(rows.y[out], rows.score[out] >= threshold, costs)
    return paid


def _mean(values: Floats, confidence: float) -> tuple[float, float, float]:
    centre = float(values.mean())
    reach = z_value(confidence) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return centre, centre - reach, centre + reach


def _curve(rows: Rows, costs: Costs) -> tuple[tuple[float, float], ...]:
    cuts, paid = _all_costs(rows.y, rows.score, costs)
    cuts, paid = cuts[1:], paid[1:]
    places = np.unique(np.linspace(0, len(cuts) - 1, min(CURVE, len(cuts))).astype(np.int64))[::-1]
    return tuple(zip(cuts[places].tolist(), paid[places].tolist(), strict=True))
