"""What to try next: a chooser for each method, told of every trial that ends, whoever carried it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...ground.core.later import numpy as np
from ..adapters.evolution import Evolution
from ..adapters.optuna import Advisor
from ..parallel.crew import Reported
from ..studies.records import Declared, Entry, derived
from . import space as spaces
from .asked import Plan

_STARTS = 3
"""How many of the best of earlier studies are tried anew first: their old scores never win."""


class Chooser:
    """Proposes parameters for a trial's number. The same number after the same trials: the same parameters."""

    def __init__(self, plan: Plan, declared: Declared) -> None:
        self._plan = plan
        self._points = _grid(plan)
        self._starts = _starts(plan, declared.before)
        self._evolution = _evolution(plan)
        needs_no_optuna = plan.method in {"grid", "cmaes"} and not plan.pruner
        self._advisor = None if needs_no_optuna else _advisor(plan)
        if self._advisor and plan.method not in {"grid", "cmaes"}:
            for params, values in _observed(plan, declared.before):
                self._advisor.learn(params, values)
        self.budget = plan.trials if self._points is None else min(plan.trials, len(self._points))

    def propose(self, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return parameters for a trial, and what is to be kept beside it."""
        seed = derived(self._plan.seed, "ask", number)
        attrs: dict[str, Any] = {}
        fixed: Mapping[str, Any] | None = None
        if self._points is not None:
            fixed = self._points[number]
        elif number < len(self._starts):
            fixed = self._starts[number]
        if self._evolution is not None and (fixed is None or not spaces.is_whole(self._plan.space, fixed)):
            fixed, attrs = self._evolution.ask(seed)
        if self._advisor is None:
            assert fixed is not None
            return dict(fixed), attrs
        params = self._advisor.ask(number, seed, fixed)
        return params, attrs | self._advisor.attrs(number)

    def adopt(self, entry: Entry) -> None:
        """Take over a trial whose parameters were chosen by a process that is gone."""
        if self._advisor is not None:
            params = spaces.read(self._plan.space, entry.trial.params)
            self._advisor.ask(entry.trial.number, 0, params, entry.attrs)

    def drop(self, number: int) -> None:
        """Forget a proposal: somebody else has the number."""
        if self._advisor is not None:
            self._advisor.drop(number)

    def should_stop(self, report: Reported) -> bool:
        """Say whether a trial that reported should go no further."""
        return self._advisor is not None and self._advisor.should_stop(report.number, report.step, report.value)

    def attrs(self, number: int) -> dict[str, Any]:
        """Return what the pruner wrote beside a trial meanwhile."""
        return self._advisor.attrs(number) if self._advisor is not None and self._plan.pruner else {}

    def tell(self, entry: Entry) -> None:
        """Learn what became of a trial."""
        if self._advisor is not None:
            self._advisor.tell(entry.trial, entry.values, entry.attrs)
        if self._evolution is not None and entry.trial.state == "done":
            self._evolution.tell(entry.values[0], entry.attrs)


def _grid(plan: Plan) -> list[dict[str, Any]] | None:
    """Return the points in an order that does not favour one end of the grid, those to be tried first in front."""
    if plan.method != "grid":
        return None
    points = spaces.grid(plan.space)
    order = np.random.default_rng(plan.seed).permutation(len(points)).tolist()
    shuffled = [points[index] for index in order]
    first = [point for start in plan.start for point in shuffled if point == start]
    return first + [point for point in shuffled if point not in first] if first else shuffled


def _starts(plan: Plan, before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what is tried first: what the caller asks for, then the best of what fits of earlier studies."""
    asked = [spaces.read(plan.space, one["params"]) for one in before if not one["values"]]
    found = list(asked)
    for one in before:  # the best come first
        params = spaces.read(plan.space, one["params"])
        if one["values"] and params and params not in found:
            found.append(params)
        if len(found) >= len(asked) + _STARTS:
            break
    return found


def _observed(plan: Plan, before: Sequence[Mapping[str, Any]]) -> list[tuple[dict[str, Any], list[float]]]:
    """Return what the sampler may learn from: scores of the same metrics; all parameters, but for TPE and random."""
    found = []
    for one in before:
        enough = one["whole"] or plan.method in {"tpe", "random"}
        if one["comparable"] and enough and one["params"]:
            found.append((spaces.read(plan.space, one["params"]), [float(value) for value in one["values"]]))
    return found


def _evolution(plan: Plan) -> Evolution | None:
    if plan.method != "cmaes":
        return None
    return Evolution(plan.space, direction=plan.directions[0], seed=plan.seed)


def _advisor(plan: Plan) -> Advisor:
    method = plan.method if plan.method not in {"grid", "cmaes"} else "random"
    return Advisor(plan.space, method=method, directions=plan.directions, seed=plan.seed, pruner=plan.pruner)
