"""What a new search takes over from earlier ones: all that fits into its space, the best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..records import Study, Trial
from ..studies.records import TRIAL
from . import space as spaces
from .asked import Earlier, Plan
from .opening import kept

if TYPE_CHECKING:
    from ...ground.store.context import Context

_MOST = 1000
"""Trials taken over: beyond, samplers only get slower."""


def before(plan: Plan, ctx: Context | None) -> tuple[Mapping[str, Any], ...]:
    """Return what to begin with: the caller's own points, then trials of earlier studies, JSON-ready.

    A trial is `comparable` where it was measured by the same metrics, with the same directions. Of others only the
    parameters count. A parameter that this space lacks, or whose value it does not allow, is left out; what is then
    missing is chosen anew.
    """
    own = [{"params": dict(params), "values": [], "whole": False, "comparable": False} for params in plan.start]
    rows = [_rows(plan, *_read(one, ctx)) for one in plan.warm]
    return (*own, *_by_turns(rows)[:_MOST])


def _read(one: Earlier, ctx: Context | None) -> tuple[dict[str, str], list[tuple[Trial, tuple[float, ...]]]]:
    """Return an earlier study's metrics with their directions, and its finished trials with their values."""
    if isinstance(one, Study):
        goals = dict(one.goals) or {one.metric: one.direction}
        pairs = ((trial, tuple(trial.values.values()) if one.goals else (trial.value,)) for trial in one.trials)
        whole = [(trial, tuple(v for v in values if v is not None)) for trial, values in pairs if trial.state == "done"]
        return goals, [(trial, values) for trial, values in whole if len(values) == len(goals)]
    declared, entries = kept(ctx, one)
    goals = dict(zip(declared.metrics, declared.directions, strict=True))
    return goals, [(e.trial, e.values) for e in entries if e.nth == TRIAL and e.trial.state == "done"]


def _rows(
    plan: Plan, goals: Mapping[str, str], trials: Sequence[tuple[Trial, tuple[float, ...]]]
) -> list[dict[str, Any]]:
    wanted = dict(zip(plan.metrics, plan.directions, strict=True))
    sign = 1.0 if next(iter(goals.values())) == "higher" else -1.0
    rows = []
    for trial, values in sorted(trials, key=lambda pair: (-sign * pair[1][0], pair[0].number)):
        params = spaces.fitting(plan.space, trial.params)
        named = dict(zip(goals, values, strict=True))
        comparable = goals == wanted
        told = [named[name] for name in plan.metrics] if comparable else list(values)
        whole = spaces.is_whole(plan.space, params)
        if params:
            rows.append({"params": params, "values": told, "whole": whole, "comparable": comparable})
    return rows


def _by_turns(rows: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    longest = max(map(len, rows), default=0)
    return [one[place] for place in range(longest) for one in rows if place < len(one)]
