"""From what is kept to what is told: the study, its winner or front, its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...ground.core.errors import EvidenceMissing
from ...ground.core.later import numpy as np
from ..records import Cost, Study, Sureness, Trial
from ..studies.records import TRIAL, Entry
from .asked import Plan
from .weighing import weights


def study(plan: Plan, entries: Sequence[Entry], *, name: str, ended: str, sure: Sureness | None = None) -> Study:
    """Return the study; raises EvidenceMissing where no trial has a value."""
    own = ordered(entries)
    usable = [entry for entry in own if entry.trial.state == "done"]
    if not usable:
        raise nothing_found(plan, own)
    several = len(plan.metrics) > 1
    front = _front(plan, usable) if several else ()
    best = sure.repeated[0].number if sure else _nearest(plan, usable, front) if several else ranked(plan, usable)[0]
    return Study(
        method=plan.method,
        metric=plan.metrics[0],
        direction=plan.directions[0],
        trials=tuple(_named(plan, entry) for entry in own),
        best=best,
        name=name,
        seed=plan.seed,
        pruner=plan.pruner,
        goals=dict(zip(plan.metrics, plan.directions, strict=True)) if several else {},
        front=front,
        cost=_cost(entries),
        sure=sure,
        mattered=weights(plan, [(entry.trial.params, entry.values[0]) for entry in usable]),
        ended=ended,
    )


def ordered(entries: Sequence[Entry]) -> list[Entry]:
    """Return the trials proper by their number."""
    return sorted((entry for entry in entries if entry.nth == TRIAL), key=lambda entry: entry.trial.number)


def ranked(plan: Plan, usable: Sequence[Entry]) -> list[int]:
    """Return the trials' numbers, the best by the first metric first; of equals the earlier."""
    sign = plan.signs[0]
    return [e.trial.number for e in sorted(usable, key=lambda e: (-sign * e.values[0], e.trial.number))]


def nothing_found(plan: Plan, own: Sequence[Entry]) -> EvidenceMissing:
    """Return the error that says why there is no winner."""
    errors = [entry.trial.error for entry in own if entry.trial.error]
    what = " and ".join(plan.metrics)
    if not own:
        return EvidenceMissing(f"No trial ended, so there is no {what}.", hint="Give the search more time.")
    told = f" The first said: {errors[0].partition(chr(10))[0]}." if errors else " All were pruned." if own else ""
    return EvidenceMissing(
        f"None of {len(own)} trials gave a finite {what}.{told}",
        hint="Call the objective by hand with one set of parameters.",
        detail={"errors": errors[:5]},
    )


def _named(plan: Plan, entry: Entry) -> Trial:
    if len(plan.metrics) == 1 or not entry.values:
        return entry.trial
    return replace(entry.trial, values=dict(zip(plan.metrics, entry.values, strict=True)))


def _front(plan: Plan, usable: Sequence[Entry]) -> tuple[int, ...]:
    """Return the trials that no other is at least as good as in all, and better than in one."""
    values = np.array([entry.values for entry in usable]) * np.array(plan.signs)
    found = []
    for row, entry in zip(values, usable, strict=True):
        as_good, better = (values >= row).all(axis=1), (values > row).any(axis=1)
        if not (as_good & better).any():
            found.append(entry.trial.number)
    return tuple(found)


def _nearest(plan: Plan, usable: Sequence[Entry], front: Sequence[int]) -> int:
    """Return the front's trial nearest to having all the best values, each metric scaled by its range on the front."""
    own = [entry for entry in usable if entry.trial.number in set(front)]
    values = np.array([entry.values for entry in own]) * np.array(plan.signs)
    wide = np.ptp(values, axis=0)
    gaps = (values.max(axis=0) - values) / np.where(wide > 0, wide, 1.0)
    return own[int(np.argmin((gaps**2).sum(axis=1)))].trial.number


def _cost(entries: Sequence[Entry]) -> Cost:
    own = [entry.trial for entry in entries if entry.nth == TRIAL]
    again = [entry.trial for entry in entries if entry.nth != TRIAL]
    return Cost(
        seconds=sum(trial.seconds for trial in own),
        cpu_seconds=sum(trial.cpu_seconds for trial in own),
        trials=len(own),
        failed=sum(trial.state == "failed" for trial in own),
        pruned=sum(trial.state == "pruned" for trial in own),
        repeats=len(again),
        repeat_seconds=sum(trial.seconds for trial in again),
    )


def scores(entries: Sequence[Entry], wanted: Mapping[int, Sequence[int]]) -> dict[int, dict[int, float]]:
    """Return the values of these repeats: trial -> which repeat -> value."""
    found: dict[int, dict[int, float]] = {number: {} for number in wanted}
    for entry in entries:
        number = entry.trial.number
        if number in wanted and entry.nth in wanted[number] and entry.values:
            found[number][entry.nth] = entry.values[0]
    return found
