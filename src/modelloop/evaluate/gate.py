"""A gate's answer: pass, fail, or missing evidence, from intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.records import Verdict
from ..ground.stats.interval import Floats
from .answers import Answers, ParityLike, rows_from
from .compare import difference
from .measure import Measure, Rows
from .metrics import for_metric, measure_of
from .own import own_measure
from .records import Comparison, Direction, GateResult, SliceScore
from .scoring import score
from .settings import Check, GateSettings, OwnMetricSettings, Task, TermsSettings
from .slices import by_rows

__all__ = ["Answers", "ParityLike", "Terms", "judge_gate"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What gates share: the task, the terms of metrics, and the project's own ones."""

    task: Task = Task.BINARY
    terms: TermsSettings = field(default_factory=TermsSettings)
    own: Mapping[str, OwnMetricSettings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Case:
    """One gate and what it looks at."""

    name: str
    gate: GateSettings
    measure: Measure
    rows: Rows
    answers: Answers

    @property
    def metric(self) -> str:
        return self.measure.name

    @property
    def direction(self) -> Direction:
        return self.measure.metric.direction


def judge_gate(
    name: str, gate: GateSettings, headline: str, answers: Answers, terms: Terms | None = None
) -> GateResult:
    """Return what one gate says of the answers.

    - metric: PASS when the worse end of the interval reaches the bound, FAIL when even the better end does not.
    - champion: PASS when the worse end of the paired difference is not below -margin, else FAIL when its better end
      is below 0: worse for sure. No champion: PASS. A champion that learned from these rows: MISSING.
    - baseline: PASS when the whole paired difference from always answering the mean lies on the better side of 0.
    - slice: PASS when every group with enough rows passes as `metric` would; FAIL when one of them fails at a
      confidence corrected for the number of groups (Bonferroni): many groups must not fail by chance.
    - parity: PASS when no two answers differ by more than the tolerance, FAIL when some do. `min_rows` does not matter.

    A metric that is best at 0 reaches its bound when its whole interval lies between -bound and bound. Whatever lies in
    between, or rests on fewer than `min_rows` rows, is MISSING: not yet shown.
    """
    terms = terms or Terms()
    try:
        case = _Case(name, gate, _measure(gate, headline, terms), rows_from(answers, terms.terms, terms.task), answers)
        return _CHECKS[gate.check](case)
    except EvidenceMissing as error:
        return _missing(name, gate, str(error), len(answers.y))


def _measure(gate: GateSettings, headline: str, terms: Terms) -> Measure:
    if gate.own is None:
        return measure_of(str(gate.metric or headline), terms.task)
    if gate.own not in terms.own:
        raise InvalidInput(
            f"The gate looks at the project's own metric {gate.own!r}, which is not there.",
            hint=f"Write [metrics.{gate.own}] with a formula, a meaning and a direction.",
        )
    return own_measure(gate.own, terms.own[gate.own])


def _metric(case: _Case) -> GateResult:
    gate, bound = case.gate, _bound(case.gate)
    _enough(gate, len(case.rows), "holdout rows")
    found = score(case.measure, for_metric(case.measure, case.rows), gate.confidence)
    if found.value is None or found.low is None or found.high is None:
        raise EvidenceMissing(f"{found.rows} rows give {case.metric} no interval.")
    verdict = _reaches(case.direction, found.low, found.high, bound)
    reason = (
        f"{case.metric} is {_n(found.value)}, between {_n(found.low)} and {_n(found.high)} ({gate.confidence:.0%}) on "
        f"{found.rows} rows; {_ASKED[case.direction]} {_n(bound)} is asked for{_TAIL[verdict]}"
    )
    return GateResult(case.name, gate.check, verdict, reason, found.value, found.low, found.high, bound, found.rows)


def _champion(case: _Case) -> GateResult:
    gate, answers = case.gate, case.answers
    if answers.champion_score is None:
        reason = "there is no champion to compare with"
        return GateResult(case.name, gate.check, Verdict.PASS, reason, rows=len(answers.y))
    if answers.overlap:
        raise EvidenceMissing("The champion learned from some of these rows: on them it cannot be compared.")
    found = _difference(case, answers.champion_score)
    worst, best = _ends(case, found)
    verdict = Verdict.PASS if worst >= -gate.margin else Verdict.FAIL if best < 0 else Verdict.MISSING
    shown = f" ({found.said})" if found.said else ""
    reason = f"{_told(case, found, 'the champion')}{shown}; {gate.margin:g} worse is no loss{_TAIL[verdict]}"
    bound = -gate.margin if case.direction is Direction.HIGHER else gate.margin
    return _paired(case, found, verdict, reason=reason, bound=bound)


def _baseline(case: _Case) -> GateResult:
    if case.answers.baseline is None:
        raise EvidenceMissing("The mean of the training labels is not known.")
    found = _difference(case, case.answers.baseline)
    worst, best = _ends(case, found)
    verdict = Verdict.PASS if worst > 0 else Verdict.FAIL if best <= 0 else Verdict.MISSING
    reason = f"{_told(case, found, 'always answering the mean')}{_TAIL[verdict]}"
    return _paired(case, found, verdict, reason=reason, bound=0.0)


def _ends(case: _Case, found: Comparison) -> tuple[float, float]:
    """Return the worse and the better end of the difference, where above 0 is better."""
    return (found.low, found.high) if case.direction is Direction.HIGHER else (-found.high, -found.low)


def _difference(case: _Case, other: Floats) -> Comparison:
    _enough(case.gate, len(case.rows), "holdout rows")
    return difference(case.measure, for_metric(case.measure, case.rows), other, case.gate.confidence)


def _told(case: _Case, found: Comparison, who: str) -> str:
    return (
        f"{found.metric} is {_n(found.challenger)}, that of {who} {_n(found.champion)} on the same {found.rows} rows: "
        f"a difference of {found.difference:+.4g}, between {found.low:+.4g} and {found.high:+.4g} "
        f"({found.confidence:.0%}, {found.method}); {_GOOD[case.direction]} is better"
    )


def _paired(case: _Case, found: Comparison, verdict: Verdict, *, reason: str, bound: float) -> GateResult:
    ends = (found.difference, found.low, found.high, bound, found.rows)
    return GateResult(case.name, case.gate.check, verdict, reason, *ends)


def _slice(case: _Case) -> GateResult:
    gate, bound = case.gate, _bound(case.gate)
    if gate.by is None or gate.by not in case.answers.slices:
        raise EvidenceMissing(f"The holdout has no column {gate.by!r} to group by.")
    groups, by = case.answers.slices[gate.by], gate.by

    def told(confidence: float) -> list[SliceScore]:
        found = by_rows(case.measure, case.rows, by, groups, min_rows=gate.min_rows, confidence=confidence)
        return [one for one in found if one.score.low is not None]

    plain = told(gate.confidence)
    if not plain:
        raise EvidenceMissing(f"No group of {gate.by!r} has {gate.min_rows} rows that can tell.")
    corrected = told(1 - (1 - gate.confidence) / len(plain))
    failing = [one for one in corrected if _of(case, one, bound) is Verdict.FAIL]
    passing = [one for one in plain if _of(case, one, bound) is Verdict.PASS]
    verdict = Verdict.FAIL if failing else Verdict.PASS if len(passing) == len(plain) else Verdict.MISSING
    worst = (failing or [one for one in plain if one not in passing] or plain)[0]
    found = worst.score
    reason = (
        f"{len(passing)} of {len(plain)} groups of {by!r} show {case.metric} {_ASKED[case.direction]} {_n(bound)}; "
        f"{'worst' if verdict is Verdict.PASS else 'first to look at'}: {worst.group}, {_n(found.value)} between "
        f"{_n(found.low)} and {_n(found.high)} on {found.rows} rows{_TAIL[verdict]}"
    )
    return GateResult(case.name, gate.check, verdict, reason, found.value, found.low, found.high, bound, found.rows)


def _parity(case: _Case) -> GateResult:
    found, gate = case.answers.parity, case.gate
    if found is None or not found.rows:
        raise EvidenceMissing("Served and training answers were not compared.")
    if found.beyond and found.tolerance < gate.tolerance and found.largest <= gate.tolerance:
        raise EvidenceMissing(f"The answers were compared with a tolerance of {found.tolerance:g} only.")
    verdict = Verdict.PASS if found.largest <= gate.tolerance and not found.beyond else Verdict.FAIL
    reason = f"on {found.rows} rows served and training answers differ by {found.largest:.3g} at most"
    reason += f", {found.beyond} beyond {found.tolerance:g} or no number; {gate.tolerance:g} is allowed"
    largest = found.largest if math.isfinite(found.largest) else None
    return GateResult(case.name, gate.check, verdict, reason, largest, bound=gate.tolerance, rows=found.rows)


def _reaches(direction: Direction, low: float, high: float, bound: float) -> Verdict:
    if direction is Direction.HIGHER:
        return Verdict.PASS if low >= bound else Verdict.FAIL if high < bound else Verdict.MISSING
    if direction is Direction.LOWER:
        return Verdict.PASS if high <= bound else Verdict.FAIL if low > bound else Verdict.MISSING
    if -bound <= low and high <= bound:
        return Verdict.PASS
    return Verdict.FAIL if low > bound or high < -bound else Verdict.MISSING


def _of(case: _Case, one: SliceScore, bound: float) -> Verdict:
    assert one.score.low is not None
    assert one.score.high is not None
    return _reaches(case.direction, one.score.low, one.score.high, bound)


def _bound(gate: GateSettings) -> float:
    if gate.bound is None:
        raise EvidenceMissing("The gate names no bound.", hint="Write bound = ... in the project file.")
    return gate.bound


def _enough(gate: GateSettings, rows: int, what: str) -> None:
    if rows < gate.min_rows:
        raise EvidenceMissing(f"There are {rows} {what}; {gate.min_rows} are asked for.")


def _missing(name: str, gate: GateSettings, reason: str, rows: int) -> GateResult:
    return GateResult(name, gate.check, Verdict.MISSING, reason, bound=gate.bound, rows=rows)


def _n(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


_TAIL = MappingProxyType({Verdict.PASS: "", Verdict.FAIL: "", Verdict.MISSING: ": not yet shown"})
_ASKED = MappingProxyType(
    {Direction.HIGHER: "at least", Direction.LOWER: "at most", Direction.ZERO: "off from 0 by at most"}
)
_GOOD = MappingProxyType({Direction.HIGHER: "higher", Direction.LOWER: "lower", Direction.ZERO: "nearer to 0"})
_CHECKS: Mapping[Check, Callable[[_Case], GateResult]] = MappingProxyType(
    {
        Check.METRIC: _metric,
        Check.CHAMPION: _champion,
        Check.BASELINE: _baseline,
        Check.SLICE: _slice,
        Check.PARITY: _parity,
    }
)
