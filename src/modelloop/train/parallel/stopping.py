"""When to stop early: a fit that gets no better, a model that can no longer win."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...ground.core.errors import InvalidInput
from .events import Reported
from .trainings import Training, corrected, lag, scores_of

_LEAST = 3
"""So many folds in common before anything is said about a difference."""
_ERROR = 0.05


class Patience:
    """Stops a trial after so many reports in a row without a better one. A report that is no number is no better."""

    def __init__(self, reports: int, *, direction: str) -> None:
        if isinstance(reports, bool) or reports < 1:
            raise InvalidInput(f"A patience of {reports!r} reports.", hint="It is a whole number from 1 on.")
        self._reports, self._sign = reports, 1.0 if direction == "higher" else -1.0
        self._best: dict[int, float] = {}
        self._since: dict[int, int] = {}

    def __call__(self, report: Reported) -> bool:
        """Take a report; return whether its trial should stop."""
        value = self._sign * report.value
        best = self._best.get(report.number)
        if not math.isnan(value) and (best is None or value > best):
            self._best[report.number] = value
            self._since[report.number] = 0
            return False
        self._since[report.number] = self._since.get(report.number, 0) + 1
        return self._since[report.number] >= self._reports


def outdone(fits: Sequence[Training], ratio: float, *, direction: str, looks: int, pooled: bool) -> set[str]:
    """Return the models that are shown to be worse than the first, on the folds that both have.

    One looks after each fit, and at each model: so that all looks together err with at most 5 %, each errs with a
    share of it (Bonferroni).
    """
    scores = {model: scores_of(fits, model, pooled=pooled) for model in dict.fromkeys(fit.model for fit in fits)}
    enough = {model: found for model, found in scores.items() if len(found) >= _LEAST}
    if len(enough) < 2:
        return set()
    higher = direction == "higher"
    means = {model: sum(found.values()) / len(found) for model, found in enough.items()}
    first = (max if higher else min)(means, key=lambda model: means[model])
    confidence = 1 - _ERROR / max(1, looks)
    lost = set()
    for model, found in enough.items():
        lags = lag(enough[first], found, higher=higher)
        if model != first and len(lags) >= _LEAST and corrected(lags, ratio, confidence).low > 0:
            lost.add(model)
    return lost
