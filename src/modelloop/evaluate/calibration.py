"""Do probabilities mean what they say? The curve with intervals, tests that stay valid, and recalibration. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from ..ground.stats.binomial import wilson
from ..ground.stats.interval import Floats, z_value
from ..ground.stats.monotone import expit, isotonic, logistic, logit
from ..ground.stats.special import chi2_tail, normal_tail
from .measure import Measure, Rows, checked, rows_of
from .measures.binary import MEASURES as BINARY
from .measures.binary import both_classes
from .measures.ece import debiased, ece_interval, expected_by_chance, groups_of
from .records import Score
from .scoring import told

LEAST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Point:
    """A group of rows with similar probabilities: what was predicted and what happened, with Wilson's interval."""

    predicted: float
    happened: float
    low: float
    high: float
    rows: int
    from_: float
    until: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether probabilities mean what they say."""

    points: tuple[Point, ...]
    ece: Score
    ece_by_chance: float
    """What a perfectly calibrated model would show on as many rows: an ECE near it is no finding."""
    gap: float
    """The root of the mean squared gap without what sampling adds."""
    slope: Score
    """1 is right; below 1 probabilities are too extreme, above 1 too timid."""
    intercept: Score
    """0 is right; above 0 probabilities are too low on the whole, on the log-odds scale (slope held at 1)."""
    test: str
    p: float | None
    said: str
    rows: int


def calibration(y: object, score: object, *, bins: int = 10, confidence: float = 0.95, seed: int = 0) -> Calibration:
    """Return the reliability curve with intervals, ECE and its bias, slope and intercept, and a test.

    The test is Spiegelhalter's (1986): the Brier score beside what it would be were the probabilities true. It needs no
    groups, so it depends on no choice of them as Hosmer and Lemeshow's does; with Bonferroni's correction Cox's test of
    slope and intercept joins it, which sees what it does not.
    """
    rows = rows_of(y, score)
    measure = _ece()
    checked(measure, rows)
    both_classes(rows)
    if len(rows) < LEAST_ROWS:
        raise EvidenceMissing(f"{len(rows)} rows cannot tell calibration; {LEAST_ROWS} are needed.")
    groups = groups_of(_with_bins(rows, bins))
    points = tuple(
        Point(*pair, *wilson(pair[1], count, confidence), int(count), *ends)
        for pair, count, ends in zip(
            zip(groups.predicted.tolist(), groups.happened.tolist(), strict=True),
            groups.rows.tolist(),
            zip(groups.low.tolist(), groups.high.tolist(), strict=True),
            strict=True,
        )
    )
    value, interval = ece_interval(_with_bins(rows, bins), confidence, seed)
    slope, intercept, cox = _cox(rows, confidence)
    p = _together(_spiegelhalter(rows), cox)
    return Calibration(
        points,
        told(measure, value, interval, len(rows), confidence=confidence, method=measure.alone_by),
        expected_by_chance(groups),
        debiased(groups),
        slope,
        intercept,
        "Spiegelhalter and Cox, Bonferroni",
        p,
        _said(p, confidence, slope, intercept),
        len(rows),
    )


def _ece() -> Measure:
    return next(measure for measure in BINARY if measure.name == "ece")


def _with_bins(rows: Rows, bins: int) -> Rows:
    if bins < 2:
        raise InvalidInput(f"A curve of {bins} groups shows nothing.", hint="Take 2 or more.")
    return replace(rows, terms=replace(rows.terms, bins=bins))


def _cox(rows: Rows, confidence: float) -> tuple[Score, Score, float | None]:
    """Fit truth to log-odds (Cox 1958): slope, intercept beside a slope of 1, and the test that both are right."""
    odds = logit(np.clip(rows.score, 0, 1))
    count = len(rows)
    if np.ptp(odds) < 1e-9:
        slope = Score("slope", None, None, None, count, confidence)
    else:
        found, covariance = logistic(odds, rows.y)
        slope = _fitted("slope", float(found[1]), float(covariance[1, 1]), count, confidence)
    level, spread = logistic(odds, rows.y, offset=odds, slope=False)
    intercept = _fitted("intercept", float(level[0]), float(spread[0, 0]), count, confidence)
    if slope.value is None:
        p = None if intercept.value is None else normal_tail(float(level[0]) / math.sqrt(float(spread[0, 0])))
        return slope, intercept, p
    found, _ = logistic(odds, rows.y)
    better = 2 * (_likelihood(found[0] + found[1] * odds, rows.y) - _likelihood(odds, rows.y))
    return slope, intercept, chi2_tail(max(0.0, better), 2)


def _fitted(name: str, value: float, variance: float, rows: int, confidence: float) -> Score:
    if not (math.isfinite(value) and math.isfinite(variance)):
        return Score(name, None, None, None, rows, confidence)
    reach = z_value(confidence) * math.sqrt(variance)
    return Score(name, value, value - reach, value + reach, rows, confidence, "maximum likelihood")


def _likelihood(odds: Floats, y: Floats) -> float:
    return float((y * odds - np.logaddexp(0, odds)).sum())


def _spiegelhalter(rows: Rows) -> float | None:
    chance = np.clip(rows.score, 0, 1)
    variance = float((np.square(1 - 2 * chance) * chance * (1 - chance)).sum())
    if variance <= 0:
        return None
    return normal_tail(float(((rows.y - chance) * (1 - 2 * chance)).sum()) / math.sqrt(variance))


def _together(*found: float | None) -> float | None:
    told_by = [p for p in found if p is not None]
    return min(1.0, min(told_by) * len(told_by)) if told_by else None


def _said(p: float | None, confidence: float, slope: Score, intercept: Score) -> str:
    if p is None:
        return "cannot be told"
    if p >= 1 - confidence:
        return "no miscalibration shown"
    words = []
    if slope.low is not None and slope.high is not None and not slope.low <= 1 <= slope.high:
        words.append("too extreme" if slope.high < 1 else "too timid")
    if intercept.low is not None and intercept.high is not None and not intercept.low <= 0 <= intercept.high:
        words.append("too low" if intercept.low > 0 else "too high")
    return f"probabilities are {' and '.join(words)}" if words else "miscalibrated, in no simple way"


@dataclass(frozen=True, slots=True)
class Platt:
    """A logistic curve over log-odds that turns scores into probabilities."""

    intercept: float
    slope: float
    of_odds: bool = True
    """Are scores probabilities, whose log-odds are taken? Else they are used as they are."""

    def apply(self, score: object) -> Floats:
        """Return probabilities."""
        values = np.asarray(score, dtype=np.float64)
        found: Floats = expit(self.intercept + self.slope * (logit(values) if self.of_odds else values))
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what `recalibration` reads."""
        return {"kind": "platt", "intercept": self.intercept, "slope": self.slope, "of_odds": self.of_odds}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Rising steps that turn scores into probabilities, straight lines between them."""

    at: tuple[float, ...]
    to: tuple[float, ...]

    def apply(self, score: object) -> Floats:
        """Return probabilities; beyond the scores seen in fitting those at the ends."""
        found: Floats = np.interp(np.asarray(score, dtype=np.float64), self.at, self.to)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what `recalibration` reads."""
        return {"kind": "isotonic", "at": list(self.at), "to": list(self.to)}


def fit_platt(y: object, score: object) -> Platt:
    """Fit Platt's curve (1999) on rows that the model has not seen; over log-odds where scores are probabilities.

    Targets are drawn in by Platt's rule, (n + 1) / (n + 2) and 1 / (n + 2): parted classes do not make it infinite.
    """
    rows = _fitting(y, score)
    probabilities = bool(((rows.score >= 0) & (rows.score <= 1)).all())
    x = logit(rows.score) if probabilities else rows.score
    positive = float(rows.y.sum())
    negative = len(rows) - positive
    target = np.where(rows.y > 0.5, (positive + 1) / (positive + 2), 1 / (negative + 2))
    found, _ = logistic(x, target)
    if not np.isfinite(found).all():
        raise EvidenceMissing("All scores are alike: there is no curve through them.")
    return Platt(float(found[0]), float(found[1]), probabilities)


def fit_isotonic(y: object, score: object) -> Isotonic:
    """Fit rising steps (pool adjacent violators) on rows that the model has not seen; take about 1,000 or more."""
    rows = _fitting(y, score)
    at, to = isotonic(rows.score, rows.y)
    # only the ends of steps are kept: what lies between follows from them
    keep = np.ones(len(to), dtype=bool)
    keep[1:-1] = (to[1:-1] != to[:-2]) | (to[1:-1] != to[2:])
    return Isotonic(tuple(at[keep].tolist()), tuple(to[keep].tolist()))


def recalibration(document: dict[str, Any]) -> Platt | Isotonic:
    """Read what `to_json` wrote; raises InvalidInput."""
    try:
        if document["kind"] == "platt":
            return Platt(float(document["intercept"]), float(document["slope"]), bool(document["of_odds"]))
        if document["kind"] == "isotonic":
            return Isotonic(tuple(map(float, document["at"])), tuple(map(float, document["to"])))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"This is no recalibration: {error}.") from error
    raise InvalidInput(f"There is no recalibration {document['kind']!r}.", hint="There are platt and isotonic.")


def _fitting(y: object, score: object) -> Rows:
    rows = rows_of(y, score)
    auc = next(measure for measure in BINARY if measure.name == "auc")
    checked(auc, rows)
    return rows
