"""A gate's answer: pass, fail, or missing evidence, from intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from ..ground.core.errors import EvidenceMissing
from ..ground.core.later import numpy as np
from ..ground.core.records import Verdict
from .compare import compare
from .metrics import METRICS, Floats, compute
from .records import Comparison, Direction, GateResult, SliceScore
from .settings import Check, GateSettings
from .slices import by_group


class ParityLike(Protocol):
    """What a parity check found (`register.records.Parity` is one)."""

    @property
    def rows(self) -> int:
        """Return how many rows were replayed."""
        ...

    @property
    def largest(self) -> float:
        """Return the largest difference of two answers that are numbers."""
        ...

    @property
    def beyond(self) -> int:
        """Return how many rows differ by more than `tolerance`, or have an answer that is no number."""
        ...

    @property
    def tolerance(self) -> float:
        """Return the tolerance that was compared with."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """What the holdout rows say: the truth, and what each side answered. One entry per row, in the same order."""

    y: Floats
    score: Floats
    """Of the candidate."""
    champion_score: Floats | None = None
    """Of the version that answers now; None: there is none."""
    overlap: bool = False
    """Did the champion learn from some of these rows? Then it cannot be compared on them."""
    baseline_value: float | None = None
    """Mean of the training labels: what a model that looks at nothing answers. None: not known."""
    slices: Mapping[str, Sequence[object]] = field(default_factory=dict)
    """Values of the columns that make groups."""
    parity: ParityLike | None = None
    """None: served and training answers were not compared."""

    @property
    def baseline(self) -> Floats | None:
        """Return the answers of a model that looks at nothing."""
        return None if self.baseline_value is None else np.full(len(self.y), self.baseline_value)


def judge_gate(name: str, gate: GateSettings, headline: str, answers: Answers) -> GateResult:
    """Return what one gate says of the answers.

    - metric: PASS when the worse end of the interval reaches the bound, FAIL when even the better end does not.
    - champion: PASS when the worse end of the paired difference is not below -margin, else FAIL when its better end
      is below 0: worse for sure. No champion: PASS. A champion that learned from these rows: MISSING.
    - baseline: PASS when the whole paired difference from always answering the mean lies on the better side of 0.
    - slice: PASS when every group with enough rows passes as `metric` would; FAIL when one of them fails at a
      confidence corrected for the number of groups (Bonferroni): many groups must not fail by chance.
    - parity: PASS when no two answers differ by more than the tolerance, FAIL when some do. `min_rows` does not matter.

    Whatever lies in between, or rests on fewer than `min_rows` rows, is MISSING: not yet shown.
    """
    metric = str(gate.metric or headline)
    try:
        return _CHECKS[gate.check](name, gate, metric, answers)
    except EvidenceMissing as error:
        return _missing(name, gate, str(error), len(answers.y))


def _metric(name: str, gate: GateSettings, metric: str, answers: Answers) -> GateResult:
    bound = _bound(gate)
    _enough(gate, len(answers.y), "holdout rows")
    score = compute(metric, answers.y, answers.score, gate.confidence)
    if score.value is None or score.low is None or score.high is None:
        raise EvidenceMissing(f"{score.rows} rows give {metric} no interval.")
    verdict = _reaches(metric, score.low, score.high, bound)
    reason = (
        f"{metric} is {_n(score.value)}, between {_n(score.low)} and {_n(score.high)} ({gate.confidence:.0%}) on "
        f"{score.rows} rows; {_words(metric)} {_n(bound)} is asked for{_TAIL[verdict]}"
    )
    return GateResult(name, gate.check, verdict, reason, score.value, score.low, score.high, bound, score.rows)


def _champion(name: str, gate: GateSettings, metric: str, answers: Answers) -> GateResult:
    if answers.champion_score is None:
        return GateResult(name, gate.check, Verdict.PASS, "there is no champion to compare with", rows=len(answers.y))
    if answers.overlap:
        raise EvidenceMissing("The champion learned from some of these rows: on them it cannot be compared.")
    found = _difference(gate, metric, answers, answers.champion_score)
    higher = METRICS[metric].direction is Direction.HIGHER
    worst, best = (found.low, found.high) if higher else (-found.high, -found.low)
    verdict = Verdict.PASS if worst >= -gate.margin else Verdict.FAIL if best < 0 else Verdict.MISSING
    reason = f"{_told(found, 'the champion')}; {gate.margin:g} worse is no loss{_TAIL[verdict]}"
    bound = -gate.margin if higher else gate.margin
    return _paired(name, gate, found, verdict, reason=reason, bound=bound)


def _baseline(name: str, gate: GateSettings, metric: str, answers: Answers) -> GateResult:
    if answers.baseline is None:
        raise EvidenceMissing("The mean of the training labels is not known.")
    found = _difference(gate, metric, answers, answers.baseline)
    higher = METRICS[metric].direction is Direction.HIGHER
    worst, best = (found.low, found.high) if higher else (-found.high, -found.low)
    verdict = Verdict.PASS if worst > 0 else Verdict.FAIL if best <= 0 else Verdict.MISSING
    reason = f"{_told(found, 'always answering the mean')}{_TAIL[verdict]}"
    return _paired(name, gate, found, verdict, reason=reason, bound=0.0)


def _difference(gate: GateSettings, metric: str, answers: Answers, other: Floats) -> Comparison:
    _enough(gate, len(answers.y), "holdout rows")
    return compare(metric, answers.y, answers.score, other, gate.confidence)


def _told(found: Comparison, who: str) -> str:
    return (
        f"{found.metric} is {_n(found.challenger)}, that of {who} {_n(found.champion)} on the same {found.rows} rows: "
        f"a difference of {found.difference:+.4g}, between {found.low:+.4g} and {found.high:+.4g} "
        f"({found.confidence:.0%}, {found.method}); {METRICS[found.metric].direction} is better"
    )


def _paired(
    name: str, gate: GateSettings, found: Comparison, verdict: Verdict, *, reason: str, bound: float
) -> GateResult:
    return GateResult(name, gate.check, verdict, reason, found.difference, found.low, found.high, bound, found.rows)


def _slice(name: str, gate: GateSettings, metric: str, answers: Answers) -> GateResult:
    bound = _bound(gate)
    if gate.by is None or gate.by not in answers.slices:
        raise EvidenceMissing(f"The holdout has no column {gate.by!r} to group by.")
    groups = answers.slices[gate.by]

    def told(confidence: float) -> list[SliceScore]:
        found = by_group(
            metric, answers.y, answers.score, gate.by or "", groups, min_rows=gate.min_rows, confidence=confidence
        )
        return [one for one in found if one.score.low is not None]

    plain = told(gate.confidence)
    if not plain:
        raise EvidenceMissing(f"No group of {gate.by!r} has {gate.min_rows} rows that can tell.")
    corrected = told(1 - (1 - gate.confidence) / len(plain))
    failing = [one for one in corrected if _of(metric, one, bound) is Verdict.FAIL]
    passing = [one for one in plain if _of(metric, one, bound) is Verdict.PASS]
    verdict = Verdict.FAIL if failing else Verdict.PASS if len(passing) == len(plain) else Verdict.MISSING
    worst = (failing or [one for one in plain if one not in passing] or plain)[0]
    score = worst.score
    reason = (
        f"{len(passing)} of {len(plain)} groups of {gate.by!r} show {metric} {_words(metric)} {_n(bound)}; "
        f"{'worst' if verdict is Verdict.PASS else 'first to look at'}: {worst.group}, {_n(score.value)} between "
        f"{_n(score.low)} and {_n(score.high)} on {score.rows} rows{_TAIL[verdict]}"
    )
    return GateResult(name, gate.check, verdict, reason, score.value, score.low, score.high, bound, score.rows)


def _parity(name: str, gate: GateSettings, metric: str, answers: Answers) -> GateResult:  # noqa: ARG001 - one form for all
    found = answers.parity
    if found is None or not found.rows:
        raise EvidenceMissing("Served and training answers were not compared.")
    if found.beyond and found.tolerance < gate.tolerance and found.largest <= gate.tolerance:
        raise EvidenceMissing(f"The answers were compared with a tolerance of {found.tolerance:g} only.")
    verdict = Verdict.PASS if found.largest <= gate.tolerance and not found.beyond else Verdict.FAIL
    reason = f"on {found.rows} rows served and training answers differ by {found.largest:.3g} at most"
    reason += f", {found.beyond} beyond {found.tolerance:g} or no number; {gate.tolerance:g} is allowed"
    largest = found.largest if math.isfinite(found.largest) else None
    return GateResult(name, gate.check, verdict, reason, largest, bound=gate.tolerance, rows=found.rows)


def _reaches(metric: str, low: float, high: float, bound: float) -> Verdict:
    higher = METRICS[metric].direction is Direction.HIGHER
    if low >= bound if higher else high <= bound:
        return Verdict.PASS
    return Verdict.FAIL if (high < bound if higher else low > bound) else Verdict.MISSING


def _of(metric: str, one: SliceScore, bound: float) -> Verdict:
    assert one.score.low is not None
    assert one.score.high is not None
    return _reaches(metric, one.score.low, one.score.high, bound)


def _bound(gate: GateSettings) -> float:
    if gate.bound is None:
        raise EvidenceMissing("The gate names no bound.", hint="Write bound = ... in the project file.")
    return gate.bound


def _enough(gate: GateSettings, rows: int, what: str) -> None:
    if rows < gate.min_rows:
        raise EvidenceMissing(f"There are {rows} {what}; {gate.min_rows} are asked for.")


def _missing(name: str, gate: GateSettings, reason: str, rows: int) -> GateResult:
    return GateResult(name, gate.check, Verdict.MISSING, reason, bound=gate.bound, rows=rows)


def _words(metric: str) -> str:
    return "at least" if METRICS[metric].direction is Direction.HIGHER else "at most"


def _n(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


_TAIL = MappingProxyType({Verdict.PASS: "", Verdict.FAIL: "", Verdict.MISSING: ": not yet shown"})

_CHECKS: Mapping[Check, Callable[[str, GateSettings, str, Answers], GateResult]] = MappingProxyType(
    {
        Check.METRIC: _metric,
        Check.CHAMPION: _champion,
        Check.BASELINE: _baseline,
        Check.SLICE: _slice,
        Check.PARITY: _parity,
    }
)
