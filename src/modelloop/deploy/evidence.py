"""From answered rows to the evidence of a stage. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..ground.core.later import numpy as np
from .records import ArmEvidence, Stage
from .verdicts.given import Evidence, Losses, SliceLosses
from .verdicts.losses import Kind, Rule, disagreement, losses, multiclass_loss


class Answered(Protocol):
    """One row answered since the stage began."""

    id: str
    row: int
    arm: str
    version: str
    score: float
    milliseconds: float
    error: str | None
    label: float | None
    label_seq: int | None
    shadow_version: str | None
    shadow_score: float | None
    shadow_error: str | None
    answer: Mapping[str, Any] | None
    shadow_answer: Mapping[str, Any] | None
    slices: Mapping[str, Any] | None
    missing: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class _Judging:
    """How answers are compared."""

    challenger: str
    task: str
    scale: float
    rule: Rule

    def of(self, rows: Sequence[Answered], *, shadow: bool) -> Losses:
        """Return the losses of the answers that callers got, or of those beside them."""
        labels = _numbers(r.label for r in rows)
        scores = _numbers((r.shadow_score if shadow else r.score) for r in rows)
        found = losses(self.rule, scores, labels, self.scale)
        if self.rule.kind is Kind.CLASSES:
            for place, row in enumerate(rows):
                given = _probabilities(row.shadow_answer if shadow else row.answer)
                if given is not None:
                    found[place] = multiclass_loss([given], [labels[place]])[0]
        return found

    def apart(self, rows: Sequence[Answered]) -> Losses:
        """Return how far both answers to each row lie apart."""
        scores, shadows = _numbers(r.score for r in rows), _numbers(r.shadow_score for r in rows)
        found = disagreement(self.task, scores, shadows, self.scale)
        if self.task == "multiclass":
            for place, row in enumerate(rows):
                one, other = _probabilities(row.answer), _probabilities(row.shadow_answer)
                if one is not None and other is not None and len(one) == len(other):
                    found[place] = disagreement(self.task, [one], [other], self.scale)[0]
        return found


def gather(
    rows: Sequence[Answered], stage: Stage, challenger: str, *, task: str, scale: float, rule: Rule | None = None
) -> Evidence:
    """Return what the rows say of the challenger in the stage. A request counts once, by its first row.

    `rule`: the loss, from the task if left out. In a bake the challenger is the version that answers everybody.
    """
    judging = _Judging(challenger, task, scale, rule or Rule.of_task(task))
    labelled = sorted((r for r in rows if r.label is not None), key=lambda r: r.label_seq or 0)
    if stage is Stage.SHADOW:
        return _shadow(rows, labelled, judging)
    if stage is Stage.BAKE:
        return _bake(rows, labelled, judging)
    return _arms(rows, labelled, judging)


def spread(labels: Sequence[float]) -> float:
    """Return p99 - p1 of the labels, or 1 where there is none: the unit in which a regression's errors are counted."""
    if len(labels) < 2:
        return 1.0
    low, high = np.quantile(np.asarray(labels, dtype=np.float64), [0.01, 0.99])
    return float(high - low) or 1.0


def _shadow(rows: Sequence[Answered], labelled: Sequence[Answered], judging: _Judging) -> Evidence:
    mine = [r for r in rows if r.shadow_version == judging.challenger]
    seen = [r for r in mine if r.row == 0]
    broken = [r for r in seen if _shadow_failed(r)]
    both = [r for r in mine if not _shadow_failed(r)]
    paired = [r for r in labelled if r.shadow_version == judging.challenger and not _shadow_failed(r)]
    new, old = judging.of(paired, shadow=True), judging.of(paired, shadow=False)
    first = [r for r in rows if r.row == 0 and r.version != judging.challenger]
    return Evidence(
        rows=len(rows),
        champion=_arm(len(first), 0, old, _ms(first)),
        challenger=_arm(len(seen), len(broken), new, np.empty(0)),
        pairs=_by_request(paired, new - old),
        example=next((r.shadow_error for r in broken if r.shadow_error), None),
        champion_ms=_ms(first),
        challenger_errors=_flags(seen, _shadow_failed),
        disagreements=_by_request(both, judging.apart(both)),
        missing=_missing(mine),
        slices=_sliced(paired, pairs=new - old),
    )


def _arms(rows: Sequence[Answered], labelled: Sequence[Answered], judging: _Judging) -> Evidence:
    """Return the evidence of two versions that each answer a share of callers; a failed one's stand-in is marked."""
    challenger = judging.challenger
    mine = [r for r in rows if r.version == challenger or (r.error and not _unanswered(r))]
    asked = [r for r in mine if r.row == 0]
    broken, answered = [r for r in asked if r.error], [r for r in asked if not r.error]
    others = [r for r in rows if r.row == 0 and r.version != challenger and (not r.error or _unanswered(r))]
    old_answered = [r for r in others if not r.error]
    new_labelled = [r for r in labelled if r.version == challenger]
    old_labelled = [r for r in labelled if r.version != challenger]
    new, old = judging.of(new_labelled, shadow=False), judging.of(old_labelled, shadow=False)
    return Evidence(
        rows=len(rows),
        champion=_arm(len(others), len(others) - len(old_answered), old, _ms(old_answered)),
        challenger=_arm(len(asked), len(broken), new, _ms(answered)),
        challenger_rows=len(mine),
        champion_losses=_by_request(old_labelled, old),
        challenger_losses=_by_request(new_labelled, new),
        champion_at=_told_at(old_labelled),
        challenger_at=_told_at(new_labelled),
        example=broken[-1].error if broken else None,
        champion_ms=_ms(old_answered),
        challenger_ms=_ms(answered),
        champion_errors=_flags(others, _errs),
        challenger_errors=_flags(asked, _errs),
        missing=_missing(mine),
        slices=_two_sliced(old_labelled, old, new_labelled, new),
    )


def _bake(rows: Sequence[Answered], labelled: Sequence[Answered], judging: _Judging) -> Evidence:
    mine = [r for r in rows if r.version == judging.challenger or r.error]
    asked = [r for r in mine if r.row == 0]
    broken, answered = [r for r in asked if r.error], [r for r in asked if not r.error]
    told = [r for r in labelled if r.version == judging.challenger and not r.error]
    paired = [r for r in told if r.shadow_version not in (None, judging.challenger) and not _shadow_failed(r)]
    old = judging.of(paired, shadow=True)
    difference = judging.of(paired, shadow=False) - old
    return Evidence(
        rows=len(mine),
        champion=_arm(0, 0, old, np.empty(0)),
        challenger=_arm(len(asked), len(broken), judging.of(told, shadow=False), _ms(answered)),
        challenger_rows=len(mine),
        pairs=_by_request(paired, difference),
        example=broken[-1].error if broken else None,
        challenger_ms=_ms(answered),
        challenger_errors=_flags(asked, _errs),
        missing=_missing(mine),
        slices=_sliced(paired, pairs=difference),
    )


def _by_request(rows: Sequence[Answered], values: Losses) -> Losses:
    """Return the mean of each request's values, in the order in which the requests first occur."""
    if not rows:
        return values
    place: dict[str, int] = {}
    places = [place.setdefault(row.id, len(place)) for row in rows]
    return np.asarray(np.bincount(places, weights=values) / np.bincount(places))


def _told_at(rows: Sequence[Answered]) -> Losses:
    """Return when the first outcome of each request came, in the order in which the requests first occur."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(row.id, row.label_seq or 0)
    return _numbers(first.values())


def _groups(rows: Sequence[Answered]) -> dict[str, list[int]]:
    """Return the places of the rows in each slice, in the order in which the slices first occur."""
    found: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        for column, value in (row.slices or {}).items():
            found.setdefault(f"{column} = {value}"[:200], []).append(place)
    return found


def _sliced(rows: Sequence[Answered], *, pairs: Losses) -> dict[str, SliceLosses]:
    return {name: SliceLosses(pairs=_part(rows, pairs, places)) for name, places in _groups(rows).items()}


def _two_sliced(
    old_rows: Sequence[Answered], old: Losses, new_rows: Sequence[Answered], new: Losses
) -> dict[str, SliceLosses]:
    theirs = _groups(old_rows)
    found: dict[str, SliceLosses] = {}
    for name, places in _groups(new_rows).items():
        others = theirs.get(name, [])
        found[name] = SliceLosses(
            champion=_part(old_rows, old, others),
            challenger=_part(new_rows, new, places),
            champion_at=_told_at([old_rows[place] for place in others]),
            challenger_at=_told_at([new_rows[place] for place in places]),
        )
    return found


def _part(rows: Sequence[Answered], values: Losses, places: Sequence[int]) -> Losses:
    return _by_request([rows[place] for place in places], values[list(places)] if len(places) else np.empty(0))


def _missing(rows: Sequence[Answered]) -> dict[str, Losses]:
    """Return the share of each request's rows that lack an input, of every input that any row lacks."""
    if not any(row.missing for row in rows):
        return {}
    lacking: dict[str, Losses] = {}
    for place, row in enumerate(rows):
        for name in row.missing or ():
            lacking.setdefault(name, np.zeros(len(rows)))[place] = 1.0
    return {name: _by_request(rows, flags) for name, flags in lacking.items()}


def _probabilities(answer: Mapping[str, Any] | None) -> list[float] | None:
    """Return the row's probabilities: the output that is a list of numbers."""
    for value in (answer or {}).values():
        if isinstance(value, (list, tuple)) and len(value) > 1 and all(isinstance(v, (int, float)) for v in value):
            return [float(v) for v in value]
    return None


def _shadow_failed(row: Answered) -> bool:
    return row.shadow_error is not None or row.shadow_score is None or not math.isfinite(row.shadow_score)


def _errs(row: Answered) -> bool:
    return bool(row.error)


def _unanswered(row: Answered) -> bool:
    """Say whether nobody stood in: the error is then the named version's own."""
    return row.score is None or not math.isfinite(row.score)


def _arm(asked: int, failed: int, found: Losses, milliseconds: Losses) -> ArmEvidence:
    mean = float(found.mean()) if len(found) else None
    return ArmEvidence(asked, failed, len(found), mean, float(np.median(milliseconds)) if len(milliseconds) else None)


def _flags(rows: Sequence[Answered], failed: Callable[[Answered], bool]) -> Losses:
    return _numbers(1.0 if failed(row) else 0.0 for row in rows)


def _ms(rows: Sequence[Answered]) -> Losses:
    found = _numbers(row.milliseconds for row in rows)
    return found[np.isfinite(found)]


def _numbers(values: Iterable[float | None]) -> Losses:
    return np.array(list(values), dtype=np.float64)
