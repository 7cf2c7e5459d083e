"""method="gradient": each evaluation is a trial, kept with its gradient, so that it is not repeated."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from ...ground.core.errors import Conflict, InvalidInput
from ..gradients.descent import Spent, descend
from ..gradients.problem import Differentiable
from ..records import Trial
from ..studies.records import TRIAL, Entry, Ledger
from .asked import Plan
from .running import Conductor, out_of_time, what_was_seen


def descended(problem: Any, plan: Plan, ledger: Ledger, conductor: Conductor) -> str:
    """Go down the problem's gradient; what was evaluated before a restart is answered from what is kept.

    The descent itself follows from its seed and the answers, so it takes the same way again. Returns why it ended.
    """
    if not isinstance(problem, Differentiable):
        raise InvalidInput(
            f"A {type(problem).__name__} has no gradient.",
            hint="Give a problem of modelloop.train.gradients (ridge, logistic, ...), or take another method.",
        )
    if plan.directions != ("lower",):
        raise InvalidInput("method='gradient' goes down a loss.", hint="direction='lower'.")
    watched = Kept(problem, plan, ledger, conductor)
    conductor.look(watched)
    start = {name: float(value) for name, value in plan.start[0].items()} if plan.start else None
    found = descend(watched, plan.space, trials=plan.trials, seed=plan.seed, start=start)
    conductor.sync(watched)
    return conductor.ended or f"Ended its descent: {found.says()}"


class Kept:
    """A problem whose evaluations are trials of the study."""

    def __init__(self, problem: Differentiable, plan: Plan, ledger: Ledger, conductor: Conductor) -> None:
        self._problem, self._plan, self._ledger, self._conductor = problem, plan, ledger, conductor
        self._known: dict[int, Entry] = {}
        self._count = 0

    def __getattr__(self, name: str) -> Any:
        """Have all else (`held_out`, `loosen`) from the problem itself."""
        return getattr(self._problem, name)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the hyper-parameters it needs."""
        return self._problem.names

    @property
    def size(self) -> int:
        """Return how many there are."""
        return self._problem.size

    def next(self) -> None:
        """Offer no tasks: the descent itself asks."""

    def wants(self, entry: Entry) -> bool:
        """Say whether it is an evaluation."""
        return entry.nth == TRIAL

    def ended(self, entry: Entry) -> None:
        """Remember an evaluation."""
        if entry.nth == TRIAL:
            self._known[entry.trial.number] = entry

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Return the loss."""
        return self.value_and_gradient(params)[0]

    def value_and_gradient(self, params: Mapping[str, Any]) -> tuple[float, Mapping[str, float]]:
        """Return loss and gradient: as kept, or evaluated and kept now."""
        number, self._count = self._count, self._count + 1
        known = self._known.get(number)
        if known is not None and all(known.trial.params.get(name) == value for name, value in params.items()):
            return _answer(known, self.names)
        self._check_end()
        taken_over = any(entry.trial.number == number for entry in self._conductor.left)
        if known is not None or not (taken_over or self._ledger.claim(number, dict(params), {})):
            raise Conflict(
                "The study's evaluations were made from another problem, or another process descends on it.",
                hint="A gradient search is one process's. For another problem take another name.",
            )
        return self._evaluated(number, params)

    def _check_end(self) -> None:
        conductor = self._conductor
        if conductor.out_of_time:
            conductor.ended = out_of_time(self._plan)
        elif self._plan.rules and not conductor.ended:
            seen = what_was_seen(self._plan, conductor.entries)
            conductor.ended = next((reason for rule in self._plan.rules if (reason := rule.reason(seen))), "")
        if conductor.ended:
            raise Spent

    def _evaluated(self, number: int, params: Mapping[str, Any]) -> tuple[float, Mapping[str, float]]:
        began, cpu = time.perf_counter(), time.process_time()
        value, gradient = self._problem.value_and_gradient(params)
        seconds, spent = time.perf_counter() - began, time.process_time() - cpu
        usable = math.isfinite(value) and all(math.isfinite(slope) for slope in gradient.values())
        trial = Trial(
            number,
            {name: float(given) for name, given in params.items()},
            value if usable else None,
            seconds,
            state="done" if usable else "failed",
            cpu_seconds=spent,
            error="" if usable else f"The loss is {value}, or its gradient is not finite.",
        )
        kept = {"gradient": {name: float(slope) for name, slope in gradient.items()}} if usable else {}
        self._ledger.finish(Entry(trial, kept, TRIAL, (float(value),) if usable else ()))
        self._conductor.sync(self)
        return value, gradient


def _answer(entry: Entry, names: tuple[str, ...]) -> tuple[float, Mapping[str, float]]:
    if entry.trial.state != "done":
        return math.nan, dict.fromkeys(names, math.nan)
    return entry.values[0], {name: float(slope) for name, slope in entry.attrs["gradient"].items()}
