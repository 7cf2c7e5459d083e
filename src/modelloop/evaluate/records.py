"""Nouns of judging: a score with its interval, a slice, a comparison, a gate's answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..ground.core.records import Verdict


class Direction(StrEnum):
    """Which way a metric is good."""

    HIGHER = "higher"
    LOWER = "lower"
    ZERO = "zero"
    """Best at 0, whichever side it is off to: compared by size."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A named metric with one sentence of meaning for everybody."""

    name: str
    meaning: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class Score:
    """A metric's value on some rows, with its interval. All three numbers are None where there is no evidence."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    confidence: float = 0.95
    method: str = ""
    """How the interval was made."""


@dataclass(frozen=True, slots=True)
class SliceScore:
    """A metric in one group."""

    column: str
    group: str
    score: Score


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same rows: `difference` is challenger minus champion in units of the metric."""

    metric: str
    challenger: float
    champion: float
    difference: float
    low: float
    high: float
    rows: int
    method: str
    """How the interval was made: `DeLong`, `paired mean`, `paired bootstrap` and others."""
    confidence: float = 0.95
    said: str = ""
    """The answer: `better`, `worse` or `no difference shown`. Empty in evaluations of older releases."""


@dataclass(frozen=True, slots=True)
class OwnScore:
    """A metric that the project defines by a formula, beside the headline; `metric` holds its meaning and direction."""

    metric: Metric
    unit: str
    formula: str
    score: Score
    comparison: Comparison | None = None
    """With the champion on the same rows."""
    note: str = ""
    """Why there is no number, where there is none."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate answered and why, in a sentence a reviewer understands."""

    gate: str
    check: str
    verdict: Verdict
    reason: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that is known of a candidate before it goes anywhere."""

    headline: Score
    scores: tuple[Score, ...]
    baseline: Score
    """The headline metric of always answering the mean of the training labels."""
    slices: tuple[SliceScore, ...]
    """Worst group first within each column."""
    comparison: Comparison | None
    """With the champion on the same rows; None if there is no champion or its training data overlaps these rows."""
    gates: tuple[GateResult, ...] = ()
    own: tuple[OwnScore, ...] = ()
    """The project's own metrics ([metrics.NAME]), to be shown beside the headline wherever it is shown."""

    @property
    def verdict(self) -> Verdict:
        """Return FAIL if any gate failed, else MISSING if any lacks evidence, else PASS. No gates: MISSING."""
        answers = {gate.verdict for gate in self.gates}
        if Verdict.FAIL in answers:
            return Verdict.FAIL
        return Verdict.PASS if answers == {Verdict.PASS} else Verdict.MISSING
